"""Text as a language model writes it, made into English that can be read aloud.

Markdown, links, code, emoji, symbols, abbreviations and numbers become plain words; the punctuation that carries
prosody (. , ! ? ; : — …) stays. What comes out holds only ASCII letters, apostrophes, hyphens, spaces and that
punctuation.
"""

import re
import unicodedata
from typing import Final

from models.tts.markup import LINES, TYPOGRAPHY, AddressWords, Rule, applied, markup, rule, tidy
from models.tts.quantities import spell_quantities


def speakable(text: str) -> str:
    """Return what a person would say for `text`; empty when there is nothing to say."""
    text = unicodedata.normalize("NFC", text).translate(TYPOGRAPHY)
    text = applied(_MARKUP, text)
    text = applied(LINES, text)
    text = applied(_ABBREVIATIONS, text)
    text = spell_quantities(_without_superscripts(text))
    text = applied(_SYMBOLS, text)
    text = _fold(text)
    text = applied(_TIDY, text).strip(" ,;:—-")
    return text if re.search(r"[A-Za-z]", text) else ""


def _without_superscripts(text: str) -> str:
    """Compatibility forms such as ½, ² and full-width digits in their plain spelling."""
    return unicodedata.normalize("NFKC", re.sub("(?<=\\d)(?=[¼½¾⅓⅔⅛])", " and ", text))


def _fold(text: str) -> str:
    """Latin letters without accents; Ukrainian letters romanised; anything else that is no ASCII left out."""
    text = "".join(_UKRAINIAN.get(letter, letter) for letter in text)
    decomposed = unicodedata.normalize("NFKD", text.translate(_LATIN))
    return "".join(letter for letter in decomposed if letter.isascii() or letter in "—…").replace("\n", " ")


def _abbreviation(written: str, spoken: str) -> Rule:
    return rule(rf"(?<![\w.]){re.escape(written)}(?!\w)", spoken)


_LATIN: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "ł": "l", "Ł": "L"})

_MARKUP: Final = (
    *markup(AddressWords(dot="dot", dash="dash", underscore="underscore", at="at")),
    rule(r"\b24/7\b", "twenty-four seven"),
)
_ABBREVIATIONS: Final = (
    rule(r"\bDr\b\.?", "Doctor"),
    rule(r"\bMr\b\.?", "Mister"),
    rule(r"\bMrs\b\.?", "Missus"),
    _abbreviation("Ms.", "Ms"),
    _abbreviation("Prof.", "Professor"),
    _abbreviation("Jr.", "Junior"),
    _abbreviation("Sr.", "Senior"),
    _abbreviation("Mt.", "Mount"),
    _abbreviation("Ave.", "Avenue"),
    _abbreviation("Blvd.", "Boulevard"),
    _abbreviation("Inc.", "Incorporated"),
    _abbreviation("Ltd.", "Limited"),
    _abbreviation("Corp.", "Corporation"),
    _abbreviation("Ph.D.", "PhD"),
    _abbreviation("approx.", "approximately"),
    _abbreviation("w/o", "without"),
    _abbreviation("w/", "with "),
    rule(r"\bSt\. (?=[A-Z])", "Saint "),
    rule(r"(?<=[a-z]) St\.", " Street"),
    rule(r"\b[Nn]o\. ?(?=\d)|#(?=\d)", "number "),
    rule(r"\b[Ff]ig\. ?(?=\d)", "figure "),
    rule(r"\b[Ee]\.?g\.,?", "for example,"),
    rule(r"\bi\.e\.,?|\bI\.e\.,?", "that is,"),
    rule(r"\betc\.(?=\s+[A-Z]|\s*$)", "et cetera."),
    rule(r"\betc\b\.?", "et cetera"),
    rule(r"\b(?:vs|Vs|VS)\b\.?", "versus"),
    rule(r"\b([ap])\.m\.(?=\s+[a-z0-9,;)])", r"\1m"),
    rule(r"\b((?:[A-Z]\.){2,})(?=\s+[A-Z][a-z]|\s*$)", lambda m: m[1].replace(".", "") + "."),
    rule(r"\b((?:[A-Z]\.){2,})", lambda m: m[1].replace(".", "")),
    rule(r"\b([A-Z])\.(?= [A-Z][a-z])", r"\1"),
)
_SYMBOLS: Final = (
    rule(r"(?<=\w)\s?&\s?(?=\w)", " and "),
    rule(r"(?<=\w)\+\+", " plus plus"),
    rule(r"\b([A-G])#", r"\1 sharp"),
    rule(r"\+", " plus "),
    rule(r"\s?(?:<=|≤)\s?", " at most "),
    rule(r"\s?(?:>=|≥)\s?", " at least "),
    rule(r"\s?(?:!=|≠)\s?", " is not equal to "),
    rule(r"\s?(?:[-=]>|→)\s?", " to "),
    rule(r"=+", " equals "),
    rule(r"(?<=\w) < (?=\w)", " is less than "),
    rule(r"(?<=\w) > (?=\w)", " is greater than "),
    rule(r"<(?=\w)", " less than "),
    rule(r">(?=\w)", " more than "),
    rule(r"±", " plus or minus "),
    rule(r"[≈~]", " about "),
    rule(r"[×*](?= ?\w)", " times "),
    rule(r"÷", " divided by "),
    rule(r"\^", " to the power of "),
    rule(r"%", " percent "),
    rule(r"@", " at "),
    rule(r"€|£|₴|¥|\$", " "),
    rule(r"(?<=\w)/(?=\w)", " "),
    rule(r"\s*–\s*|\s+--?\s+|(?<=\w)--(?=\w)", " — "),
    rule(r"[()\[\]{}]", ", "),
)
_TIDY: Final = tidy("A-Za-z")

_UKRAINIAN_LETTERS: Final = (
    "а a б b в v г h ґ g д d е e є ie ж zh з z и y і i ї i й i к k л l м m н n о o п p р r с s т t у u ф f х kh ц ts"
    " ч ch ш sh щ shch ь - ю iu я ia ы y э e ё io ъ -"
).split()
_UKRAINIAN: Final = {
    written: spoken
    for letter, latin in zip(_UKRAINIAN_LETTERS[::2], _UKRAINIAN_LETTERS[1::2], strict=True)
    for written, spoken in ((letter, latin.strip("-")), (letter.upper(), latin.strip("-").capitalize()))
}
"""Romanisation of Ukrainian (Cabinet of Ministers, resolution 55 of 2010), so that a name is said and not skipped."""
