"""What no language says aloud: Markdown, HTML, lists, emoticons; addresses in words; the punctuation that is left."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def rule(pattern: str, replacement: str | Callable[[re.Match[str]], str], flags: int = 0) -> Rule:
    return re.compile(pattern, flags), replacement


def applied(rules: tuple[Rule, ...], text: str) -> str:
    """`text` after each of `rules`, in order."""
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


TYPOGRAPHY: Final = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "\u00a0": " ", "\t": " "}
)
"""Quotation marks and apostrophes in one form, spaces too."""

LINES: Final = (
    rule(r"^[ ]{0,8}(?:#{1,6}|[-*+•·>]+)[ ]+", "", re.MULTILINE),
    rule(r"^[ ]*[-*_=]{3,}[ ]*$", "", re.MULTILINE),
    rule(r"^[ ]*(\d{1,2})[.)][ ]+", r"\1, ", re.MULTILINE),
    rule(r"(?<=[\w)\"'%])[ ]*\n\s*(?=\S)", ". "),
    rule(r"\s+", " "),
)
"""Marks at the start of a line go; a line without a full stop gets one."""


@dataclass(frozen=True, slots=True)
class AddressWords:
    """How the signs of an address are called."""

    dot: str
    dash: str
    underscore: str
    at: str


def markup(words: AddressWords) -> tuple[Rule, ...]:
    """Rules that leave of markup what it marks up, and of links and addresses what one would say."""

    def domain(address: str) -> str:
        for sign, word in ((".", words.dot), ("-", words.dash), ("_", words.underscore)):
            address = address.removeprefix("www.").replace(sign, f" {word} ")
        return address

    def link(match: re.Match[str]) -> str:
        return domain(match["host"])

    def email(match: re.Match[str]) -> str:
        return f"{domain(match['user'])} {words.at} {domain(match['host'])}"

    return (
        rule(r"```.*?(?:```|\Z)", " ", re.DOTALL),
        rule(r"<!--.*?-->|</?[A-Za-z][^<>]{0,200}>", " ", re.DOTALL),
        rule(r"!?\[([^\]\n]+)\]\([^)\s]*\)", r"\1"),
        rule(r"\b[Hh]ttps?://(?P<host>[\w-]+(?:\.[\w-]+)+)(?::\d+)?(?:/[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])?/?", link),
        rule(r"(?P<user>[\w.+-]+)@(?P<host>[\w-]+(?:\.[\w-]+)+)", email),
        rule(
            r"\b(?P<host>(?:www\.)?[A-Za-z][\w-]*(?:\.[\w-]+)*\.(?:com|org|net|io|ai|dev|edu|gov|ua|uk|eu|de|app|co))\b"
            r"(?:/[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])?",
            link,
        ),
        rule(r"(\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", r"\2"),
        rule(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=\S)\*(?!\w)", r"\1"),
        rule(r"(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)", r"\1"),
        rule(r"[`_|~]+(?=\D|$)|(?<=\w)_|\*\*+", " "),
        rule(r"[:;]-?[)(DP](?!\w)|<3(?!\w)", " "),
    )


def tidy(letters: str) -> tuple[Rule, ...]:
    """Rules that keep only `letters` (of a character class), inner apostrophes and hyphens, and single punctuation."""
    return (
        rule(rf"[^{letters}' .,!?;:—…-]", " "),
        rule(rf"(?<![{letters}])'+|'+(?![{letters}])(?<!s')", " "),
        rule(rf"(?<![{letters}])-+|-+(?![{letters}])", " "),
        rule(r"\.{2,}", "…"),
        rule(r"\s+", " "),
        rule(r"\s+(?=[.,!?;:…])", ""),
        rule(r"[,;:—]+\s*(?=[.!?…])", ""),
        rule(r"([.!?…])[.,;:!?…]*", r"\1"),
        rule(r"([,;:])(?:\s?[,;:])+", r"\1"),
        rule(r"([.!?…])(?:\s[,;:.!?…]+)+", r"\1"),
        rule(rf"(?<=[,;:.!?…])(?=[{letters}])", " "),
    )
