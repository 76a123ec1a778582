"""Where a Ukrainian word is stressed: a dictionary of 2.9 million word forms, a little context, then a guess.

The dictionary is the trie inside the package ukrainian-word-stress, in which a form has the places of its stress, or
several records of places and grammatical tags where its meaning decides.
"""

from pathlib import Path
from typing import Final

import marisa_trie

from models.errors import WeightsCorrupt
from models.tts.ukrainian import ACUTE, VOWELS

_TAGS_FOLLOW: Final = 0xFE
_RECORD_ENDS: Final = 0xFF
_CASE: Final = {0x20: "nom", 0x21: "gen", 0x22: "dat", 0x23: "acc", 0x24: "ins", 0x25: "loc", 0x26: "voc"}
_PLURAL, _VERB, _NOUN = 0x12, 0x67, 0x6A

_OWN: Final = {
    word.replace(ACUTE, ""): word.index(ACUTE) - 1
    for word in (
        "її́ ни́ми коли́ тому́ чому́ мого́ твого́ свого́ була́ було́ тако́ж дя́кую за́раз цього́ цьому́ робо́ту робо́та робо́ти"
        " ніко́ли люблю́ застосу́нок відеодзвіно́к ра́зом нічо́го ніде́ ніку́ди рокі́в те́пло гара́зд ба́йдуже"
    ).split()
}
"""Everyday words that the dictionary lacks, or whose rarer reading fits its rules better."""

_GOVERNED: Final = {
    "gen": "без біля від для до з зі із коло крім немає нема після проти серед два дві три чотири обидва обидві",
    "ins": "над під перед між поза за",
    "loc": "в у на по при о об",
    "acc": "про через крізь в у на за по під",
}
"""What a word asks of the noun after it; after two, three and four the stress is the genitive's: дві сестри́."""
_ENDINGS: Final = (("ського", -3), ("ському", -3), ("ський", -2), ("ська", -2), ("ське", -2), ("ські", -2),
                   ("ацію", -3), ("ація", -3), ("ації", -3), ("увати", -3), ("ювати", -3), ("ується", -3))  # fmt: skip
"""Which vowel of a word that no dictionary has is stressed, counted from the end."""
_PREFIXES: Final = ("найне", "не", "най", "пере", "відео", "аудіо", "авто", "супер", "онлайн", "мікро", "макро")


class Stress:
    """Opens the trie at `path` (mapped into memory, not read). Raises WeightsCorrupt."""

    def __init__(self, path: Path) -> None:
        try:
            self._trie = marisa_trie.BytesTrie().mmap(str(path))
        except (OSError, RuntimeError) as error:
            raise WeightsCorrupt(f"{path.name} is no dictionary of stresses; fetch the weights again.") from error

    def vowel(self, word: str, before: str) -> int | None:
        """Index of the stressed vowel of `word`, which is in lower case; `before` is the word before it."""
        if word in _OWN:
            return _OWN[word]
        if (place := self._known(word, before)) is not None:
            return place
        for prefix in _PREFIXES:
            rest = word.removeprefix(prefix)
            if rest != word and len(rest) > 3 and (place := self._known(rest, before)) is not None:
                return place + len(prefix)
        return _guessed(word)

    def _known(self, word: str, before: str) -> int | None:
        for spelling in (word, word.capitalize()):
            if spelling in self._trie:
                place = _chosen(self._trie[spelling][0], before)
                return place if place is not None and 0 <= place < len(word) and word[place] in VOWELS else None
        return None


def _chosen(value: bytes, before: str) -> int | None:
    """The index of the stressed vowel in `value`; among several readings the one that fits the word before."""
    if _RECORD_ENDS not in value:
        return value[0] - 1 if value else None
    readings: list[tuple[int, int]] = []
    cases = [case for case, words in _GOVERNED.items() if before in words.split()] or ["nom", "acc"]
    for record in value.split(bytes((_RECORD_ENDS,))):
        places, _, tags = record.partition(bytes((_TAGS_FOLLOW,)))
        if places:
            case = next((_CASE[tag] for tag in tags if tag in _CASE), "nom")
            fits = 4 * (case in cases) + 2 * (_PLURAL not in tags) + (_NOUN in tags or _VERB in tags)
            readings.append((-fits, places[0] - 1))
    return min(readings, key=lambda reading: reading[0])[1] if readings else None


def _guessed(word: str) -> int | None:
    vowels = [place for place, letter in enumerate(word) if letter in VOWELS]
    if not vowels:
        return None
    for ending, count in _ENDINGS:
        if word.endswith(ending) and len(vowels) >= -count:
            return vowels[count]
    return vowels[-2] if len(vowels) > 1 else vowels[0]
