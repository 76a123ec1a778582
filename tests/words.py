"""Transcripts in the form in which they are compared."""

import re


def ukrainian_words(text: str) -> str:
    """Words in lower case, one space apart, without punctuation and stress marks; hyphenated ones are several."""
    plain = text.lower().replace("\u0301", "").replace("’", "'").replace("-", " ")
    return " ".join(re.sub(r"[^а-щьюяєіїґ' ]", " ", plain).split())
