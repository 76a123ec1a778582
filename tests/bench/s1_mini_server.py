"""The real server with random weights, started as the product starts it and driven by our client."""

import asyncio
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from pydantic import SecretStr

from models.interfaces import SPEECH_RATE_HZ
from models.settings import FishSpeechSettings
from models.tts import fish_api, fish_server_command
from models.tts.fish_api import FishSpeechApi
from models.tts.fish_speech import FishSpeechSynthesizer
from models.tts.serve import serve
from tests.bench.fish_conduct import conduct
from tests.bench.report import percentiles
from tests.bench.s1_mini_published import CLAUSE_TOKENS, REFERENCE_S, noise, rounded
from tests.bench.s1_mini_texts import CLAUSE, FIRST_CLAUSE, words
from tests.fish_server import FishServer

CLAUSES: Final = (("first", FIRST_CLAUSE, 28), ("ten_words", CLAUSE, CLAUSE_TOKENS))
"""Name, text, tokens: 1.3 s and 3 s of sound."""
ROUNDS: Final = int(os.environ.get("S1_MINI_ROUNDS", "12"))
_SLOW_S: Final = 120.0
_REPOSITORY: Final = Path(__file__).parents[2]


def server_settings(
    settings: FishSpeechSettings, checkout: Path, checkpoint: Path, folder: Path, *, compiled: bool
) -> FishSpeechSettings:
    """As `settings`, for a server of our own on a free port, which knows no voice yet."""
    shutil.rmtree(folder / "voice", ignore_errors=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = settings.server.model_copy(
        update={
            "checkout": checkout,
            "checkpoint": checkpoint,
            "python": settings.server.python or _interpreter(folder),
            "dir": folder / "voice",
            "compile": compiled,
        }
    )
    return settings.model_copy(
        update={
            "url": f"http://127.0.0.1:{port}",
            "key": SecretStr(secrets.token_urlsafe(24)),
            "reference": None,
            "first_sound_timeout_s": _SLOW_S,
            "stall_timeout_s": _SLOW_S,
            "drain_timeout_s": _SLOW_S,
            "server": server,
        }
    )


async def measure_server(name: str, settings: FishSpeechSettings) -> dict[str, float]:
    """From the request to the first and the last sound of a clause, and what else a user of it waits for."""
    before_gib, begin_s = _used_gib(), time.perf_counter()
    figures: dict[str, float] = {}
    async with _running(settings):
        figures["start_s"] = time.perf_counter() - begin_s
        await _add_voices(settings)
        for seconds in REFERENCE_S:
            voice = FishSpeechSynthesizer(settings.model_copy(update={"reference": f"voice{seconds}"}))
            try:
                figures[f"reference_{seconds}s_first_use_ms"] = (await _spoken(voice, FIRST_CLAUSE, 28))[0]
                for clause, text, tokens in CLAUSES:
                    taken = [await _spoken(voice, text, tokens) for _ in range(ROUNDS)]
                    for index, moment in enumerate(("first_sound", "last_sound")):
                        label = f"{clause}_reference_{seconds}s_{moment}_ms"
                        figures |= percentiles(label, [one[index] for one in taken])
                    figures[f"{clause}_sound_s"] = taken[0][2]
                figures[f"after_abort_{seconds}s_ms"] = await _after_abort(voice)
            finally:
                await voice.aclose()
        figures["health_while_busy_ms"] = await _health_while_busy(settings)
        figures["memory_gib"] = _used_gib() - before_gib
    return rounded({f"{name}_{figure}": value for figure, value in figures.items()})


async def conduct_differences(settings: FishSpeechSettings) -> dict[str, float]:
    """Print where the stand-in answers otherwise than the real server; returns how many were asked and differ."""
    recording = noise(1.0)
    assert settings.key is not None
    key = settings.key.get_secret_value()
    async with _running(settings):
        real = await conduct(settings.url, key, recording)
    with FishServer(key=key) as stand_in:
        ours = await conduct(stand_in.url, key, recording)
    different = [asked for asked in real if real[asked] != ours[asked]]
    for asked, answer in real.items():
        print(f"{asked}: {answer}" + (f"\n    STAND-IN: {ours[asked]}" if asked in different else ""), flush=True)
    return {"conduct_asked": len(real), "conduct_differences": len(different)}


@asynccontextmanager
async def _running(settings: FishSpeechSettings) -> AsyncIterator[None]:
    """The server, ready to speak; stopped at the end."""
    fish_server_command.require_installed(settings)
    ready = asyncio.Event()
    arguments, environment = fish_server_command.command(settings), fish_server_command.environment(settings)
    running = asyncio.create_task(serve(arguments, environment, settings, say=lambda _: ready.set()), name="server")
    waiting = asyncio.create_task(ready.wait(), name="server_ready")
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            raise RuntimeError(f"The server ended with {running.result()}.")
        yield
    finally:
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)


async def _add_voices(settings: FishSpeechSettings) -> None:
    api = FishSpeechApi(settings)
    try:
        for seconds in REFERENCE_S:
            await api.add_reference(f"voice{seconds}", noise(seconds), words(seconds))
    finally:
        await api.aclose()


async def _spoken(voice: FishSpeechSynthesizer, text: str, tokens: int) -> tuple[float, float, float]:
    """Milliseconds to the first and the last sound, and seconds of sound. Random weights are stopped by `tokens`."""
    begin_s = time.perf_counter()
    first_s, length = 0.0, 0
    with patch.object(fish_api, "_MOST_TOKENS", tokens):
        async with aclosing(voice.stream(text)) as pieces:
            async for piece in pieces:
                first_s = first_s or time.perf_counter()
                length += len(piece.samples)
    return 1_000 * (first_s - begin_s), 1_000 * (time.perf_counter() - begin_s), length / SPEECH_RATE_HZ


async def _after_abort(voice: FishSpeechSynthesizer) -> float:
    """Milliseconds to the first sound of a clause that is asked for right after another was abandoned unheard."""
    with patch.object(fish_api, "_MOST_TOKENS", CLAUSE_TOKENS):
        abandoned = voice.stream(CLAUSE)
        waiting = asyncio.ensure_future(anext(abandoned))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await abandoned.aclose()
    return (await _spoken(voice, FIRST_CLAUSE, 28))[0]


async def _health_while_busy(settings: FishSpeechSettings) -> float:
    """Milliseconds until the server answers a probe that comes while it makes ten words."""
    voice = FishSpeechSynthesizer(settings.model_copy(update={"reference": "voice15"}))
    api = FishSpeechApi(settings)
    try:
        speaking = asyncio.create_task(_spoken(voice, CLAUSE, CLAUSE_TOKENS), name="busy")
        await asyncio.sleep(0.05)
        begin_s = time.perf_counter()
        assert await api.healthy(timeout_s=_SLOW_S)
        answered_ms = 1_000 * (time.perf_counter() - begin_s)
        await speaking
        return answered_ms
    finally:
        await api.aclose()
        await voice.aclose()


def _interpreter(folder: Path) -> Path:
    """The interpreter that runs us, with the same packages and with torchaudio mended.

    The product gives the server nothing of its own search path, so that a script has to.
    """
    site = folder / "site"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text("from tests.bench.s1_mini_torchaudio import mend\n\nmend()\n")
    path = ":".join([str(site), str(_REPOSITORY), os.environ.get("PYTHONPATH", "")])
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def _used_gib() -> float:
    """Memory of the first GPU in use by whomever; 0 without one."""
    try:
        asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0.0
    return float(found.stdout.split()[0]) / 1_024 if found.returncode == 0 else 0.0
