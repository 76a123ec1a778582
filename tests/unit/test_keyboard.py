import os
import sys

import pytest

from peer_local.screen.keyboard import PosixKeyboard, WindowsKeyboard, WindowsPipe

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def console(keys: str) -> WindowsKeyboard:
    waiting, time = list(keys), Time()
    return WindowsKeyboard(lambda: bool(waiting), lambda: waiting.pop(0), now=time.now, sleep=time.sleep)


def test_the_windows_console_gives_keys_as_other_terminals_do() -> None:
    assert console("aї\r").read(1) == "aї\r"
    assert console("\xe0K\x00H\xe0Sx\x00;").read(1) == "\x1b[D\x1b[A\x1b[3~x"
    assert console("\ud83d\ude00").read(1) == "😀"
    assert console("").read(1) == ""


def test_a_windows_pipe_is_read_as_it_fills(tmp_path: object) -> None:
    reader, writer = os.pipe()
    counts = [0, 0, 5, 2]
    time = Time()

    def waiting() -> int:
        if not counts:
            raise BrokenPipeError
        return counts.pop(0)

    pipe = WindowsPipe(reader, waiting, now=time.now, sleep=time.sleep)
    os.write(writer, "abcї\n".encode()[:7])
    assert pipe.read(0.01) == ""
    assert pipe.read(1.0) == "abcї"
    assert pipe.read(1.0) == "\n"
    with pytest.raises(EOFError):
        pipe.read(1.0)
    os.close(reader)
    os.close(writer)


@posix
def test_a_pipe_ends() -> None:
    reader, writer = os.pipe()
    keyboard = PosixKeyboard(reader)
    assert keyboard.read(0) == ""
    data = "привіт\n".encode()
    os.write(writer, data[:3])
    assert keyboard.read(1) == "п"  # half a letter waits for its other half
    os.write(writer, data[3:])
    assert keyboard.read(1) == "ривіт\n"
    os.close(writer)
    with pytest.raises(EOFError):
        keyboard.read(1)
    keyboard.close()
    os.close(reader)


@posix
def test_a_terminal_gets_its_old_state_back() -> None:
    import pty
    import termios

    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    keyboard = PosixKeyboard(slave)
    assert termios.tcgetattr(slave) != before
    os.write(master, b"a")
    assert keyboard.read(1) == "a"  # without Enter, and not echoed
    keyboard.close()
    keyboard.close()
    assert termios.tcgetattr(slave) == before
    untouched = PosixKeyboard(slave, key_by_key=False)
    assert termios.tcgetattr(slave) == before
    untouched.close()
    os.close(master)
    os.close(slave)
