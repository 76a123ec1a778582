"""Logs of services: whole lines, bounded files, no keys."""

import os
import shutil
from pathlib import Path

import pytest

from peer_remote.services.log_file import LONGEST_LINE_BYTES, LogFile, LogPipe, lines
from peer_remote.services.running import our_question
from peer_remote.services.service import Health


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_full_log_is_put_aside_and_the_oldest_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "llm.log"
    log = LogFile(path, most_bytes=20, kept=2)
    for number in range(8):
        log.write(f"line {number}\n".encode())
    log.close()
    assert text(path) == "line 6\nline 7\n"
    assert text(tmp_path / "llm.log.1") == "line 4\nline 5\n"
    assert text(tmp_path / "llm.log.2") == "line 2\nline 3\n"
    assert not (tmp_path / "llm.log.3").exists()


def test_with_none_kept_a_full_log_begins_anew(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "llm.log", most_bytes=10, kept=0)
    log.write(b"one\n")
    log.write(b"two, three\n")
    log.close()
    assert text(tmp_path / "llm.log") == "two, three\n" and len(list(tmp_path.iterdir())) == 1


def test_a_start_goes_on_with_the_log_of_the_one_before(tmp_path: Path) -> None:
    for word in ("one", "two"):
        log = LogFile(tmp_path / "llm.log", most_bytes=100, kept=1)
        log.write(f"{word}\n".encode())
        log.close()
    assert text(tmp_path / "llm.log") == "one\ntwo\n"


def test_a_folder_that_was_gone_loses_lines_and_touches_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = LogFile(folder / "llm.log", most_bytes=10, kept=1)
    log.write(b"one, two\n")
    shutil.rmtree(folder)
    log.write(b"lost\n")
    with (tmp_path / "other").open("wb", buffering=0) as other:
        log.write(b"lost, too\n")
        folder.mkdir()
        log.write(b"back\n")
        other.write(b"mine\n")
    log.close()
    assert text(folder / "llm.log") == "back\n"
    assert text(tmp_path / "other") == "mine\n"


def test_a_log_that_cannot_be_put_aside_goes_on(tmp_path: Path) -> None:
    (tmp_path / "llm.log.1").mkdir()
    log = LogFile(tmp_path / "llm.log", most_bytes=10, kept=1)
    for word in ("one", "two", "three"):
        log.write(f"{word} and more\n".encode())
    log.close()
    log.write(b"too late\n")
    assert text(tmp_path / "llm.log") == "one and more\ntwo and more\nthree and more\n"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"one\ntwo\n"], [b"one\n", b"two\n"]),
        ([b"on", b"e\nt", b"wo"], [b"one\n", b"two\n"]),
        ([b"one\r\n", b"\n"], [b"one\n", b"\n"]),
        ([], []),
    ],
)
def test_lines_come_whole_however_they_are_written(parts: list[bytes], expected: list[bytes]) -> None:
    assert list(lines(parts)) == expected


def test_a_line_without_end_is_cut_and_kept_in_bounds() -> None:
    found = list(lines([b"x" * 50_000] * 4))
    assert b"".join(line.rstrip(b"\n") for line in found) == b"x" * 200_000
    assert max(map(len, found)) == LONGEST_LINE_BYTES + 1


def test_a_key_is_withheld_from_file_and_terminal(tmp_path: Path) -> None:
    shown: list[bytes] = []
    file = LogFile(tmp_path / "llm.log", most_bytes=1_000, kept=1)
    pipe = LogPipe("llm", file, shown.append, secrets=["open-sesame", ""])
    os.write(pipe.write_end, "Авторизація: Bearer open-sesame\n".encode())
    os.close(pipe.write_end)
    pipe.join(10)
    file.close()
    assert text(tmp_path / "llm.log") == "Авторизація: Bearer [withheld]\n"
    assert shown == ["llm | Авторизація: Bearer [withheld]\n".encode()]


def test_our_own_questions_do_not_fill_a_servers_log(tmp_path: Path) -> None:
    shown: list[bytes] = []
    file = LogFile(tmp_path / "llm.log", most_bytes=1_000, kept=1)
    noise = our_question(Health("http", "http://127.0.0.1:8001/docs"))
    pipe = LogPipe("llm", file, shown.append, noise=noise)
    for request in ("GET /docs HTTP/1.1", "POST /v1/chat/completions HTTP/1.1"):
        os.write(pipe.write_end, f'INFO: 127.0.0.1:33 - "{request}" 200 OK\n'.encode())
    os.close(pipe.write_end)
    pipe.join(10)
    file.close()
    assert shown == [b'llm | INFO: 127.0.0.1:33 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n']
