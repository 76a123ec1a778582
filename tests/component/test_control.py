"""Commands to the running program, over a real socket."""

import asyncio
import json
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from peer_local import control_file
from peer_local.control import ControlServer
from peer_local.control_client import COMMANDS, NOT_RUNNING, describe, send
from peer_local.errors import ControlRefused, LocalError


class Program:
    """Controls that note what they were told; `refuse` is the sentence of a refusal."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.refuse: str | None = None
        self.crash = False

    def status(self) -> dict[str, Any]:
        return {"on_air": "double", "state": "listening", "rtt_ms": 12.3456, "link": {"up": True}, "warnings": []}

    def _note(self, command: str, value: Any = None) -> None:
        if self.crash:
            raise RuntimeError("boom")
        if self.refuse:
            raise ControlRefused(self.refuse)
        self.told.append((command, value))

    def takeover(self, who: Any) -> None:
        self._note("takeover", who)

    def kill(self) -> None:
        self._note("kill")

    def set_mode(self, mode: Any) -> None:
        self._note("mode", mode)

    def say(self, text: str) -> None:
        self._note("say", text)

    def interrupt(self) -> None:
        self._note("interrupt")

    def approve(self, text: str | None) -> None:
        self._note("approve", text)

    def veto(self) -> None:
        self._note("veto")

    def record(self, on: bool) -> None:
        self._note("record", on)


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
async def server(program: Program, tmp_path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(program, 0, places=[tmp_path / "run"])
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    return [tmp_path / "run"]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def token(places: list[Path]) -> str:
    return control_file.find(places=places)[0][0].token


async def command(places: list[Path], *words: str) -> dict[str, Any]:
    """What the command line does, on another thread as it is another program."""
    return await asyncio.to_thread(send, *words, places=places)


async def refusal(places: list[Path], *words: str) -> str:
    with pytest.raises(ControlRefused) as caught:
        await command(places, *words)
    return str(caught.value)


async def test_every_command_reaches_the_program(server: ControlServer, program: Program, places: list[Path]) -> None:
    for words in (
        ["takeover", "self"],
        ["kill"],
        ["mode", "repeat"],
        ["say", "Добрий", "день"],
        ["interrupt"],
        ["approve"],
        ["approve", "Так."],
        ["veto"],
        ["record", "start"],
        ["record", "stop"],
    ):
        assert await command(places, *words) == {"ok": True}
    assert program.told == [
        ("takeover", "self"),
        ("kill", None),
        ("mode", "repeat"),
        ("say", "Добрий день"),
        ("interrupt", None),
        ("approve", None),
        ("approve", "Так."),
        ("veto", None),
        ("record", True),
        ("record", False),
    ]
    assert {name for name, _ in program.told} | {"status"} == set(COMMANDS)


async def test_the_status_can_be_read_by_people_too(server: ControlServer, places: list[Path]) -> None:
    text = describe(await command(places, "status"))
    assert text == "on air: double\nstate: listening\nrtt ms: 12.346\nlink\n  up: yes"


async def test_what_the_program_refuses_is_told_in_its_own_words(
    server: ControlServer, program: Program, places: list[Path]
) -> None:
    program.refuse = "There is no microphone to take over with; set UNDERSTUDY_MICROPHONE__REAL."
    assert await refusal(places, "takeover", "self") == program.refuse


async def test_a_command_that_crashes_does_not_end_the_server(
    server: ControlServer, program: Program, places: list[Path]
) -> None:
    program.crash = True
    assert await refusal(places, "kill") == "The command failed; the log of the program says why."
    program.crash = False
    assert await command(places, "kill") == {"ok": True}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["takeover", "me"], "Write takeover self, double or nobody."),
        (["mode", "foo"], "Write mode converse, repeat, approve or addressed."),
        (["say", "x" * 2_001], "text: string should have at most 2000 characters."),
        (["takeover"], "Write takeover self, double or nobody."),
        (["say"], 'Write `say "text"`.'),
        (["kill", "now"], "Write `kill`."),
        (["record", "please"], "Write record start or stop."),
    ],
)
async def test_a_wrong_command_is_one_sentence(
    server: ControlServer, program: Program, places: list[Path], words: list[str], sentence: str
) -> None:
    assert await refusal(places, *words) == sentence
    assert program.told == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": "Bearer wrong"}, 401, "bad_token"),
        ({"Authorization": "Bearer \xff"}, 401, "bad_token"),
        ({"Authorization": ""}, 401, "bad_token"),
        ({"Host": "attacker.example:{port}"}, 403, "foreign_host"),
        ({"Host": "127.0.0.1:1"}, 403, "foreign_host"),
        ({"Host": "127.0.0.1"}, 403, "foreign_host"),
        ({"Origin": "https://attacker.example"}, 403, "foreign_origin"),
        ({"Origin": "http://127.0.0.1:{port}"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
    ],
)
async def test_strangers_are_kept_out(
    server: ControlServer,
    program: Program,
    places: list[Path],
    http: aiohttp.ClientSession,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    sent = {"Authorization": f"Bearer {token(places)}", **headers}
    sent = {name: value.replace("{port}", str(server.port)) for name, value in sent.items()}
    for method, path in (("POST", "/kill"), ("GET", "/status"), ("GET", "/nothing")):
        async with http.request(method, f"http://127.0.0.1:{server.port}{path}", headers=sent) as response:
            assert response.status == status
            assert (await response.json())["error"]["code"] == code
    assert program.told == []


async def test_localhost_is_the_same_place(
    server: ControlServer, places: list[Path], http: aiohttp.ClientSession
) -> None:
    headers = {"Authorization": f"Bearer {token(places)}", "Host": f"localhost:{server.port}"}
    async with http.get(f"http://127.0.0.1:{server.port}/status", headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/say", b'{"text": "a", "more": 1}', 400),
        ("/say", b"not json", 400),
        ("/say", b"[]", 400),
        ("/say", b"", 400),
        ("/say", b'{"text": ""}', 400),
        ("/say", b'{"text": "' + b"a" * 40_000 + b'"}', 413),
        ("/nothing", b"", 404),
        ("/status", b"", 405),
    ],
)
async def test_what_is_no_command_is_refused(
    server: ControlServer,
    program: Program,
    places: list[Path],
    http: aiohttp.ClientSession,
    path: str,
    body: bytes,
    status: int,
) -> None:
    headers = {"Authorization": f"Bearer {token(places)}"}
    async with http.post(f"http://127.0.0.1:{server.port}{path}", data=body, headers=headers) as response:
        assert response.status == status
        assert (await response.json())["error"]["code"] == "bad_request"
    assert program.told == []


async def test_a_long_text_in_cyrillic_letters_fits(
    server: ControlServer, program: Program, places: list[Path]
) -> None:
    text = "ї" * 2_000
    await command(places, "say", text)
    assert program.told == [("say", text)]


async def test_texts_are_never_logged(
    server: ControlServer, program: Program, places: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await command(places, "say", "a private sentence")
    await command(places, "approve", "a private answer")
    assert [record.__dict__["command"] for record in caplog.records if record.message == "control_command"] == [
        "say",
        "approve",
    ]
    assert not any("private" in str(record.__dict__) for record in caplog.records)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's folders apart by itself")
async def test_only_the_user_can_read_the_token(server: ControlServer, places: list[Path]) -> None:
    [(_, path)] = control_file.find(places=places)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's folders apart by itself")
async def test_a_directory_that_others_can_write_to_is_not_used(program: Program, tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o777)
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(own)
    server = ControlServer(program, 0, places=[shared, elsewhere, own])
    await server.start()
    assert not list(shared.iterdir())
    assert [path.parent for _, path in control_file.find(places=[shared, own])] == [own]
    await server.close()
    with pytest.raises(LocalError, match=r"^The control token cannot be written: "):
        await ControlServer(program, 0, places=[shared]).start()


async def test_the_token_goes_with_the_program(program: Program, places: list[Path]) -> None:
    server = ControlServer(program, 0, places=places)
    await server.start()
    await server.close()
    await server.close()
    assert list(places[0].iterdir()) == []
    assert await refusal(places, "kill") == NOT_RUNNING


async def test_what_a_killed_program_left_is_cleared_away(
    server: ControlServer, program: Program, places: list[Path]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _, stale = control_file.leave(port, places)
    os.utime(stale, (time.time() + 60, time.time() + 60))  # it looks newer than the one that runs
    (places[0] / "control-1.json").write_text("{")
    assert await command(places, "kill") == {"ok": True}
    assert not stale.exists()


async def test_a_taken_port_gives_the_next_one_and_the_file_says_which(program: Program, places: list[Path]) -> None:
    first = ControlServer(program, 0, places=places)
    await first.start()
    second = ControlServer(program, first.port, places=places)
    await second.start()
    assert second.port not in (0, first.port)
    assert {key.port for key, _ in control_file.find(places=places)} == {first.port, second.port}
    await asyncio.to_thread(send, "kill", places=places, port=first.port)
    await second.close()
    assert await command(places, "kill") == {"ok": True}  # the one that still runs
    await first.close()


async def test_another_program_on_the_port_is_not_taken_for_the_double(places: list[Path]) -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(stranger, "127.0.0.1", 0)
    async with listener:
        control_file.leave(listener.sockets[0].getsockname()[1], places)
        assert await refusal(places, "kill") == NOT_RUNNING


async def test_a_program_that_hangs_is_reported(places: list[Path]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        control_file.leave(listener.getsockname()[1], places)
        with pytest.raises(ControlRefused, match=r"^The double does not answer within 0\.05 s; restart it\.$"):
            await asyncio.to_thread(send, "kill", places=places, timeout_s=0.05)


def test_nothing_runs_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ControlRefused) as caught:
        send("status", places=[tmp_path / "missing"])
    assert str(caught.value) == NOT_RUNNING


def test_a_key_is_written_over_whole(places: list[Path]) -> None:
    first, path = control_file.leave(9, places)
    second, same = control_file.leave(9, places)
    assert path == same and json.loads(path.read_text())["token"] == second.token != first.token
    control_file.take_back(first, path)  # not its own any more
    assert path.exists()
    control_file.take_back(second, path)
    assert list(places[0].iterdir()) == []
