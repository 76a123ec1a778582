"""The clauses of an answer, the place of their sound in it, and which words were heard by a given moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SAMPLES_PER_CHARACTER: Final = 3_200
"""15 characters a second, at 48 kHz: what a clause lasts while nothing is known of the voice. Kokoro says the lines of
models/tts/evaluate.py at 18.6 in English and 15.1 in Ukrainian, pauses included; rather too few words than too many."""
CHARACTERS_PER_DIGIT: Final = 4
"""A figure is written shorter than it is spoken."""


@dataclass(slots=True)
class SpokenClause:
    """A clause as people read it, and the place of its sound in the turn."""

    text: str
    start_samples: int
    expected_samples: int = 0
    """How long its sound is probably going to be."""
    samples: int = 0
    """How much of its sound is there."""
    complete: bool = False
    """Whether that is all of it."""

    @property
    def length_samples(self) -> int:
        """The length of its sound, an estimate until all of it is there."""
        return self.samples if self.complete else max(self.samples, self.expected_samples)

    def cut(self, end_samples: int) -> None:
        """The turn goes no further than `end_samples`."""
        if end_samples < self.start_samples + self.samples:
            self.expected_samples = self.length_samples
            self.samples = end_samples - self.start_samples
            self.complete = False

    def words(self, heard_samples: int) -> list[str]:
        """Those whose sound lies before `heard_samples` of the turn; the last one only once all its sound is there."""
        words = self.text.split()
        heard = min(
            heard_samples - self.start_samples, self.samples
        )  # what comes after a clause cut short is not of it
        part = heard / max(1, self.length_samples)
        count = round(max(0.0, part) * len(words))
        return words[: count if self.complete else min(count, len(words) - 1)]


def expected_samples(text: str, before: Sequence[SpokenClause]) -> int:
    """How long `text` probably lasts when spoken at the pace of the clauses `before` it."""
    done = [clause for clause in before if clause.complete and clause.text]
    characters = sum(_length(clause.text) for clause in done)
    pace = sum(clause.samples for clause in done) / characters if characters else SAMPLES_PER_CHARACTER
    return round(_length(text) * pace)


def words_heard(clauses: Sequence[SpokenClause], heard_samples: int) -> str:
    """The text whose sound lies before `heard_samples`, cut at a word."""
    begun = [clause for clause in clauses if clause.start_samples < heard_samples]
    return " ".join(word for clause in begun for word in clause.words(heard_samples))


def _length(text: str) -> int:
    return len(text) + (CHARACTERS_PER_DIGIT - 1) * sum(character.isdigit() for character in text)
