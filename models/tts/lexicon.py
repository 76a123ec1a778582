"""The pronunciation of single English words: two dictionaries, word endings, compounds, initials, then a guess."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from models.errors import WeightsCorrupt
from models.tts.spelling import SpellingModel

Entry = str | Mapping[str, str | None]
"""One pronunciation, or one for each part of speech."""

_OWN: Final[dict[str, Entry]] = {
    "json": "ʤˈAsˌɑn",
    "iphone": "ˈIfˌOn",
    "wifi": "wˈIfˌI",
    "github": "ɡˈɪthˌʌb",
    "python": "pˈIθˌɑn",
    "webrtc": "wˈɛbˌɑɹtˌisˈi",
    "kyiv": "kˈiɪv",
    "olena": "Olˈɛnə",
    "ok": "ˌOkˈA",
    "phd": "pˌiˌAʧdˈi",
}
"""Words of everyday video calls that the dictionaries lack or give differently."""

_SAID_AS_INITIALS: Final = frozenset(
    "US IT ID OS ER LA PA GI AA EU UK UN TV PC AC DC AR VR IP PR HR ML AM PM ETA".split()
)
"""Initials that are also spelt like words."""

_LONGEST_INITIALS: Final = 5
_SHORTEST_PART: Final = 3
_CLITICS: Final = {"'ll": "ᵊl", "'ve": "əv", "'re": "əɹ", "n't": "ᵊnt", "'d": "d", "'m": "m"}
_SIBILANTS: Final = "szʃʒʧʤ"
_VOICELESS: Final = "ptkfθ"


class Lexicon:
    """Reads us_gold.json, us_silver.json and checkpoint20.npz from a directory once (0.2 s) and stays in memory."""

    def __init__(self, directory: Path) -> None:
        self._gold = _read(directory / "us_gold.json")
        self._silver = _read(directory / "us_silver.json")
        self._guess = SpellingModel(directory / "checkpoint20.npz").pronounce

    def find(self, word: str) -> Entry:
        """The entry of `word`, made up where no dictionary has one; a word of letters, apostrophes and hyphens."""
        if initials := self._initials(word):
            return initials
        return (
            self._known(word)
            or self._ended(word)
            or self._camel_case(word)
            or self._compound(word)
            or self._guessed(word)
        )

    def knows(self, word: str) -> bool:
        """Whether a dictionary has `word` as it is written."""
        return word in self._gold or word in self._silver

    def _known(self, word: str) -> Entry | None:
        lower = word.lower()
        if own := _OWN.get(lower):
            return own
        spellings = (word, lower, lower.capitalize()) if not word.isupper() else (lower, word, lower.capitalize())
        for dictionary in (self._gold, self._silver):
            for spelling in spellings:
                if entry := dictionary.get(spelling):
                    return entry
        return None

    def _plain(self, word: str) -> str | None:
        entry = self._known(word)
        return entry if entry is None or isinstance(entry, str) else default(entry)

    def _initials(self, word: str) -> str | None:
        plural = re.fullmatch(r"([A-Z]{2,5})('?s)", word)
        letters = plural[1] if plural else word
        if not letters.isupper() or not letters.isalpha():
            return None
        if len(letters) == 1:
            return self._plain_letter(letters)
        said_as_word = letters not in _SAID_AS_INITIALS and self._known(letters) is not None
        if said_as_word or len(letters) > _LONGEST_INITIALS:
            return None
        spelt = "".join(self._plain_letter(letter) for letter in letters).replace("ˈ", "ˌ")
        last = spelt.rindex("ˌ")
        spelt = f"{spelt[:last]}ˈ{spelt[last + 1 :]}"
        return _with_s(spelt) if plural else spelt

    def _plain_letter(self, letter: str) -> str:
        entry = self._gold.get(letter)
        return entry if isinstance(entry, str) else self._guess(letter)

    def _camel_case(self, word: str) -> str | None:
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']+", word)
        if len(parts) < 2 or "".join(parts) != word:
            return None
        return _joined([default(self.find(part)) for part in parts])

    def _ended(self, word: str) -> str | None:
        """The word without one ending, if that is known, with the ending's sound."""
        lower = word.lower()
        for clitic, sound in _CLITICS.items():
            if lower.endswith(clitic) and len(lower) > len(clitic):
                return default(self.find(word[: -len(clitic)])) + sound
        if lower.endswith("'s") and len(lower) > 2:
            return _with_s(default(self.find(word[:-2])))
        if lower.endswith("s'"):
            return default(self.find(word[:-1]))
        stems: list[tuple[str, str]] = []
        if lower.endswith("s") and not lower.endswith("ss"):
            stems += [(lower[:-1], "s")]
            stems += [(lower[:-2], "s")] if lower.endswith("es") else []
            stems += [(f"{lower[:-3]}y", "s")] if lower.endswith("ies") else []
        for ending in ("ed", "ing"):
            if lower.endswith(ending):
                stem = lower.removesuffix(ending)
                stems += [(stem, ending), (f"{stem}e", ending)]
                stems += [(stem[:-1], ending)] if stem[-1:] == stem[-2:-1] else []
                stems += [(f"{stem[:-1]}y", ending)] if ending == "ed" and stem.endswith("i") else []
        for stem, ending in stems:
            if len(stem) >= _SHORTEST_PART and (known := self._plain(stem)):
                return _with_s(known) if ending == "s" else _with_ed(known) if ending == "ed" else f"{known}ɪŋ"
        return None

    def _compound(self, word: str) -> str | None:
        """Two words written as one, the longer first part preferred; no names, which are rarely made of words."""
        if not word.islower() or len(word) <= 2 * _SHORTEST_PART:
            return None
        for cut in range(len(word) - _SHORTEST_PART, _SHORTEST_PART - 1, -1):
            first, second = self._gold.get(word[:cut]), self._gold.get(word[cut:])
            if first and second:
                return _joined([default(first), default(second)])
        return None

    def _guessed(self, word: str) -> str:
        letters = re.sub(r"[^a-z]", "", word.lower())
        if letters and not re.search(r"[aeiouy]", letters):
            return _joined([self._plain_letter(letter.upper()) for letter in letters])
        return self._guess(letters)


def default(entry: Entry) -> str:
    """The pronunciation of `entry` when nothing is known about its place in the sentence."""
    if isinstance(entry, str):
        return entry
    return entry.get("DEFAULT") or next((sound for sound in entry.values() if sound), "")


def _read(path: Path) -> dict[str, Entry]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsCorrupt(f"{path.name} is no pronunciation dictionary; fetch the weights again.") from error
    if not isinstance(entries, dict):
        raise WeightsCorrupt(f"{path.name} is no pronunciation dictionary; fetch the weights again.")
    return entries


def _joined(parts: list[str]) -> str:
    """One word out of several: the first keeps its stress, the others' becomes secondary."""
    return parts[0] + "".join(part.replace("ˈ", "ˌ") for part in parts[1:])


def _with_s(sound: str) -> str:
    return sound + ("ᵻz" if sound[-1:] in _SIBILANTS else "s" if sound[-1:] in _VOICELESS else "z")


def _with_ed(sound: str) -> str:
    return sound + ("ᵻd" if sound[-1:] in "td" else "t" if sound[-1:] in f"{_VOICELESS}sʃʧ" else "d")
