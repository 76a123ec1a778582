"""The picture of a View in a terminal: a pure function from value and size to lines.

    who is on air, in letters that cannot be overlooked      state, mode, connection
    the conversation, newest below, the clause that is heard now highlighted
    the draft that waits, with its keys
    levels and figures
    warnings
    ❯ what is being typed

Lines are put together without tables and panels: a picture takes 1.5 ms from the View to the terminal's codes, 1.2 % of
a core at 8 pictures a second.
"""

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from peer_local.screen.conversation import conversation, draft_lines, wrap
from peer_local.screen.desk import HELP
from peer_local.screen.figures import figure_lines, waterfall
from peer_local.screen.lettering import large
from peer_local.screen.look import DIM, ON_AIR, STATE_STYLES, WARNING, fit, spread
from peer_local.screen.view import NOT_YET, PendingDraft, View

NARROWEST, LOWEST = 40, 12
"""A smaller terminal shows the beginning of the picture of this size."""
_TALL = 32


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is being typed, and what the program says to the line before."""

    text: str = ""
    cursor: int = 0
    notice: str = ""
    help: bool = False
    editing: bool = False
    """The line is the draft, to be changed."""


class Picture:
    """Lines as they stand, each exactly as wide as the terminal."""

    def __init__(self, lines: list[Text]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self.lines):
            if number:
                yield Segment.line()
            if line.spans:
                yield from line.render(console)
            else:  # rich gives a text without spans no style of its own
                yield Segment(line.plain, console.get_style(line.style))


def render(view: View, width: int, height: int, prompt: Prompt | None = None) -> Picture:
    """The whole terminal: exactly `height` lines of `width` columns."""
    prompt = prompt or Prompt()
    wide, tall = max(width, NARROWEST), max(height, LOWEST)
    top = _banner(view, wide)
    bottom = _prompt_lines(prompt, wide, draft=view.draft)
    figures = figure_lines(view, wide, stages=tall < _TALL) if tall >= 16 else []
    if tall >= _TALL:
        figures += waterfall(view, wide)
    if figures:
        figures = [_rule(wide), *figures]
    draft = draft_lines(view.draft, wide, at_most=max(3, tall // 4)) if view.draft else []
    free = tall - sum(map(len, (top, bottom, figures, draft))) - 1
    warnings = _warnings(view.warnings, wide, at_most=min(2 if tall < 20 else 4, max(1, free)))
    room = tall - sum(map(len, (top, bottom, warnings, figures, draft)))
    middle = _help_lines(wide, room) if prompt.help else conversation(view, wide, room)
    lines = [*top, *middle, *draft, *figures, *warnings, *bottom]
    if (wide, tall) != (width, height):
        lines = [fit(line, width) for line in lines[:height]]
    return Picture(lines)


def _banner(view: View, width: int) -> list[Text]:
    """Three lines in the colour of who is on air: the word, and on the right what the program does."""
    word, colour = ON_AIR[view.on_air]
    ground = f"bold #ffffff on {colour}"
    state = "held" if view.held else view.state
    lost = view.link != "connected"
    link = {"joining": "joining the room", "waiting": "no performer yet", "connecting": "connecting"}.get(view.link)
    rtt = f" {view.rtt_ms:.0f} ms" if view.rtt_ms is not None else ""
    right = [
        Text.assemble((f" {STATE_STYLES[state][0]} {state.upper()} ", STATE_STYLES[state][1])),
        Text(f"{view.mode} · {view.duplex} duplex", ground),
        Text(f" ▲ {link}… ", "bold black on #fbbf24") if lost else Text(f"● {view.name or 'connected'}{rtt}", ground),
    ]
    if view.picture not in (None, "double" if view.on_air == "double" else "webcam"):
        right[1] = Text(f"camera: {view.picture}", ground)
    if view.recording:
        right[0] = Text.assemble(("● REC ", "bold #ffffff on #b91c1c"), (" ", ground), right[0])
    lines = []
    for number, letters in enumerate(large(word)):
        left = Text(f"  {letters}", ground)
        if number == 1:
            left.append("  ON AIR", ground)
        lines.append(spread(left, right[number].append(" ", ground), width, ground))
    return lines


def _prompt_lines(prompt: Prompt, width: int, *, draft: PendingDraft | None) -> list[Text]:
    """The rule, the line being typed with its cursor, and below it the notice or what can be done."""
    room = width - 4
    start = max(0, prompt.cursor - room + 1)
    shown = prompt.text[start : start + room] + " "
    place = prompt.cursor - start
    typed = Text.assemble(
        (" ❯ ", "bold cyan"), shown[:place], (shown[place : place + 1], "reverse"), shown[place + 1 :]
    )
    below = Text(f"   {prompt.notice}", WARNING) if prompt.notice else Text(f"   {_hint(prompt, draft)}", DIM)
    return [_rule(width), fit(typed, width), fit(below, width)]


def _hint(prompt: Prompt, draft: PendingDraft | None) -> str:
    """What the keys do now."""
    if draft is None:
        return "type to talk · /me /double /kill /stop · /help"
    if prompt.editing:
        return "Enter say this instead · Esc back to the draft as it was"
    if prompt.text:
        return "Enter send this line · Esc clear it, the draft waits"
    if draft.text == NOT_YET:
        return "The answer is being thought of · Esc drop it"
    return "Enter say it · Tab edit · Esc drop it"


def _warnings(warnings: tuple[str, ...], width: int, *, at_most: int) -> list[Text]:
    """The first ones, on two lines each if need be, because what to do stands at the end of a sentence."""
    lines: list[Text] = []
    for warning in warnings:
        rows = wrap(Text(warning, WARNING), width - 4)
        if len(rows) > 2:
            rows = [rows[0], Text(" ".join(row.plain for row in rows[1:]), WARNING)]
        rows = [Text("   " if number else " ▲ ", WARNING).append_text(row) for number, row in enumerate(rows)]
        if lines and len(lines) + len(rows) > at_most:
            break
        lines += [fit(row, width) for row in rows[:at_most]]
    return lines


def _help_lines(width: int, room: int) -> list[Text]:
    lines = [Text.assemble("  ", (f"{name:18}", "bold"), about) for name, about in HELP]
    lines = [Text(), *lines][:room]
    return [fit(line, width) for line in lines + [Text()] * (room - len(lines))]


def _rule(width: int) -> Text:
    return Text("─" * width, DIM)
