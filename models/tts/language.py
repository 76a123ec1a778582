"""Which language a clause is in, as its letters tell."""

from typing import Final, Literal

Language = Literal["en", "uk"]

_CYRILLIC: Final = range(0x0400, 0x0530)


def language_of(text: str, *, otherwise: Language) -> Language:
    """Ukrainian if most letters are Cyrillic, English if most are not, `otherwise` for a tie or no letters at all."""
    letters = [letter for letter in text if letter.isalpha()]
    cyrillic = sum(ord(letter) in _CYRILLIC for letter in letters)
    if 2 * cyrillic == len(letters):
        return otherwise
    return "uk" if 2 * cyrillic > len(letters) else "en"
