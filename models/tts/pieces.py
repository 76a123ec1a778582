"""Cuts what is to be said into pieces that are synthesised one after the other."""

import re
from typing import Final

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+")
_CUTS: Final = (re.compile(r"[.!?…;:—]+ "), re.compile(r", "), re.compile(r" "))
"""Where a long sentence may be cut, the least audible place first."""


def sentences(text: str) -> list[str]:
    """The sentences of speakable text, which has full stops nowhere but at their ends."""
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


def shorter(phonemes: str, *, most: int) -> list[str]:
    """Cut `phonemes` into pieces of at most `most` symbols each, between clauses if possible, else between words."""
    pieces: list[str] = []
    rest = phonemes.strip()
    while len(rest) > most:
        end = _cut(rest, most)
        pieces.append(rest[:end].strip())
        rest = rest[end:].strip()
    return [piece for piece in (*pieces, rest) if piece]


def _cut(phonemes: str, most: int) -> int:
    """End of the first piece; a cut in the first third is not worth it unless there is no other."""
    for cut in _CUTS:
        ends = [match.end() for match in cut.finditer(phonemes, 0, most + 1) if match.end() - 1 <= most]
        if ends and (ends[-1] > most // 3 or cut is _CUTS[-1]):
            return ends[-1]
    return most
