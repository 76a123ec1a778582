"""What the operator's lines mean: a slash command, or words for the double."""

import difflib
from collections.abc import Callable
from typing import cast, get_args

from peer_local.control import Controls
from peer_local.errors import ControlRefused
from peer_local.screen.editor import LineEditor
from peer_local.screen.view import NOT_YET, PendingDraft
from peer_local.settings import Mode

HELP = (
    ("/me", "you are on air: your own camera and microphone"),
    ("/double", "the double is on air"),
    ("/kill", "at once nobody, or you, as the settings say"),
    ("/stop", "the double falls silent and listens"),
    ("/mode NAME", "converse, repeat, approve or addressed"),
    ("/approve [TEXT]", "say the draft, or TEXT instead of it (Enter)"),
    ("/veto", "drop the draft (Esc)"),
    ("/record on|off", "record what goes on air"),
    ("/help", "show or hide these lines"),
    ("/quit", "end the program (Ctrl-C)"),
)
COMMANDS = tuple(line.split()[0] for line, _ in HELP)


class Desk:
    """Carries out lines and keys on the event loop; `notice` is what to tell the operator about the last one."""

    def __init__(self, controls: Controls, quit_program: Callable[[], None]) -> None:
        self._controls = controls
        self._quit = quit_program
        self._editing: PendingDraft | None = None
        self.notice = ""
        self.help = False
        """Whether the list of commands is to be shown."""

    def editing(self, draft: PendingDraft | None) -> bool:
        """Whether the line being typed is `draft`, to be changed."""
        return draft is not None and self._editing == draft

    def press(self, event: str, text: str, draft: PendingDraft | None, editor: LineEditor) -> None:
        """Take an event of the line editor; with a draft and an empty line Enter approves, Tab edits, Esc vetoes."""
        editing = self.editing(draft)
        match event:
            case "quit":
                self._quit()
            case "line" if draft is not None and (not text or (editing and not text.startswith("/"))):
                self.take(f"/approve {text}")
            case "line":
                self.take(text)
            case "tab" if draft is not None and draft.text != NOT_YET:
                editor.set(draft.text)
                self._editing = draft
                return
            case "escape" if draft is not None:
                self.take("/veto")
            case "escape":
                self.help, self.notice = False, ""
        self._editing = None

    def take(self, line: str) -> None:
        """Carry out a typed line. Whatever is wrong with it becomes the notice."""
        try:
            self.notice = self._carry_out(line.strip())
        except ControlRefused as error:
            self.notice = str(error)

    def _carry_out(self, line: str) -> str:
        if not line.startswith("/") or line.startswith("//"):
            if line:
                self._controls.say(line.removeprefix("/"))
            return ""
        name, _, rest = line.partition(" ")
        rest = rest.strip()
        match name:
            case "/me":
                self._controls.takeover("self")
            case "/double":
                self._controls.takeover("double")
            case "/kill":
                self._controls.kill()
            case "/stop":
                self._controls.interrupt()
            case "/mode":
                return self._mode(rest)
            case "/approve":
                self._controls.approve(rest or None)
            case "/veto":
                self._controls.veto()
            case "/record" if rest in ("on", "off"):
                self._controls.record(rest == "on")
            case "/record":
                raise ControlRefused("Write /record on, or /record off.")
            case "/help":
                self.help = not self.help
            case "/quit":
                self._quit()
            case _:
                near = difflib.get_close_matches(name, COMMANDS, n=1)
                hint = f"did you mean {near[0]}?" if near else "/help shows them all."
                raise ControlRefused(f"{name} is not a command; {hint}")
        return ""

    def _mode(self, name: str) -> str:
        modes = get_args(Mode)
        fitting = [mode for mode in modes if name and mode.startswith(name.lower())]
        if len(fitting) != 1:
            raise ControlRefused(f"Modes are {', '.join(modes[:-1])} and {modes[-1]}.")
        self._controls.set_mode(cast(Mode, fitting[0]))
        return ""
