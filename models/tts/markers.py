"""What OpenAudio S1 is asked to say: plain text with the emotion markers that it knows, and no others.

S1 takes English words in parentheses as directions. It knows these; a parenthesis that it does not know it reads aloud,
or it changes the voice in a way that nobody asked for, so such directions are left out, and an aside of the speaker
loses its parentheses.
"""

import re
from collections.abc import Callable
from typing import Final

EMOTIONS: Final = frozenset(
    "angry sad excited surprised satisfied delighted scared worried upset nervous frustrated depressed empathetic "
    "embarrassed disgusted moved proud relaxed grateful confident interested curious confused joyful disdainful "
    "unhappy anxious hysterical indifferent impatient guilty scornful panicked furious reluctant keen "
    "disapproving negative denying astonished serious sarcastic conciliative comforting sincere sneering "
    "hesitating yielding painful awkward amused".split()
)
TONES: Final = frozenset(("in a hurry tone", "shouting", "screaming", "whispering", "soft tone"))
SOUNDS: Final = frozenset(
    (
        *("laughing", "chuckling", "sobbing", "crying loudly", "sighing", "panting", "groaning"),
        *("crowd laughing", "background laughter", "audience laughing"),
    )
)
MARKERS: Final = EMOTIONS | TONES | SOUNDS
"""The documented markers of S1 (Fish Audio's list for OpenAudio S1)."""

_DIRECTION: Final = re.compile(r"\(([^()\[\]]{1,60})\)|\[([^()\[\]]{1,60})\](?!\()|\*([a-z][a-z ]{2,40})\*")
_STAGE_DIRECTION: Final = re.compile(
    r"(?:[a-z'-]+ )?[a-z'-]+(?:s|ing|ed|ly)(?: [a-z'-]+)?|[а-щьюяєіїґ'-]+(?:ться|ає|ує|ючи|ячи)"
)
"""An unknown direction is a word or two in lower case that say what somebody does; other parentheses are asides."""

_SPACES: Final = re.compile(r"[ \t]{2,}")
_SPACE_BEFORE_SIGN: Final = re.compile(r"\s+(?=[.,!?;:…](?:\s|$))")


def directed(text: str, spoken: Callable[[str], str], *, markers: bool = True) -> str:
    """`text` with the known markers in their places and everything between them as `spoken` makes it.

    Empty when there is nothing to say; a marker alone is nothing. Without `markers` all are left out.
    """
    text = _DIRECTION.sub(lambda match: _kept(match, markers=markers), text)
    parts: list[str] = []
    words = False
    position = 0
    for match in _DIRECTION.finditer(text):
        marker = _inside(match).lower()
        if marker not in MARKERS:
            continue
        part = spoken(text[position : match.start()])
        words = words or bool(part)
        parts += [part, f"({marker})"] if part else [f"({marker})"]
        position = match.end()
    part = spoken(text[position:])
    if not (words or part):
        return ""
    return " ".join([*parts, part] if part else _without_last_markers(parts))


def undirected(text: str) -> str:
    """`text` without markers and stage directions, for a voice that would read them aloud."""
    return _DIRECTION.sub(lambda match: _kept(match, markers=False), text)


def legible(text: str) -> str:
    """`text` as people read it: undirected, and without the spaces and commas that a direction leaves behind."""
    if _DIRECTION.search(text) is None:
        return text
    plain = _SPACE_BEFORE_SIGN.sub("", _SPACES.sub(" ", undirected(text)))
    return plain.strip().lstrip(" ,;:.")


def _kept(match: re.Match[str], *, markers: bool) -> str:
    """A direction as it stays in the text: known markers if they are wanted, and asides."""
    inside = _inside(match)
    if inside.lower() in MARKERS:
        return match[0] if markers else ""
    return "" if _STAGE_DIRECTION.fullmatch(inside) else match[0]


def _inside(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None).strip()


def _without_last_markers(parts: list[str]) -> list[str]:
    """A direction after the last word directs nothing, apart from the sounds that a person makes."""
    end = len(parts)
    while end and parts[end - 1].startswith("(") and parts[end - 1][1:-1] not in SOUNDS:
        end -= 1
    return parts[:end]
