"""The screen in a terminal: figures and captions 8 times a second, and a line to type in."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live

from peer_local.control import Controls
from peer_local.screen.desk import COMMANDS, Desk
from peer_local.screen.editor import LineEditor
from peer_local.screen.keyboard import Keyboard
from peer_local.screen.render import Prompt, render
from peer_local.screen.terminal_thread import TerminalThread
from peer_local.screen.view import View

REFRESH_HZ = 8


def possible(console: Console | None = None) -> bool:
    """Whether standard output is a terminal that can show the screen."""
    console = console or Console()
    return console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")


class Screen:
    """Shows what `view` returns, on the terminal's second page, and carries out what is typed, until cancelled.

    `view` and `controls` are called on the event loop and must be quick. While it runs nothing else may write to the
    terminal: send the log to a LogTail.
    """

    def __init__(
        self,
        view: Callable[[], View],
        controls: Controls,
        quit_program: Callable[[], None],
        *,
        keyboard: Keyboard | None,
        console: Console | None = None,
        refresh_hz: float = REFRESH_HZ,
    ) -> None:
        self._get_view = view
        self._console = console or Console(highlight=False)
        self._editor = LineEditor(COMMANDS)
        self._desk = Desk(controls, quit_program)
        self._shown = (View(), Prompt())
        self._thread = TerminalThread(
            keyboard, open_terminal=self._terminal, typed=self._typed, interval_s=1 / refresh_hz
        )

    async def run(self) -> None:
        await self._thread.run(self._look)

    def _look(self) -> None:
        editor, desk = self._editor, self._desk
        view = self._get_view()
        editing = desk.editing(view.draft) and bool(editor.text)
        self._shown = (view, Prompt(editor.text, editor.cursor, desk.notice, desk.help, editing))

    def _typed(self, keys: str) -> None:
        for event, text in self._editor.feed(keys):
            self._desk.press(event, text, self._get_view().draft, self._editor)
        self._look()

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[Callable[[], None]]:
        console = self._console
        with Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        ) as live:

            def draw() -> None:
                view, prompt = self._shown
                live.update(render(view, console.width, console.height, prompt), refresh=True)

            yield draw
