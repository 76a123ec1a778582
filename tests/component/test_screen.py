"""The terminal view on a real pseudo-terminal, and the plain log on a pipe."""

import asyncio
import io
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from peer_local.screen.plain import PlainLog
from peer_local.screen.screen import Screen
from peer_local.screen.view import Line, View
from tests.unit.test_desk import Told

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")

VIEW = View(on_air="double", link="connected", name="Olena", lines=(Line(1, "call", ("Чуєте нас?",)),))

PROGRAM = """
import asyncio, sys
from peer_local.screen.keyboard import open_keyboard
from peer_local.screen.screen import Screen, possible
from peer_local.screen.view import Line, View
from tests.unit.test_desk import Told

async def main():
    assert possible()
    told = Told()
    stop = asyncio.Event()
    view = View(on_air="double", link="connected", lines=(Line(1, "call", ("Чуєте нас?",)),))
    screen = Screen(lambda: view, told, stop.set, keyboard=open_keyboard(), refresh_hz=50)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(screen.run())
        await stop.wait()
        if told.calls == [("say", "crash")]:
            raise RuntimeError("boom")
        running.cancel()
    print(told.calls)

asyncio.run(main())
"""


class Keys:
    """A keyboard that gives what the test puts in; None ends it."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[str | None] = queue.Queue()
        self.closed = False

    def read(self, timeout_s: float) -> str:
        try:
            keys = self.waiting.get(timeout=timeout_s)
        except queue.Empty:
            return ""
        if keys is None:
            raise EOFError
        return keys

    def close(self) -> None:
        self.closed = True


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def end(running: asyncio.Task[None]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def on_terminal(typed: list[tuple[bytes, bytes]]) -> tuple[str, bool, int]:
    """Run PROGRAM on a terminal; each entry: wait for this on it, then type that. Its output, restored?, status."""
    import pty
    import termios

    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    before = termios.tcgetattr(slave)
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    ) as process:
        os.set_blocking(master, False)
        shown = b""
        deadline_s = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
            shown += _available(master)
            if typed and typed[0][0] in shown:
                os.write(master, typed.pop(0)[1])
        process.kill()
        status = process.wait()
        shown += _available(master)
    restored = termios.tcgetattr(slave) == before
    os.close(slave)
    os.close(master)
    return shown.decode(errors="replace"), restored, status


def _available(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


@posix
def test_lines_typed_in_a_real_terminal_reach_the_program_and_the_terminal_is_restored() -> None:
    shown, restored, status = on_terminal([("Чуєте".encode(), b"/m\x7fme\r"), ("❯".encode(), b"/quit\r")])
    assert "\x1b[?1049h" in shown  # the terminal's second page, and back
    assert shown.index("\x1b[?1049h") < shown.index("ON AIR") < shown.index("\x1b[?1049l")
    assert shown.endswith("[('takeover', 'self')]\r\n")
    assert restored and status == 0


@posix
def test_the_terminal_is_restored_after_a_crash() -> None:
    shown, restored, status = on_terminal([(b"ON AIR", b"crash\r"), ("❯".encode(), b"\x04")])
    assert "\x1b[?1049l" in shown and "\x1b[?25h" in shown
    assert "RuntimeError: boom" in shown.partition("\x1b[?1049l")[2]
    assert restored and status == 1


async def test_the_plain_log_writes_changes_and_takes_lines() -> None:
    keys, told, written = Keys(), Told(), list[str]()
    views = [VIEW]
    plain = PlainLog(lambda: views[-1], told, lambda: None, keyboard=keys, write=written.append, interval_s=0.005)
    running = asyncio.create_task(plain.run())
    keys.waiting.put("hel")
    keys.waiting.put("lo\r\n/mode x\n/he")
    keys.waiting.put("lp")
    keys.waiting.put(None)
    await until(lambda: any(line.startswith("/me ") for line in written))
    views.append(replace(VIEW, on_air="self"))
    await until(lambda: "on air   | self\n" in written)
    await end(running)
    assert told.calls == [("say", "hello")]
    assert written[:3] == ["on air   | double\n", "link     | connected to Olena\n", "call     | Чуєте нас?\n"]
    assert "         | Modes are converse, repeat, approve and addressed.\n" in written
    assert keys.closed


async def test_a_reader_that_went_away_ends_the_plain_log_and_nothing_else() -> None:
    def broken(_: str) -> None:
        raise BrokenPipeError

    keys = Keys()
    plain = PlainLog(lambda: VIEW, Told(), lambda: None, keyboard=keys, write=broken, interval_s=0.005)
    async with asyncio.timeout(5):
        await plain.run()
    assert keys.closed


async def test_a_screen_without_a_keyboard_still_shows() -> None:
    output = io.StringIO()
    console = Console(file=output, width=80, height=24, force_terminal=True)
    running = asyncio.create_task(
        Screen(lambda: VIEW, Told(), lambda: None, keyboard=None, console=console, refresh_hz=200).run()
    )
    await until(lambda: "Чуєте нас?" in output.getvalue())
    await end(running)
    assert output.getvalue().endswith("\x1b[?25h\x1b[?1049l")
