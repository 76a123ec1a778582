"""What `python -m peer_remote services` refuses, shows and serves, without starting anything heavy."""

import asyncio
import json
import logging
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from peer_remote.services import command
from peer_remote.services.errors import ServicesError
from peer_remote.services.gpus import Gpu, seen_gpus
from peer_remote.services.lifecycle import State
from peer_remote.services.service import NAMES, Service
from peer_remote.services.status import serve_status
from peer_remote.services.supervisor import Status
from tests.language_server import free_port

ROOT = Path(__file__).parents[2]
LIMIT_S = 20.0
TOKEN = "a-performers-token"

Services = Callable[..., tuple[int, str, str]]
"""Runs the command with words and settings: exit status, standard output, standard error."""


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings, an empty folder, and a log of the program's own that goes with the test."""
    for name in [name for name in os.environ if name.startswith("UNDERSTUDY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_SERVICES__LOG_DIR", str(tmp_path / "logs"))
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Services:
    def run(*words: str, **settings: str) -> tuple[int, str, str]:
        for name, value in settings.items():
            monkeypatch.setenv(f"UNDERSTUDY_{name}", value)
        status = command.main(words)
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_without_a_token_nothing_is_started(services: Services) -> None:
    status, _, error = services()
    assert status == 2
    assert error == (
        "peer_remote: UNDERSTUDY_REMOTE__TOKEN is not set; "
        "make one with `python -m signaling token --role performer`.\n"
    )


def test_an_address_that_is_taken_is_one_sentence(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "TAKEN_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        status, _, error = services(LLM__ENGINE="openai", LLM__URL=f"http://127.0.0.1:{port}", REMOTE__TOKEN=TOKEN)
    assert status == 1
    assert error.splitlines()[-1] == (
        f"peer_remote: Something listens at 127.0.0.1:{port} already; stop it, or leave llm out of "
        "UNDERSTUDY_SERVICES__START if it is what you want."
    )


def test_an_address_that_the_services_of_a_killed_supervisor_still_hold_is_waited_for(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def run(found: tuple[Service, ...], *_: object, **__: object) -> int:
        started.extend(service.name for service in found)
        return 0

    monkeypatch.setattr("peer_remote.services.running.run", run)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        releasing = threading.Timer(0.3, listener.close)
        releasing.start()
        status, _, _ = services(LLM__ENGINE="openai", LLM__URL=f"http://127.0.0.1:{port}", REMOTE__TOKEN=TOKEN)
        releasing.join()
    assert status == 0 and started == ["llm", "performer"]


def test_programs_that_are_started_one_by_one_have_a_status_page_each() -> None:
    assert [command.status_port(9100, name) for name in NAMES] == [9100, 9101, 9102, 9103]
    assert command.status_port(9100, None) == 9100 and command.status_port(0, "face") == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(services: Services, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    status, _, error = services(REMOTE__TOKEN=TOKEN)
    assert status == 1 and "The logs cannot be written to" in error


def test_the_list_for_programs_has_commands_and_times_and_no_key(services: Services) -> None:
    status, out, _ = services("--json", LLM__ENGINE="openai", LLM__KEY="open-sesame", REMOTE__TOKEN=TOKEN)
    llm, performer = json.loads(out)
    assert status == 0 and "open-sesame" not in out and TOKEN not in out
    assert llm["secrets"] == ["UNDERSTUDY_LLM__KEY"] and llm["ended_within_s"] == 15.0
    assert performer["after"] == ["llm"] and performer["command"][1:] == ["-m", "peer_remote"]


def test_the_list_and_the_budget_are_shown_before_anything_is_started(services: Services) -> None:
    mind_and_voice = {"LLM__ENGINE": "openai", "TTS__ENGINE": "fish_speech", "FACE__AVATAR": "/me"}
    status, out, _ = services("--list", **mind_and_voice)
    assert status == 0 and "127.0.0.1:8002" in out and "llm, voice" in out and "9.1 GiB" in out
    status, out, _ = services("--budget", **mind_and_voice)
    assert status == 0 and "refused: 25.7 GiB of GPU memory are needed" in out and "2 × 24 GB" in out


def test_what_the_gpu_has_no_room_for_is_not_started(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "seen_gpus", lambda: (Gpu("NVIDIA L4", 22.5),))
    monkeypatch.setattr("peer_remote.services.running.run", lambda *_: pytest.fail("it was started"))
    status, out, error = services(
        LLM__ENGINE="openai", SERVICES__LLM_MODEL="mamaylm-gemma-3-27b-it-v2.0", REMOTE__TOKEN=TOKEN
    )
    assert "NVIDIA L4" in out and "refused" in out
    assert status == 1 and "it would fit with UNDERSTUDY_ASR__DEVICE=cpu, or on" in error


async def test_it_imports_none_of_the_engines(tmp_path: Path) -> None:
    ask = (
        "import sys; from peer_remote.services import command; command.main(['--list']);"
        "print(sorted({'aiortc', 'av', 'cv2', 'llama_cpp', 'torch'} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ask),
        stdout=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "[]"


STATUSES = (
    Status("llm", State.WELL, True, "127.0.0.1:8001", 7, 2, 61.04, ""),
    Status("performer", State.PAUSING, True, "", None, 0, 0.2, "ended by SIGKILL"),
)


async def test_the_status_page_tells_each_state_and_answers_503_until_all_are_well() -> None:
    port = free_port()
    shown: tuple[Status, ...] = STATUSES
    async with serve_status(lambda: shown, port), aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
            assert response.status == 503
            page = await response.json()
        assert page["well"] is False and page["services"][0] == {
            "name": "llm",
            "state": "well",
            "here": True,
            "address": "127.0.0.1:8001",
            "pid": 7,
            "restarts": 2,
            "in_state_s": 61.0,
            "reason": "",
        }
        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
            metrics = await response.text()
        assert 'understudy_service_well{service="performer"} 0.0' in metrics
        assert 'understudy_service_restarts_total{service="llm"} 2.0' in metrics
        shown = STATUSES[:1]
        async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
            assert response.status == 200


async def test_a_status_port_that_is_taken_is_one_sentence() -> None:
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ServicesError, match=f"Port {port} is in use; choose another"):
            async with serve_status(lambda: STATUSES, port):
                pass


async def test_no_status_page_is_served_where_none_is_wanted() -> None:
    async with serve_status(lambda: STATUSES, 0):
        pass


def test_a_driver_that_does_not_answer_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("peer_remote.services.gpus.TIMEOUT_S", 0.2)
    assert seen_gpus({}) == ()
    for script in ("exec sleep 60", "exit 9", "echo 'No devices were found'"):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(stat.S_IRWXU)
        assert seen_gpus({}) == ()
    program.write_text("#!/bin/sh\necho '0, GPU-1f2e, NVIDIA L4, 23034, 12'\n")
    assert [(gpu.name, gpu.id) for gpu in seen_gpus({})] == [("NVIDIA L4", "GPU-1f2e")]


async def test_ctrl_c_ends_everything_and_is_no_failure(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "peer_remote", "services"),
        stderr=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env=environment
        | {
            "PYTHONPATH": str(ROOT),
            "UNDERSTUDY_SERVICES__LOG_DIR": str(tmp_path / "logs"),
            "UNDERSTUDY_REMOTE__TOKEN": TOKEN,
            "UNDERSTUDY_REMOTE__LOG_LEVEL": "INFO",
        },
    )
    assert process.stderr is not None
    async with asyncio.timeout(LIMIT_S):
        while b"service_started" not in await process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert rest.splitlines()[-1].endswith("peer_remote.services.running ended")
    assert "Traceback" not in rest
