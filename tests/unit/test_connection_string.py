"""The one line that lets a peer into a room elsewhere: it survives being copied, and says what is wrong with it."""

import shlex
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from signaling.auth import issue
from signaling.connection_string import ConnectionString

PIN = "h0_T-" + "a1" * 19
TOKEN = issue("a secret of the service", room="main", role="operator", lifetime_s=60, now_s=1_800_000_000)
PINNED = ConnectionString("203.0.113.7", 33526, "main", TOKEN, pin=PIN)


@pytest.mark.parametrize(
    "connection",
    [
        PINNED,
        ConnectionString("double.example.org", 443, "studio-2_a", TOKEN),
        ConnectionString("127.0.0.1", 8080, "main", TOKEN, tls=False),
        ConnectionString("2001:db8::7", 443, "main", TOKEN, pin=PIN),
    ],
)
def test_what_was_written_is_read(connection: ConnectionString) -> None:
    assert ConnectionString.parse(str(connection)) == connection


def test_it_leads_to_the_service() -> None:
    assert PINNED.socket_url == "wss://203.0.113.7:33526/ws"
    assert ConnectionString("::1", 8080, "main", TOKEN, tls=False).socket_url == "ws://[::1]:8080/ws"
    assert PINNED.page_url == "https://203.0.113.7:33526"


def test_a_shell_takes_it_as_one_word_without_quotes() -> None:
    assert shlex.quote(str(PINNED)) == str(PINNED)
    said = subprocess.run(["sh", "-c", f"echo {PINNED}"], capture_output=True, text=True, timeout=10).stdout
    assert said.strip() == str(PINNED)


def test_an_env_file_takes_it_without_quotes(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"CONNECTION={PINNED}\n")
    assert dotenv_values(file)["CONNECTION"] == str(PINNED)


@pytest.mark.parametrize("pasted", [" {}\n", "'{}'", '"{}"', "<{}>", "`{}`"])
def test_what_stands_around_it_does_no_harm(pasted: str) -> None:
    assert ConnectionString.parse(pasted.format(PINNED)) == PINNED


def test_a_line_that_a_terminal_has_broken_is_whole_again() -> None:
    text = str(PINNED)
    assert ConnectionString.parse(f"{text[:60]}\n{text[60:110]}\r\n  {text[110:]}") == PINNED


@pytest.mark.parametrize("cut", [1, 10, len(PIN) - 1, len(PIN)])
def test_a_line_that_was_cut_off_is_noticed(cut: int) -> None:
    with pytest.raises(ValueError, match="the pin at the end of the connection string is not whole"):
        ConnectionString.parse(str(PINNED)[:-cut])


@pytest.mark.parametrize("host", ["198.51.101.7", "2600::7"])
def test_a_line_that_was_cut_off_before_its_pin_sends_no_token_in_clear(host: str) -> None:
    whole = str(ConnectionString(host, 33526, "main", TOKEN, pin=PIN))
    for cut in (len(PIN) + 1, len(PIN) + 3):
        with pytest.raises(ValueError, match="copy it once more, whole"):
            ConnectionString.parse(whole[:-cut])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://203.0.113.7/", "begins with understudy://"),
        ("understudy://203.0.113.7:33526/main", r"is understudy://TOKEN@HOST:PORT/ROOM/PIN"),
        (f"understudy://{TOKEN}@203.0.113.7/main", r"is understudy://TOKEN@HOST:PORT/ROOM/PIN"),
        (f"understudy://{TOKEN}@203.0.113.7:0/main", "port"),
        (f"understudy://{TOKEN}@203.0.113.7:70000/main", "port"),
        (f"understudy://{TOKEN}@203.0.113.7:33526/", "names no room"),
        (f"understudy://{TOKEN}@203.0.113.7:33526/two rooms!/tls", "names no room"),
        (f"understudy://{TOKEN}@203.0.113.7:33526/main/{PIN}/more", r"is understudy://TOKEN@HOST:PORT/ROOM/PIN"),
    ],
)
def test_what_is_no_connection_string_is_said_without_the_token(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        ConnectionString.parse(text)
    assert TOKEN not in str(caught.value)


def test_the_token_is_not_shown_by_accident() -> None:
    assert TOKEN not in repr(PINNED)
