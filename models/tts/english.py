"""English text as the phonemes that Kokoro reads, with punctuation kept for prosody."""

import re
from collections.abc import Sequence
from typing import Final

from models.tts.heteronyms import pronunciation
from models.tts.lexicon import Lexicon

_TOKEN: Final = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*'?|[.,!?;:—…]")
_PAUSES: Final = ".,!?;:—…"
_VOWELS: Final = frozenset("aeiouæɑɐɔəɛɜɪʊʌᵊᵻAIOQWY")
_STRESSES: Final = "ˈˌ"


class English:
    """Turns speakable text (see models.tts.speakable) into phonemes."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def phonemes(self, text: str) -> str:
        """Phonemes of `text`: words apart by a space, punctuation attached to the word before it."""
        tokens = self._tokens(text)
        words = [token.lower() for token in tokens]
        sounds = [""] * len(tokens)
        following = ""
        for index in reversed(range(len(tokens))):
            token = tokens[index]
            sounds[index] = token if token in _PAUSES else self._word(tokens, words, index, following)
            following = sounds[index]
        pieces: list[str] = []
        for sound in sounds:
            if pieces and sound not in _PAUSES:
                pieces.append(" ")
            if sound == "—":
                pieces.append(" ")
            pieces.append(sound)
        return "".join(pieces)

    def _tokens(self, text: str) -> list[str]:
        """Words and punctuation; a hyphenated word that no dictionary has is several words."""
        tokens: list[str] = []
        for token in _TOKEN.findall(text):
            if "-" in token and not self._lexicon.knows(token):
                tokens += token.split("-")
            elif tokens or token not in _PAUSES:
                tokens.append(token)
        return tokens

    def _word(self, tokens: Sequence[str], words: Sequence[str], index: int, following: str) -> str:
        at_pause = following == "" or following in _PAUSES
        weak = _weak_form(tokens, index, before_vowel=_begins_with_vowel(following), at_pause=at_pause)
        if weak:
            return weak
        entry = self._lexicon.find(tokens[index])
        if isinstance(entry, str):
            return entry
        start = max((place + 1 for place in range(index) if tokens[place] in _PAUSES), default=0)
        end = next((place for place in range(index, len(tokens)) if tokens[place] in _PAUSES), len(tokens))
        return pronunciation(entry, words[start:end], index - start, at_pause=at_pause)


def _weak_form(tokens: Sequence[str], index: int, *, before_vowel: bool, at_pause: bool) -> str:
    """How a function word sounds in its place; empty for all others."""
    token = tokens[index]
    at_start = index == 0 or tokens[index - 1] in _PAUSES
    match token.lower():
        case "a" if token == "a" or (at_start and not at_pause):
            return "ɐ"
        case "an":
            return "ɐn"
        case "i":
            return "ˌI"
        case "the":
            return "ði" if before_vowel else "ðə"
        case "to":
            return "tu" if at_pause else "tʊ" if before_vowel else "tə"
        case "used" if index + 1 < len(tokens) and tokens[index + 1] == "to":
            return "jˈust"
    return ""


def _begins_with_vowel(sound: str) -> bool:
    return sound.lstrip(_STRESSES)[:1] in _VOWELS if sound.lstrip(_STRESSES) else False
