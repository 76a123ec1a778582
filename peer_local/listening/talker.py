"""Who is speaking in the call at the moment, and for how long. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Talker:
    """The utterance under way; all moments of the laptop's clock."""

    began_s: float = 0.0
    talking: bool = False
    """False in a pause, and when there is no utterance."""
    confirmed: bool = False
    over_double: bool = False
    """It made the double fall silent."""
    _run_s: float = 0.0
    _lasted_s: float = 0.0

    def start(self, at_s: float) -> None:
        self.end()
        self.began_s = at_s
        self.resume(at_s)

    def resume(self, at_s: float) -> None:
        self.talking = True
        self._run_s = at_s

    def pause(self, at_s: float) -> None:
        if self.talking:
            self._lasted_s += max(0.0, at_s - self._run_s)
        self.talking = False

    def end(self) -> None:
        self.talking = self.confirmed = self.over_double = False
        self._lasted_s = 0.0

    def lasted_s(self, now_s: float) -> float:
        """How much speech it has had by now; 0 in a pause."""
        return self._lasted_s + now_s - self._run_s if self.talking else 0.0
