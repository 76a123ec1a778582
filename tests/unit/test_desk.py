from typing import Any

import pytest

from peer_local.errors import ControlRefused
from peer_local.screen.desk import Desk
from peer_local.screen.editor import LineEditor
from peer_local.screen.view import PendingDraft

DRAFT = PendingDraft("When?", "On Thursday.")


class Told:
    """Controls that note each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.refuse = ""

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> None:
            if self.refuse:
                raise ControlRefused(self.refuse)
            self.calls.append((name, *arguments))

        return call


class Seat:
    """An operator at the desk."""

    def __init__(self) -> None:
        self.told = Told()
        self.ended = 0
        self.editor = LineEditor()
        self.desk = Desk(self.told, self._end)

    def _end(self) -> None:
        self.ended += 1

    def type(self, keys: str, draft: PendingDraft | None = None) -> list[tuple[Any, ...]]:
        """What the program was told after these keys."""
        self.told.calls.clear()
        for event, text in self.editor.feed(keys):
            self.desk.press(event, text, draft, self.editor)
        return self.told.calls


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("Привіт", ("say", "Привіт")),
        ("//etc", ("say", "/etc")),
        ("/me", ("takeover", "self")),
        ("/double", ("takeover", "double")),
        ("/kill", ("kill",)),
        ("/stop", ("interrupt",)),
        ("/mode repeat", ("set_mode", "repeat")),
        ("/mode ap", ("set_mode", "approve")),
        ("/approve", ("approve", None)),
        ("/approve On Friday.", ("approve", "On Friday.")),
        ("/veto", ("veto",)),
        ("/record on", ("record", True)),
        ("/record off", ("record", False)),
    ],
)
def test_a_line_is_a_command_or_words(line: str, call: tuple[Any, ...]) -> None:
    seat = Seat()
    assert seat.type(f"{line}\r") == [call]
    assert seat.desk.notice == ""


@pytest.mark.parametrize(
    ("line", "notice"),
    [
        ("/modes x", "/modes is not a command; did you mean /mode?"),
        ("/xyzzy", "/xyzzy is not a command; /help shows them all."),
        ("/mode a", "Modes are converse, repeat, approve and addressed."),
        ("/mode", "Modes are converse, repeat, approve and addressed."),
        ("/record", "Write /record on, or /record off."),
    ],
)
def test_a_wrong_command_says_what_is_right(line: str, notice: str) -> None:
    seat = Seat()
    assert seat.type(f"{line}\r") == []
    assert seat.desk.notice == notice


def test_a_refusal_is_shown_until_the_next_line() -> None:
    seat = Seat()
    seat.told.refuse = "The double is not connected."
    seat.type("hello\r")
    assert seat.desk.notice == "The double is not connected."
    seat.told.refuse = ""
    seat.type("hello\r")
    assert seat.desk.notice == ""


def test_enter_says_the_draft_and_escape_drops_it() -> None:
    seat = Seat()
    assert seat.type("\r", DRAFT) == [("approve", None)]
    assert seat.type("\x1b", DRAFT) == [("veto",)]
    assert seat.type("\r") == seat.type("\x1b") == []


def test_tab_brings_the_draft_into_the_line_for_editing() -> None:
    seat = Seat()
    assert seat.type("\t\x17Friday.\r", DRAFT) == [("approve", "On Friday.")]
    assert seat.type("\tx\x1b", DRAFT) == []
    assert seat.type("something else\r", DRAFT) == [("say", "something else")]
    assert seat.type("\t", DRAFT) == []
    assert seat.type("\r", PendingDraft("When?", "Another draft.")) == [("say", "On Thursday.")]


def test_words_typed_beside_a_draft_are_words() -> None:
    assert Seat().type("Wait.\r", DRAFT) == [("say", "Wait.")]


def test_quitting_and_help() -> None:
    seat = Seat()
    shown = []
    for keys in ("/help\r", "\x1b", "/help\r", "/help\r"):
        seat.type(keys)
        shown.append(seat.desk.help)
    assert shown == [True, False, True, False]
    seat.type("/quit\r\x04")
    assert seat.ended == 2
