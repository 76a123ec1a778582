"""The double's own words, heard back. Pure.

Echo cancellation takes most of them away; what is left, or what comes back from another participant's loudspeaker, is
known by its words: it says what the double has just said, in the same order.
"""

from collections import deque
from dataclasses import dataclass
from difflib import SequenceMatcher

from peer_local.listening.words import alike, plain

KEPT_S = 20.0
LATEST_S = 3.0
"""An echo comes at most this long after the word was played, the recognizer's and our own clock's errors included."""
EARLIEST_S = 0.7
"""A word's place within its caption is only estimated; so much earlier it may have been played."""
SHORT_WORDS = 2
SHORT_LATEST_S = 1.2
SHORT_TAIL_S = 0.25
"""As few words are an echo only of what was played a moment ago, and only if they began while the double was still
sounding: "right?" - "right." is an answer."""
LIKENESS = 0.7
"""The part of the heard words that must be found among the played ones, in order."""


@dataclass(frozen=True, slots=True)
class _Played:
    word: str
    at_s: float
    caption_until_s: float


class TextGuard:
    """Knows what the double said in the last KEPT_S and tells its echo from an answer."""

    def __init__(self) -> None:
        self._played: deque[_Played] = deque()

    def played(self, text: str, from_s: float, until_s: float) -> None:
        """The double's clause `text` is heard between these moments of the laptop's clock."""
        words = plain(text)
        letters = sum(len(word) + 1 for word in words)
        at_s = from_s
        for word in words:
            self._played.append(_Played(word, at_s, until_s))
            at_s += (until_s - from_s) * (len(word) + 1) / letters
        while self._played and self._played[0].at_s < from_s - KEPT_S:
            self._played.popleft()

    def silenced(self, at_s: float) -> None:
        """The double fell silent: what it would have said later was never played."""
        self._played = deque(word for word in self._played if word.at_s < at_s + EARLIEST_S)

    def is_echo(self, text: str, began_s: float, ended_s: float) -> bool:
        """Whether `text`, heard between these moments, is what the double said just before."""
        heard = plain(text)
        if not heard:
            return False
        few = len(heard) <= SHORT_WORDS
        from_s = began_s - (SHORT_LATEST_S if few else LATEST_S)
        played = [word for word in self._played if from_s <= word.at_s <= ended_s + EARLIEST_S]
        if few and not any(began_s <= word.caption_until_s + SHORT_TAIL_S for word in played):
            return False
        return _found(heard, [word.word for word in played]) >= LIKENESS * len(heard)


def _found(heard: list[str], played: list[str]) -> int:
    """How many of the heard words were played, in the same order; words that are alike count."""
    canonical = [next((known for known in played if alike(word, known)), word) for word in heard]
    matcher = SequenceMatcher(None, canonical, played, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())
