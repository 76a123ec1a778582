"""What a voice of many languages is asked to say: clean text whose numbers are words, in the language it is in."""

import re
import unicodedata
from typing import Final

from models.tts import speakable as english
from models.tts import speakable_ukrainian as ukrainian
from models.tts.markup import LINES, TYPOGRAPHY, AddressWords, applied, markup, rule

_CYRILLIC: Final = re.compile(r"[\u0400-\u04ff]")
_MARKUP: Final = markup(AddressWords(dot="dot", dash="dash", underscore="underscore", at="at"))
_TIDY: Final = (
    rule(r"\s*[()\[\]{}]\s*", ", "),
    rule(r"[*_`#|~<>\\^]+", " "),
    rule(r"(?:, )+(?=[.,!?;:…])|^(?:, )+", ""),
    rule(r"\s+", " "),
    rule(r"\s+(?=[.,!?;:…])", ""),
)
_GOES_ON: Final = re.compile(r"[,;:—]\s*$")


def spoken(text: str) -> str:
    """What is said for `text`, without any markup or parenthesis; empty when there is nothing to say.

    English and Ukrainian go the way of the embedded voice; other Latin letters stay as they are. A clause that ends
    within a sentence keeps its comma, from which the voice knows that it goes on.
    """
    if _CYRILLIC.search(text):
        words = ukrainian.speakable(text)
    elif all(letter.isascii() for letter in text if letter.isalpha()):
        words = english.speakable(text)
    else:
        words = _unmarked(text)
    return f"{words}," if words and words[-1].isalnum() and _GOES_ON.search(text) else words


def _unmarked(text: str) -> str:
    text = applied(LINES, applied(_MARKUP, unicodedata.normalize("NFC", text).translate(TYPOGRAPHY)))
    text = "".join(sign for sign in text if unicodedata.category(sign) not in ("So", "Sk", "Cs", "Co", "Cf"))
    text = applied(_TIDY, text).strip(" ,;:—-")
    return text if any(letter.isalpha() for letter in text) else ""
