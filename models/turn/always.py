"""An end-of-turn detector with one opinion, for tests and for end of turn by silence alone."""

from models.interfaces import Samples
from models.settings import HearingSettings


class AlwaysDone:
    """EndOfTurnDetector that answers `value` to everything."""

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    async def probability(self, samples: Samples) -> float:
        return self.value

    async def aclose(self) -> None: ...


def create(settings: HearingSettings) -> AlwaysDone:
    return AlwaysDone()
