"""Ukrainian text as the phonemes that Kokoro reads, with punctuation kept for prosody.

The spelling says nearly all; what it leaves out are the stress, which a dictionary knows (models.tts.stress_ukrainian),
and how neighbouring consonants change each other (Pompino-Marschall, Steriopolo and Żygis, "Ukrainian", Journal of the
International Phonetic Association 47, 2017). Kokoro was not trained on Ukrainian; the symbols are those of languages
that it knows.
"""

import re
from collections.abc import Callable
from typing import Final, Protocol

ACUTE: Final = "\u0301"
"""Combining acute accent: stands after the stressed vowel, as in dictionaries."""
VOWELS: Final = frozenset("аеєиіїоуюя")

_TOKEN: Final = re.compile(rf"[а-щьюяєіїґА-ЩЬЮЯЄІЇҐ{ACUTE}'-]+|[A-Za-z]+(?:['-][A-Za-z]+)*|[.,!?;:—…]")
_PAUSES: Final = ".,!?;:—…"
_STRAY_MARK: Final = re.compile(rf"(?<![{''.join(sorted(VOWELS))}]){ACUTE}")

_VOWEL: Final = dict(zip("аеиіоу", "aɛɪiɔu", strict=True))
_IOTATED: Final = {"я": "а", "є": "е", "ю": "у", "ї": "і"}
_CONSONANT: Final = dict(zip("бвгґджзйклмнпрстфхцчш", "bvhɡdʒzjklmnpɾstfxʦʧʃ", strict=True))
_AFFRICATES: Final = {"дз": "ʣ", "дж": "ʤ"}
_LETTER: Final = re.compile(rf"дз|дж|.{ACUTE}?")
_SPOKEN_OTHERWISE: Final = (
    ("нтськ", "нськ"), ("стськ", "ськ"), ("тськ", "цьк"), ("дськ", "цьк"), ("стн", "сн"), ("стл", "сл"),
    ("здн", "зн"), ("ться", "цця"), ("тся", "цця"), ("шся", "сся"), ("чся", "цся"), ("жся", "зься"), ("дцят", "ццят"),
    ("зш", "шш"), ("сш", "шш"), ("зч", "шч"), ("сч", "шч"), ("тч", "чч"), ("дч", "чч"), ("тц", "цц"),
    ("легк", "лехк"), ("вогк", "вохк"), ("нігт", "ніхт"), ("кігт", "кіхт"),
)  # fmt: skip
"""Clusters that are said simpler than they are written."""
_SOFT: Final = {"n": "ɲ", "l": "lʲ", "d": "dʲ", "t": "tʲ", "z": "zʲ", "s": "sʲ", "ʦ": "ʦʲ", "ʣ": "ʣʲ", "w": "vʲ"}

_VOICED_OF: Final = dict(zip("ptksʃʧʦfx", "bdɡzʒʤʣvɣ", strict=True))
_VOICING: Final = frozenset("bdɡzʒʤʣ")
_VOICELESS: Final = frozenset("ptksʃʧʦfx")
_DENTALS: Final = frozenset("dtzsʦʣnl")
_HUSHES: Final = {"s": "ʃ", "z": "ʒ"}
_STRESS: Final = "ˈ"
_SOFT_MARK: Final = "ʲ"
_GLIDE: Final = re.compile(rf"{_SOFT_MARK}(?={_STRESS}?[{''.join(_VOWEL.values())}])")
"""Before a vowel softness is heard as a glide: with it and with a for а, in place of ɑ, Whisper misses 10 % of the
characters of ten lines in two voices, without them 12 %."""

_UNSTRESSED: Final = frozenset(
    "і й та а але що як чи же ж б би у в на до з із зі від для за по при про під над без через між не ні бо то це де"
    " о об хай ну".split()
)
"""Little words that lean on the word after or before them."""


class StressDictionary(Protocol):
    def vowel(self, word: str, before: str) -> int | None:
        """Index in `word`, in lower case, of the stressed vowel, if it is known; `before` is the word before it."""
        ...


class Ukrainian:
    """Turns speakable text (see models.tts.speakable_ukrainian) into phonemes; Latin words are left to `english`."""

    def __init__(self, stress: StressDictionary, english: Callable[[str], str]) -> None:
        self._stress = stress
        self._english = english

    def phonemes(self, text: str) -> str:
        """Phonemes of `text`: words apart by a space, punctuation attached to the word before it."""
        pieces: list[str] = []
        before = ""
        for token in _TOKEN.findall(text):
            if token in _PAUSES:
                if pieces:
                    pieces.append(" —" if token == "—" else token)
                before = ""
                continue
            sound = self._english(token) if token[0].isascii() and token[0].isalpha() else self._words(token, before)
            if sound:
                pieces.append(f" {sound}" if pieces else sound)
            before = token.lower()
        return "".join(pieces)

    def _words(self, token: str, before: str) -> str:
        """A word; the parts of a hyphenated one are stressed each."""
        parts = (_STRAY_MARK.sub("", part).strip("'") for part in token.lower().split("-"))
        return " ".join(filter(None, (self._word(part, before) for part in parts)))

    def _word(self, word: str, before: str) -> str:
        return pronounced(word.replace(ACUTE, ""), self._stressed(word, before))

    def _stressed(self, word: str, before: str) -> int | None:
        if ACUTE in word:
            return word.index(ACUTE) - 1
        vowels = [place for place, letter in enumerate(word) if letter in VOWELS]
        if not vowels or word in _UNSTRESSED:
            return None
        if len(vowels) == 1:
            return vowels[0]
        return self._stress.vowel(word, before)


def pronounced(word: str, stressed: int | None) -> str:
    """Symbols of one word in lower case, stressed on the vowel at index `stressed`."""
    marked = word if stressed is None else f"{word[: stressed + 1]}{ACUTE}{word[stressed + 1 :]}"
    for written, said in _SPOKEN_OTHERWISE:
        marked = marked.replace(written, said)
    return _GLIDE.sub("j", "".join(_assimilated(_sounds(marked))))


def _sounds(word: str) -> list[str]:
    """One entry a sound, soft and stressed where it is, neighbours not yet heeded; ACUTE follows a stressed vowel."""
    letters: list[str] = _LETTER.findall(word)
    sounds: list[str] = []
    for place, marked in enumerate(letters):
        letter, before = marked[0], letters[place - 1][0] if place else ""
        after = letters[place + 1][0] if place + 1 < len(letters) else ""
        mark = _STRESS if ACUTE in marked else ""
        if letter in _VOWEL:
            sounds.append(mark + _VOWEL[letter])
        elif letter in _IOTATED:
            if letter == "ї" or not before or before in VOWELS or before in "'йь":
                sounds.append("j")
            else:
                sounds[-1] = _softened(sounds[-1])
            sounds.append(mark + _VOWEL[_IOTATED[letter]])
        elif letter == "ь":
            sounds[-1:] = [_softened(sound) for sound in sounds[-1:]]
        elif letter == "щ":
            sounds += ["ʃ", "ʧ"]
        elif marked in _AFFRICATES:
            sounds.append(_AFFRICATES[marked])
        elif letter == "в" and after not in VOWELS and after != "ь":
            sounds.append("w" if before in VOWELS or not before else "v")
        elif letter in _CONSONANT:
            sounds.append(_CONSONANT[letter])
    return sounds


def _softened(sound: str) -> str:
    """`sound` before я, ю, є or ь; vowels, hushes and what is soft stay as they are."""
    if sound[-1] in f"{_SOFT_MARK}ɲjʃʒʧʤ" or sound[-1] in _VOWEL.values():
        return sound
    return _SOFT.get(sound, sound + _SOFT_MARK)


def _assimilated(sounds: list[str]) -> list[str]:
    """What neighbours do to each other, from the last sound to the first."""
    heard = [*sounds]
    for place in reversed(range(len(heard) - 1)):
        base, following = heard[place][:1], heard[place + 1]
        after = following[:1]
        if base in _VOICELESS and after in _VOICING:
            heard[place] = _VOICED_OF[base] + heard[place][1:]
            base = heard[place][0]
        if base in _HUSHES and after in "ʃʒʧʤ":
            heard[place] = _HUSHES[base]
        elif base in _DENTALS and len(heard[place]) == 1 and _soft_dental(following):
            heard[place] = _softened(heard[place])
    return heard


def _soft_dental(sound: str) -> bool:
    return sound == "ɲ" or (sound[:1] in _DENTALS and sound.endswith(_SOFT_MARK))
