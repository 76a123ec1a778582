"""How the next token is chosen, and where an answer ends: the same settings for every engine."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.settings import LlmSettings


@dataclass(frozen=True, slots=True)
class Sampling:
    """The usual settings of llama.cpp's samplers; 0 for top_k or min_p, or 1 for top_p or repeat_penalty, is off."""

    temperature: float = 0.7
    """0 takes the likeliest token."""
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    """Over the last 64 tokens of the answer."""
    seed: int | None = None
    """With one the same conversation gets the same answer."""
    stop: tuple[str, ...] = ()
    """Where the answer ends; these strings are not part of it."""

    @classmethod
    def of(cls, llm: LlmSettings) -> "Sampling":
        return cls(
            temperature=llm.temperature,
            top_p=llm.top_p,
            top_k=llm.top_k,
            min_p=llm.min_p,
            repeat_penalty=llm.repeat_penalty,
            seed=llm.seed,
            stop=llm.stop,
        )


DEFAULT_SAMPLING = Sampling()


class StopStrings:
    """Ends a stream of text at the first of some strings, which may be spread over several pieces."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._held = ""
        self.reached = False

    def feed(self, piece: str) -> str:
        """What may be said of `piece` and of what was held back; an end that may begin a stop string is held back."""
        if self.reached:
            return ""
        text = self._held + piece
        found = [at for at in map(text.find, self._stop) if at >= 0]
        if found:
            self.reached = True
            self._held = ""
            return text[: min(found)]
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back when the answer ended by itself."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` with which `stop` begins."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
