"""Which of two pronunciations a spelling has: "I read it" and "to read it", "the use" and "to use".

Two words on each side decide, no parser: enough for the everyday cases, and the dictionary's default for the rest.
"""

from collections.abc import Mapping, Sequence
from typing import Final

_VERB_FOLLOWS: Final = frozenset(
    "to will would can could should may might must shall do does did don't doesn't didn't can't cannot couldn't won't"
    " wouldn't shouldn't let's please i you we they who i'll you'll we'll they'll he'll she'll it'll i'd you'd we'd"
    " they'd never always also just".split()
)
_SINGULAR_SUBJECTS: Final = frozenset("he she it who that which this everyone somebody someone nobody".split())
_NOUN_FOLLOWS: Final = frozenset(
    "a an the this that these those my your his her its our their some any no every each another one of in for with"
    " on by from at into about without new own much more many first last next".split()
)
_OBJECTS: Final = frozenset(
    "a an the my your his her its our their it them us me him this these those yourself myself".split()
)
_DEGREES: Final = frozenset("is are was were am be been being very so too quite more most it's that's i'm".split())
_AUXILIARIES: Final = frozenset(
    "have has had i've you've we've they've haven't hasn't hadn't was were been being get got".split()
)
_PAST: Final = frozenset("yesterday ago last already once earlier".split())
_ADVERBS: Final = frozenset("not never always also just really still often already only".split())


def pronunciation(choices: Mapping[str, str | None], words: Sequence[str], position: int, *, at_pause: bool) -> str:
    """Choose among a dictionary's `choices` for `words[position]`; all words in lower case.

    Keys are those of the misaki lexicons: DEFAULT, NOUN, VERB, ADJ, ADV, VBD (past), VBN (participle), DT, and None
    for the form before a pause.
    """
    default = choices.get("DEFAULT") or next((choice for choice in choices.values() if choice), "")
    if at_pause and choices.get("None"):
        return choices["None"] or default
    for part in _parts_of_speech(words, position):
        if choices.get(part):
            return choices[part] or default
    return default


def _parts_of_speech(words: Sequence[str], position: int) -> tuple[str, ...]:
    """Likely parts of speech, the likeliest first."""
    word = words[position]
    before = [earlier for earlier in words[max(0, position - 3) : position] if earlier not in _ADVERBS]
    previous = before[-1] if before else ""
    following = words[position + 1] if position + 1 < len(words) else ""
    if previous in _AUXILIARIES and (word == "read" or previous not in ("get", "got", "had", "have", "has")):
        return ("VBN", "ADJ")
    if word == "read" and previous in _VERB_FOLLOWS | _SINGULAR_SUBJECTS and _AUXILIARIES & set(before[:-1]):
        return ("VBN",)
    if word == "used":
        return ("VBD",) if following == "to" else ()
    if word == "that":
        return ()
    if word in ("read", "wound") and (previous in ("he", "she", "it") or _PAST & set(words)):
        return ("VBD",)
    if word == "live" and (previous in _VERB_FOLLOWS or following in ("in", "at", "here", "there", "near", "with")):
        return ("VERB",) if previous not in _DEGREES | {"go", "going", "watch"} else ()
    if previous in _VERB_FOLLOWS:
        return ("VERB",)
    if word.endswith("s") and previous in _SINGULAR_SUBJECTS:
        return ("VERB",)
    if previous in _NOUN_FOLLOWS:
        return ("NOUN",)
    if following in _OBJECTS:
        return ("VERB",)
    if previous in _DEGREES:
        return ("ADJ",)
    if word.endswith("s") and following in ("in", "at", "on", "near") and previous:
        return ("VERB",)
    return ()
