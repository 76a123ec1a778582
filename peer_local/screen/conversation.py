"""The captions of both sides, and the draft that waits for a yes."""

from rich.text import Text

from peer_local.screen.look import DIM, SPEAKERS, fit
from peer_local.screen.view import Line, PendingDraft, View

_MARGIN = 10
"""Columns of the speaker's name."""


def conversation(view: View, width: int, height: int) -> list[Text]:
    """The last utterances that fit on `height` lines, the newest below."""
    rows: list[Text] = []
    for line in reversed(view.lines):
        if len(rows) >= height:
            break
        rows = [*_utterance(line, width), *rows]
    if not view.lines:
        rows = [Text(f"{' ' * _MARGIN}Nobody has said anything yet.", DIM)]
    rows = rows[-height:] if height > 0 else []
    return [fit(row, width) for row in [Text()] * (height - len(rows)) + rows]


def draft_lines(draft: PendingDraft, width: int, *, at_most: int) -> list[Text]:
    """The draft on its own ground, cut with an ellipsis when it takes more than `at_most` lines."""
    ground = "on #3b2f0b"
    rows = wrap(Text(draft.text, f"bold #fde68a {ground}"), width - _MARGIN - 1)
    if len(rows) > at_most - 1:
        rows = rows[: at_most - 1]
        rows[-1] = fit(rows[-1], width - _MARGIN - 2)
        rows[-1].append("…")
    head = Text.assemble(
        (f"{'  draft':{_MARGIN}}", f"bold #fde68a {ground}"), (f"to: {draft.answers}", f"#d6d3d1 {ground}")
    )
    lines = [head, *(Text.assemble((" " * _MARGIN, ground), row) for row in rows)]
    for line in lines:
        fit(line, width)
        line.stylize(ground)
    return lines


def wrap(text: Text, width: int) -> list[Text]:
    """The text on lines of at most `width` columns, broken at blanks, long words broken anywhere."""
    from rich.console import Console

    return list(text.wrap(Console(width=width), width))


def _utterance(line: Line, width: int) -> list[Text]:
    name, colour = SPEAKERS[line.speaker]
    words = Text()
    for number, clause in enumerate(line.clauses):
        if number:
            words.append(" ")
        if line.current is None:
            style = "" if line.final else f"italic {DIM}"
        elif number == line.current:
            style = f"bold black on {colour}"
        else:
            style = DIM if number > line.current else ""
        words.append(" ".join(clause.split()), style)
    if line.interrupted:
        words.append(" ⊘ interrupted", f"italic {DIM}")
    elif not line.final:
        words.append(" …", DIM)
    rows = wrap(words, width - _MARGIN - 1)
    first = Text.assemble(
        ("▌" if line.current is not None else " ", colour), (f" {name:{_MARGIN - 2}}", f"bold {colour}")
    )
    return [(first if number == 0 else Text(" " * _MARGIN)).append_text(row) for number, row in enumerate(rows)]
