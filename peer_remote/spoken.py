"""What a language model writes, made into what a person would say, while it is still being written. Pure.

Markdown, lists, emoji and stage directions go; every ordinary word stays. How numbers, abbreviations and addresses are
read is the voice's business (models/tts). Three layers, each of which holds back only what it cannot decide yet:

    pieces ─► marks, emoji, *directions*, [directions], links ─► (gestures) ─► starts of lines, white space ─► text
"""

import re
import unicodedata
from abc import ABC, abstractmethod

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f\u20e3"
_EMOJI = f"[\U0001f000-\U0001faff\U000e0020-\U000e007f\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\u3030\u303d{_INVISIBLE}]"
_PLAIN = re.compile(r"[^*_~`\[\]|!]")
_IS_EMOJI = re.compile(_EMOJI)
_LONGEST_DIRECTION = 80
"""Characters; a longer text between asterisks or brackets is no stage direction."""
_LONGEST_ADDRESS = 500
_SENTENCE_ENDS = ("", "\n", ".", "!", "?", "…")

_GESTURES = frozenset(
    "laughs smiles grins chuckles giggles sighs nods shrugs winks pauses coughs gasps blushes frowns yawns smiling "
    "grinning nodding shrugging winking сміється усміхається посміхається всміхається регоче хихикає зітхає киває "
    "підморгує кашляє позіхає хмуриться посміхаючись усміхаючись сміючись зітхаючи киваючи".split()
)
"""First words of what is done and not said. The emotion markers of a voice (laughing, sighing, …) are not among them:
in round brackets they are left to it."""
_MOST_GESTURE_WORDS = 4

_Step = tuple[int, str] | None
"""Characters taken and what they become, or None when more must be seen."""


class SpokenFilter:
    """Takes an answer in pieces, cut anywhere; what comes out, joined, does not depend on the cuts."""

    def __init__(self) -> None:
        self._layers = (_Marks(), _Gestures(), _Lines())

    def push(self, piece: str) -> str:
        """What can be said for certain after `piece`; often a little less than what came in."""
        for layer in self._layers:
            piece = layer.push(piece)
        return piece

    def finish(self) -> str:
        """The answer is over: the rest of it."""
        rest = ""
        for layer in self._layers:
            rest = layer.push(rest) + layer.finish()
        return rest


def spoken(text: str) -> str:
    """The whole of `text` as it would be said."""
    words = SpokenFilter()
    return words.push(text) + words.finish()


class _Layer(ABC):
    """Rewrites a stream from left to right, looking ahead as far as its rules need."""

    def __init__(self) -> None:
        self._held = ""
        self._last = ""
        """What was given out last."""
        self._last_visible = ""
        """The same, white space apart; the start of a line counts as visible."""

    def push(self, text: str) -> str:
        self._held += text
        return self._run(final=False)

    def finish(self) -> str:
        return self._run(final=True)

    def _run(self, *, final: bool) -> str:
        given = ""
        while self._held and (step := self._step(self._held, final)) is not None:
            taken, result = step
            self._held = self._held[taken:]
            given += result
            if result:
                self._last = result[-1]
                visible = result.rstrip(" ")
                self._last_visible = visible[-1] if visible else self._last_visible
        return given

    @abstractmethod
    def _step(self, held: str, final: bool) -> _Step:
        """How much of `held` is done with, and what is given out for it; None while more has to be seen."""


class _Marks(_Layer):
    """Drops emoji, marks and stage directions; its output has no asterisk, backtick, square bracket or bar.

    All white space but the line break becomes a space.
    """

    def _step(self, held: str, final: bool) -> _Step:
        first = held[0]
        if _IS_EMOJI.match(first):
            return 1, ""
        if first.isspace() and first != "\n":
            return 1, " "
        if _PLAIN.match(first):
            return 1, first
        match first:
            case "|":
                return 1, " "
            case "]":
                return 1, ""
            case "[":
                return self._bracket(held, final)
        run = len(held) - len(held.lstrip(first))
        following = held[run : run + 1]
        if not following and not final:
            return None
        match first:
            case "!":
                return self._exclamation(held, final) if run == 1 and following == "[" else (1, "!")
            case "~":
                return run, "~" if following.isdigit() else ""
            case "_":
                return run, "_" if self._last.isalnum() and following.isalnum() else ""
            case "`":
                return self._backticks(held, run, following, final)
        return self._asterisks(held, run, following, final)

    def _exclamation(self, held: str, final: bool) -> _Step:
        """An image is dropped whole; any other mark stays."""
        end = _end(held, 2, "]", _LONGEST_DIRECTION, final)
        if end is None:
            return None
        if end < 0 or held[end + 1 : end + 2] != "(":
            undecided = end >= 0 and end + 1 == len(held) and not final
            return None if undecided else (1, "!")
        close = _end(held, end + 2, ")", _LONGEST_ADDRESS, final)
        if close is None:
            return None
        return (1, "!") if close < 0 else (close + 1, "")

    def _bracket(self, held: str, final: bool) -> _Step:
        """A direction goes, of a link the text stays; of what is neither only the bracket goes."""
        end = _end(held, 1, "]", _LONGEST_DIRECTION, final)
        if end is None or (end >= 0 and end + 1 == len(held) and not final):
            return None
        if end < 0 or "[" in held[1:end]:
            return 1, ""
        if held[end + 1 : end + 2] != "(":
            return end + 1, ""
        close = _end(held, end + 2, ")", _LONGEST_ADDRESS, final)
        if close is None:
            return None
        after = held[close + 1 :] if close >= 0 else held[end + 1 :]
        self._held = held[1:end] + after
        return 0, ""

    def _backticks(self, held: str, run: int, following: str, final: bool) -> _Step:
        """Code marks go, with the name of the language; between letters a single one is an apostrophe."""
        if run == 1:
            return 1, "'" if self._last.isalpha() and following.isalpha() else ""
        if run >= 3 and self._last_visible in ("", "\n"):
            end = _end(held, run, "\n", _LONGEST_DIRECTION, final)
            if end is None:
                return None
            if end >= 0 and len(held[run:end].split()) <= 1:
                return end, ""
        return run, ""

    def _asterisks(self, held: str, run: int, following: str, final: bool) -> _Step:
        if run > 1 or not following:
            return run, ""
        inner = held[1:3] if following == " " else held[1:2]
        if self._last_visible.isdigit() and self._last != "\n":
            if inner == " " and not final:
                return None
            if inner[-1:].isdigit():
                return 1, "×"
        if following.isspace():
            return 1, ""
        end = _end(held, 1, "*", _LONGEST_DIRECTION, final)
        if end is None:
            return None
        content = held[1:end]
        if end < 0 or content[-1].isspace() or held[end : end + 2] == "**":
            return 1, ""
        rest = held[end + 1 :].lstrip(" ")
        if not rest and not final:
            return None
        if self._is_direction(content, rest[:1]):
            return end + 1, ""
        self._held = content + held[end + 1 :]
        return 0, ""

    def _is_direction(self, content: str, following: str) -> bool:
        """Whether *content* tells what is done; else it is emphasised."""
        if _first_word(content) in _GESTURES:
            return True
        return self._last_visible in _SENTENCE_ENDS and (following.isupper() or following == "\n")


class _Gestures(_Layer):
    """Drops what is done and not said from round brackets: (smiles), (зітхає)."""

    def _step(self, held: str, final: bool) -> _Step:
        if held[0] != "(":
            return 1, held[0]
        inner = held[1:].lstrip(" ")
        if not inner and not final:
            return None
        if inner.startswith("("):
            return len(held) - len(inner), ""
        end = _end(held, 1, ")", _LONGEST_DIRECTION, final)
        word = re.match(r"\w*", inner)
        decided = final or end is not None or (word is not None and word.end() < len(inner))
        if not decided:
            return None
        if _first_word(inner) not in _GESTURES:
            return 1, "("
        if end is None:
            return None
        if end < 0 or len(held[1:end].split()) > _MOST_GESTURE_WORDS or "(" in held[1:end]:
            return 1, "("
        return end + 1, ""


class _Lines(_Layer):
    """Drops bullets, numbers of a list, marks of headings and quotations, and white space that separates nothing."""

    _PREFIX = re.compile(r"#{1,6}(?=\s|$)|>+|[•◦▪‣·]|[-+–—=]+(?=\s|$)")
    _NUMBER = re.compile(r"\d{1,3}[.)](?=\s)")
    _UNDECIDED = re.compile(r"(?:#{1,6}|[-+–—=]+)\Z")
    _UNDECIDED_NUMBER = re.compile(r"\d{1,3}[.)]?\Z")

    def __init__(self) -> None:
        super().__init__()
        self._at_start = True
        self._pending = ""
        """The line break before the next word, if there is one."""
        self._begun = False

    def _step(self, held: str, final: bool) -> _Step:
        return self._start(held, final) if self._at_start else self._middle(held, final)

    def _start(self, held: str, final: bool) -> _Step:
        if held[0].isspace():
            return 1, ""
        if not final and self._UNDECIDED.match(held):
            return None
        if prefix := self._PREFIX.match(held):
            return prefix.end(), ""
        # A number that begins the answer may be the answer: "7. And yours?"
        if self._begun:
            if not final and self._UNDECIDED_NUMBER.match(held):
                return None
            if number := self._NUMBER.match(held):
                return number.end(), ""
        self._at_start = False
        self._begun = True
        pending, self._pending = self._pending, ""
        return 1, pending + held[0]

    def _middle(self, held: str, final: bool) -> _Step:
        if not held[0].isspace():
            return 1, held[0]
        rest = held.lstrip()
        if not rest:
            return (len(held), "") if final else None
        gap = len(held) - len(rest)
        if "\n" in held[:gap]:
            self._at_start = True
            self._pending = "\n"
            return gap, ""
        if rest[0] in ".,!?;:…":
            if len(rest) == 1 and not final:
                return None
            if len(rest) == 1 or rest[1].isspace():
                return gap, ""
        return gap, " "


def _end(held: str, start: int, closer: str, longest: int, final: bool) -> int | None:
    """Where `closer` ends the span that begins at `start`; -1 when it does not, None when that is not known yet."""
    span = held[start : start + longest]
    place = span.find(closer)
    line_break = span.find("\n")
    if place >= 0 and (line_break < 0 or place <= line_break):
        return start + place
    if line_break >= 0 or len(span) == longest or final:
        return -1
    return None


def _first_word(text: str) -> str:
    word = re.match(r"\s*(\w*)", unicodedata.normalize("NFC", text))
    return word.group(1).casefold() if word else ""
