"""Words as people hear them: without case, punctuation and small misspellings. Pure."""

import re

_LONG = re.compile(r"(.)\1+")

BACKCHANNELS = frozenset(
    _LONG.sub(r"\1", word)
    for word in (
        "mhm mm hm huh uhhuh uh um erm er ah aha oh wow yeah yep yup yes ya ok okay right sure exactly indeed true "
        "cool nice great good ha haha "
        # Ukrainian, and what the recognizer writes for it
        "ага угу м мгм мхм хм гм так ну ок окей добре гаразд ясно зрозуміло точно авжеж звісно о ого ой ух аха да "
        "понятно хорошо"
    ).split()
)
"""Said to show that one listens, so that nobody stops speaking for it; letters that repeat are written once."""

BACKCHANNEL_PHRASES = frozenset(
    {
        ("i", "see"),
        ("got", "it"),
        ("go", "on"),
        ("all", "right"),
        ("of", "course"),
        ("that's", "right"),
        ("that's", "true"),
        ("makes", "sense"),
        ("fair", "enough"),
        ("я", "розумію"),
        ("це", "правда"),
        ("он", "воно", "що"),
    }
)

MOST_BACKCHANNEL_WORDS = 4

CASE_ENDINGS = frozenset(["", *"а о у и і ю є е я ї ь й ою ею єю ом ем єм ові еві єві ам ям ами ями ах ях".split()])
"""What Ukrainian puts at the end of names, the vocative included."""
_SOFTENED = {"г": "ж", "к": "ч", "х": "ш"}
"""Олег is called Олеже."""

LEAST_FUZZY_LETTERS = 4
LEAST_STEM_LETTERS = 3


def plain(text: str) -> list[str]:
    """The words of `text` in lower case; apostrophes stay, everything else between words goes."""
    unified = text.lower().replace("’", "'").replace("ʼ", "'")
    kept = "".join(character if character.isalnum() or character == "'" else " " for character in unified)
    return [word for word in (part.strip("'") for part in kept.split()) if word]


def alike(one: str, other: str) -> bool:
    """Whether two words may be one word heard twice: equal, or long enough and at most one letter in four differs."""
    if one == other:
        return True
    shorter = min(len(one), len(other))
    return shorter >= LEAST_FUZZY_LETTERS and distance(one, other) <= shorter // 4


def distance(one: str, other: str) -> int:
    """Letters to insert, delete or replace (Levenshtein 1965)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def is_backchannel(text: str) -> bool:
    """Whether `text` only shows that somebody listens."""
    words = plain(text)
    if not words or len(words) > MOST_BACKCHANNEL_WORDS:
        return False
    while words:
        phrase = next((known for known in BACKCHANNEL_PHRASES if tuple(words[: len(known)]) == known), None)
        if phrase is None and not _is_listening_sound(words[0]):
            return False
        del words[: len(phrase) if phrase else 1]
    return True


def _is_listening_sound(word: str) -> bool:
    return _LONG.sub(r"\1", word) in BACKCHANNELS


def names_somebody(text: str, name: str) -> bool:
    """Whether `name`, one or more words, is spoken in `text`, possibly inflected or misheard by a letter."""
    said, wanted = plain(text), plain(name)
    if not wanted:
        return False
    runs = (said[start : start + len(wanted)] for start in range(len(said) - len(wanted) + 1))
    return any(all(_is_name(word, part) for word, part in zip(run, wanted, strict=True)) for run in runs)


def _is_name(word: str, name: str) -> bool:
    word = word.removesuffix("'s")
    if word == name:
        return True
    cyrillic = any("а" <= letter <= "ї" or letter == "ґ" for letter in name)
    if cyrillic and _is_case_of(word, name):
        return True
    same_start = word[:1] == name[:1] or len(name) > LEAST_FUZZY_LETTERS + 1  # bark is not Mark
    return len(name) >= LEAST_FUZZY_LETTERS and len(word) >= len(name) - 1 and same_start and distance(word, name) <= 1


def _is_case_of(word: str, name: str) -> bool:
    stem = name.rstrip("аеєиіїоуюяйь") or name
    if len(stem) < LEAST_STEM_LETTERS:
        return False
    if word.startswith(stem) and word[len(stem) :] in CASE_ENDINGS:
        return True
    softened = stem[:-1] + _SOFTENED.get(stem[-1], stem[-1])
    return word == softened + "е"
