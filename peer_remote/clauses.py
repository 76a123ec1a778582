"""Tokens to speakable clauses: the first one short, so that the voice can start, the later ones whole sentences."""

import re
from dataclasses import dataclass
from itertools import chain

_ABBREVIATIONS = frozenset("mr mrs ms dr prof st sr jr vs etc e.g i.e a.m p.m no approx dept inc ltd u.s u.k".split())
_JOINING_WORDS = frozenset(
    "and but or so because that which who when where while if although though to for with in on at from by".split()
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n+")
_SOFT_END = re.compile(r"[,;:—](?=\s)|(?<=[^\W\d])[,;](?=$)|\s[–—-](?=\s)")
"""A comma after a letter ends a clause even before the next token is known; after a digit it may be a thousand."""


@dataclass(frozen=True, slots=True)
class ClauseRules:
    """How long the first clauses of an answer may get; the last entry holds for all that follow.

    On two cores a clause takes about three quarters of its own length to be made, so each may be half as long again as
    the one before it without a gap between them; the first is often a single word, so the second is short as well.
    """

    soft_words: tuple[int, ...] = (1, 2, 4, 6, 7)
    """A clause may end at a comma after this many words."""
    longest_words: tuple[int, ...] = (6, 6, 10, 16, 20)
    """A clause that is longer is cut before the joining word that is nearest to this; never longer than twice this."""


class ClauseSplitter:
    """Collects pieces of text and gives out clauses as soon as they are certain."""

    def __init__(self, rules: ClauseRules | None = None) -> None:
        self._rules = rules or ClauseRules()
        self._text = ""
        self._made = 0

    def push(self, piece: str) -> list[str]:
        """Take the next piece; return the clauses that it completes."""
        self._text += piece
        clauses = []
        while (end := self._end()) is not None:
            clause, self._text = self._text[:end].strip(), self._text[end:]
            if clause:
                clauses.append(clause)
                self._made += 1
        return clauses

    def finish(self) -> list[str]:
        """The text is over: return what is left."""
        clause, self._text = self._text.strip(), ""
        return [clause] if clause else []

    def _end(self) -> int | None:
        soft, longest = self._rules.soft_words, self._rules.longest_words
        ends = [
            self._sentence_end(),
            self._soft_end(soft[min(self._made, len(soft) - 1)]),
            self._forced_end(longest[min(self._made, len(longest) - 1)]),
        ]
        return min((end for end in ends if end is not None), default=None)

    def _sentence_end(self) -> int | None:
        for match in _SENTENCE_END.finditer(self._text):
            before = self._text[: match.start()].split()
            word = before[-1].lower().lstrip("(\"'“") if before else ""
            if match.group() == "." and (word in _ABBREVIATIONS or (len(word) == 1 and word != "i") or word.isdigit()):
                continue
            return match.end()
        return None

    def _soft_end(self, words: int) -> int | None:
        for match in _SOFT_END.finditer(self._text):
            if len(self._text[: match.start()].split()) >= words:
                return match.end()
        return None

    def _forced_end(self, words: int) -> int | None:
        """Cut a text of more than `words` complete words before a joining word near there, or else at twice that."""
        spaces: list[int] = [match.start() for match in re.finditer(r"(?<=\S)\s", self._text)]
        complete = self._text.split()[: len(spaces)]
        if len(complete) <= words:
            return None
        for count in chain(range(words, words // 2, -1), range(words + 1, len(complete))):
            if complete[count].lower() in _JOINING_WORDS:
                return spaces[count - 1]
        return spaces[words - 1] if len(complete) > 2 * words else None


def clauses_of(text: str) -> list[str]:
    """The clauses of a text that is known as a whole."""
    splitter = ClauseSplitter()
    return [*splitter.push(text), *splitter.finish()]
