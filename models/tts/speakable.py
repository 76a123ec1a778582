"""Text as a language model writes it, made into English that can be read aloud.

Markdown, links, code, emoji, symbols, abbreviations and numbers become plain words; the punctuation that carries
prosody (. , ! ? ; : — …) stays. What comes out holds only ASCII letters, apostrophes, hyphens, spaces and that
punctuation.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from models.tts.quantities import spell_quantities

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def speakable(text: str) -> str:
    """Return what a person would say for `text`; empty when there is nothing to say."""
    text = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHY)
    text = _apply(_MARKUP, text)
    text = _apply(_LINES, text)
    text = _apply(_ABBREVIATIONS, text)
    text = spell_quantities(_without_superscripts(text))
    text = _apply(_SYMBOLS, text)
    text = _fold(text)
    text = _apply(_TIDY, text).strip(" ,;:—-")
    return text if re.search(r"[A-Za-z]", text) else ""


def _apply(rules: tuple[Rule, ...], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _without_superscripts(text: str) -> str:
    """Compatibility forms such as ½, ² and full-width digits in their plain spelling."""
    return unicodedata.normalize("NFKC", re.sub("(?<=\\d)(?=[¼½¾⅓⅔⅛])", " and ", text))


def _fold(text: str) -> str:
    """Latin letters without accents; Ukrainian letters romanised; anything else that is no ASCII left out."""
    text = "".join(_UKRAINIAN.get(letter, letter) for letter in text)
    decomposed = unicodedata.normalize("NFKD", text.translate(_LATIN))
    return "".join(letter for letter in decomposed if letter.isascii() or letter in "—…").replace("\n", " ")


def _domain(address: str) -> str:
    return address.removeprefix("www.").replace(".", " dot ").replace("-", " dash ").replace("_", " underscore ")


def _link(match: re.Match[str]) -> str:
    return _domain(match["host"])


def _email(match: re.Match[str]) -> str:
    return f"{_domain(match['user'])} at {_domain(match['host'])}"


def _rule(pattern: str, replacement: str | Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    return re.compile(pattern, flags), replacement


def _abbreviation(written: str, spoken: str) -> Rule:
    return _rule(rf"(?<![\w.]){re.escape(written)}(?!\w)", spoken)


_TYPOGRAPHY: Final = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "\u00a0": " ", "\t": " "}
)
_LATIN: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "œ": "oe", "ł": "l", "Ł": "L"})

_MARKUP: Final = (
    _rule(r"```.*?(?:```|\Z)", " ", re.DOTALL),
    _rule(r"<!--.*?-->|</?[A-Za-z][^<>]{0,200}>", " ", re.DOTALL),
    _rule(r"!?\[([^\]\n]+)\]\([^)\s]*\)", r"\1"),
    _rule(r"\b[Hh]ttps?://(?P<host>[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?:/[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])?/?", _link),
    _rule(r"(?P<user>[\w.+-]+)@(?P<host>[\w-]+(?:\.[\w-]+)+)", _email),
    _rule(
        r"\b(?P<host>(?:www\.)?[A-Za-z][\w-]*(?:\.[\w-]+)*\.(?:com|org|net|io|ai|dev|edu|gov|ua|uk|eu|de|app|co))\b"
        r"(?:/[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])?",
        _link,
    ),
    _rule(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", r"\2"),
    _rule(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=\S)\*(?!\w)", r"\1"),
    _rule(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)", r"\1"),
    _rule(r"[`_|~]+(?=\D|$)|(?<=\w)_|\*\*+", " "),
    _rule(r"[:;]-?[)(DP](?!\w)|<3(?!\w)", " "),
    _rule(r"\b24/7\b", "twenty-four seven"),
)
_LINES: Final = (
    _rule(r"^[ ]{0,8}(?:#{1,6}|[-*+•·>]+)[ ]+", "", re.MULTILINE),
    _rule(r"^[ ]*[-*_=]{3,}[ ]*$", "", re.MULTILINE),
    _rule(r"^[ ]*(\d{1,2})[.)][ ]+", r"\1, ", re.MULTILINE),
    _rule(r"(?<=[\w)\"'%])[ ]*\n\s*(?=\S)", ". "),
    _rule(r"\s+", " "),
)
_ABBREVIATIONS: Final = (
    _rule(r"\bDr\b\.?", "Doctor"),
    _rule(r"\bMr\b\.?", "Mister"),
    _rule(r"\bMrs\b\.?", "Missus"),
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
    _rule(r"\bSt\. (?=[A-Z])", "Saint "),
    _rule(r"(?<=[a-z]) St\.", " Street"),
    _rule(r"\b[Nn]o\. ?(?=\d)|#(?=\d)", "number "),
    _rule(r"\b[Ff]ig\. ?(?=\d)", "figure "),
    _rule(r"\b[Ee]\.?g\.,?", "for example,"),
    _rule(r"\bi\.e\.,?|\bI\.e\.,?", "that is,"),
    _rule(r"\betc\.(?=\s+[A-Z]|\s*$)", "et cetera."),
    _rule(r"\betc\b\.?", "et cetera"),
    _rule(r"\b(?:vs|Vs|VS)\b\.?", "versus"),
    _rule(r"\b([ap])\.m\.(?=\s+[a-z0-9,;)])", r"\1m"),
    _rule(r"\b((?:[A-Z]\.){2,})(?=\s+[A-Z][a-z]|\s*$)", lambda m: m[1].replace(".", "") + "."),
    _rule(r"\b((?:[A-Z]\.){2,})", lambda m: m[1].replace(".", "")),
    _rule(r"\b([A-Z])\.(?= [A-Z][a-z])", r"\1"),
)
_SYMBOLS: Final = (
    _rule(r"(?<=\w)\s?&\s?(?=\w)", " and "),
    _rule(r"(?<=\w)\+\+", " plus plus"),
    _rule(r"\b([A-G])#", r"\1 sharp"),
    _rule(r"\+", " plus "),
    _rule(r"\s?(?:<=|≤)\s?", " at most "),
    _rule(r"\s?(?:>=|≥)\s?", " at least "),
    _rule(r"\s?(?:!=|≠)\s?", " is not equal to "),
    _rule(r"\s?(?:[-=]>|→)\s?", " to "),
    _rule(r"=+", " equals "),
    _rule(r"(?<=\w) < (?=\w)", " is less than "),
    _rule(r"(?<=\w) > (?=\w)", " is greater than "),
    _rule(r"<(?=\w)", " less than "),
    _rule(r">(?=\w)", " more than "),
    _rule(r"±", " plus or minus "),
    _rule(r"[≈~]", " about "),
    _rule(r"[×*](?= ?\w)", " times "),
    _rule(r"÷", " divided by "),
    _rule(r"\^", " to the power of "),
    _rule(r"%", " percent "),
    _rule(r"@", " at "),
    _rule(r"€|£|₴|¥|\$", " "),
    _rule(r"(?<=\w)/(?=\w)", " "),
    _rule(r"\s*–\s*|\s+--?\s+|(?<=\w)--(?=\w)", " — "),
    _rule(r"[()\[\]{}]", ", "),
)
_TIDY: Final = (
    _rule(r"[^A-Za-z' .,!?;:—…-]", " "),
    _rule(r"(?<![A-Za-z])'+|'+(?![A-Za-z])(?<!s')", " "),
    _rule(r"(?<![A-Za-z])-+|-+(?![A-Za-z])", " "),
    _rule(r"\.{2,}", "…"),
    _rule(r"\s+", " "),
    _rule(r"\s+(?=[.,!?;:…])", ""),
    _rule(r"[,;:—]+\s*(?=[.!?…])", ""),
    _rule(r"([.!?…])[.,;:!?…]*", r"\1"),
    _rule(r"([,;:])(?:\s?[,;:])+", r"\1"),
    _rule(r"([.!?…])(?:\s[,;:.!?…]+)+", r"\1"),
    _rule(r"(?<=[,;:.!?…])(?=[A-Za-z])", " "),
)

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
