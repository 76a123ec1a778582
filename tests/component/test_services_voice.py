"""The voice's server under `python -m peer_remote services`, with a stand-in for Fish Speech."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil

from tests.language_server import free_port
from tests.services_program import Machine, bare_environment, program
from tests.small_services import alive

KEY = "a-key-that-nobody-may-see"
LIMIT_S = 30.0
SERVER = """
import socket, sys, time
host, port = sys.argv[sys.argv.index("--listen") + 1].split(":")
server = socket.create_server((host, int(port)))
print("the key is", sys.argv[sys.argv.index("--api-key") + 1], flush=True)
time.sleep(600)
"""
"""Listens once it is ready, and answers nothing, as the real one does while it works."""


def checkout(directory: Path) -> Path:
    """Fish Speech as far as `python -m models.tts serve` looks."""
    checkpoint = directory / "checkpoints/openaudio-s1-mini"
    checkpoint.mkdir(parents=True)
    for file in ("model.pth", "codec.pth", "config.json", "tokenizer.tiktoken"):
        (checkpoint / file).touch()
    (directory / "tools").mkdir()
    (directory / "tools/api_server.py").write_text(SERVER)
    return directory


async def test_a_voices_server_that_is_killed_comes_back_at_its_port_and_shows_no_key(tmp_path: Path) -> None:
    status_port = free_port()
    server = "UNDERSTUDY_TTS__FISH_SPEECH__SERVER__"
    environment = bare_environment() | {
        "UNDERSTUDY_TTS__ENGINE": "fish_speech",
        "UNDERSTUDY_TTS__FISH_SPEECH__URL": f"http://127.0.0.1:{free_port()}",
        "UNDERSTUDY_TTS__FISH_SPEECH__KEY": KEY,
        f"{server}CHECKOUT": str(checkout(tmp_path / "fish-speech")),
        f"{server}PYTHON": sys.executable,
        f"{server}DIR": str(tmp_path / "voice"),
        "UNDERSTUDY_SERVICES__START": "voice",
        "UNDERSTUDY_SERVICES__LOG_DIR": str(tmp_path / "logs"),
        "UNDERSTUDY_SERVICES__STATUS_PORT": str(status_port - 1),  # the voice's is the one after it
    }
    machine = Machine(status_port, tmp_path / "logs")
    async with (
        asyncio.timeout(LIMIT_S),
        program("peer_remote", "services", "--only", "voice", environment=environment, cwd=tmp_path) as services,
    ):
        before = await machine.until_well("voice")
        (fish,) = psutil.Process(before["pid"]).children()
        os.kill(before["pid"], signal.SIGKILL)
        after = await machine.until_well("voice", restarts=1)
        assert after["pid"] != before["pid"] and not alive(fish.pid)
        started = psutil.Process(services.pid).children(recursive=True)
        assert not any(KEY in word for process in started for word in process.cmdline())
        services.send_signal(signal.SIGTERM)
        assert await services.wait() == 0
        assert not any(alive(process.pid) for process in started)
    assert "the key is [withheld]" in (tmp_path / "logs/voice.log").read_text()
    assert "voice ended by SIGKILL" in (tmp_path / "logs/services-voice.log").read_text()
