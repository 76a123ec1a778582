"""`python -m peer_remote services` as it is typed into a terminal, with real servers of the engines."""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from signaling import auth, protocol
from tests.language_server import MODEL, free_port
from tests.processes import stop
from tests.viewer import Viewer

pytestmark = pytest.mark.weights

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0


class Machine:
    """What the program says of itself."""

    def __init__(self, status_port: int, logs: Path) -> None:
        self.logs = logs
        self._url = f"http://127.0.0.1:{status_port}"

    async def service(self, name: str) -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self._url}/healthz") as response:
            page = await response.json()
        found: dict[str, Any] = next(service for service in page["services"] if service["name"] == name)
        return found

    async def until_well(self, name: str, *, restarts: int = 0) -> dict[str, Any]:
        while True:
            try:
                found = await self.service(name)
            except aiohttp.ClientError:
                found = {}
            if found.get("state") == "well" and found["restarts"] >= restarts:
                return found
            await asyncio.sleep(0.1)


@asynccontextmanager
async def program(module: str, *words: str, environment: dict[str, str], cwd: Path) -> AsyncIterator[Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", module, *words),
        env=environment,
        cwd=cwd,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        await stop(process, 30.0)


async def on_stage(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/healthz") as response:
                    if (await response.json())["rooms"].get("main", {}).get("performer"):
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def test_a_language_models_server_that_is_killed_comes_back_and_the_next_answer_comes(tmp_path: Path) -> None:
    secret, signaling_port, llm_port, face_port, status_port = secrets.token_hex(16), *(free_port() for _ in range(4))
    url = f"http://127.0.0.1:{signaling_port}"
    roles: tuple[protocol.Role, ...] = ("performer", "viewer")
    tokens: dict[protocol.Role, str] = {
        role: auth.issue(secret, room="main", role=role, lifetime_s=3600, now_s=time.time()) for role in roles
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    environment = inherited | {
        "PYTHONPATH": str(ROOT),
        "UNDERSTUDY_SIGNALING__SECRET": secret,
        "UNDERSTUDY_SIGNALING__PORT": str(signaling_port),
        "UNDERSTUDY_REMOTE__SIGNALING_URL": f"ws://127.0.0.1:{signaling_port}/ws",
        "UNDERSTUDY_REMOTE__TOKEN": tokens["performer"],
        "UNDERSTUDY_LLM__ENGINE": "openai",
        "UNDERSTUDY_LLM__URL": f"http://127.0.0.1:{llm_port}",
        "UNDERSTUDY_LLM__MAX_ANSWER_TOKENS": "16",
        "UNDERSTUDY_LLM__CONTEXT_TOKENS": "1024",
        "UNDERSTUDY_PERSONA__EXAMPLES": "[]",
        "UNDERSTUDY_PERSONA__OPENINGS": "[]",
        "UNDERSTUDY_TTS__ENGINE": "tone",
        "UNDERSTUDY_ASR__ENGINE": "scripted",
        "UNDERSTUDY_FACE__ENGINE": "remote",
        "UNDERSTUDY_FACE__URL": f"http://127.0.0.1:{face_port}",
        "UNDERSTUDY_FACE__SIZE_PX": "128",
        "UNDERSTUDY_SERVICES__LLM_MODEL": MODEL,
        "UNDERSTUDY_SERVICES__LLM_CONTEXT_TOKENS": "1024",
        "UNDERSTUDY_SERVICES__LOG_DIR": str(tmp_path / "logs"),
        "UNDERSTUDY_SERVICES__STATUS_PORT": str(status_port),
    }
    machine = Machine(status_port, tmp_path / "logs")
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        await stack.enter_async_context(program("signaling", environment=environment, cwd=tmp_path))
        services = await stack.enter_async_context(
            program("peer_remote", "services", environment=environment, cwd=tmp_path)
        )
        await on_stage(url)
        before = {name: await machine.until_well(name) for name in ("llm", "face", "performer")}
        viewer = await stack.enter_async_context(Viewer(url, "main", tokens["viewer"], timeout_s=60.0))
        viewer.send(protocol.Say(text="Hello there!"))
        await viewer.until(protocol.Caption)
        viewer.send(protocol.Interrupt())
        await viewer.until(protocol.TurnEnded)

        os.kill(before["llm"]["pid"], signal.SIGKILL)
        killed_s = time.monotonic()
        await machine.until_well("llm", restarts=1)
        well_s = time.monotonic()
        viewer.send(protocol.Say(text="And how are you?"))
        await viewer.until(protocol.Caption, turn_id=(await viewer.until(protocol.TurnEnded)).turn_id + 1)
        answered_s = time.monotonic()
        print(f"killed → well {well_s - killed_s:.2f} s → answered {answered_s - killed_s:.2f} s")

        after = {name: await machine.service(name) for name in ("llm", "face", "performer")}
        assert after["llm"]["restarts"] == 1
        assert [after[name]["pid"] for name in ("face", "performer")] == [
            before[name]["pid"] for name in ("face", "performer")
        ]
        started = [process.pid for process in psutil.Process(services.pid).children(recursive=True)]
        services.send_signal(signal.SIGTERM)
        assert await services.wait() == 0
        assert not any(psutil.pid_exists(pid) for pid in started)
    logs = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert {"llm.log", "face.log", "performer.log", "services.log"} <= set(logs)
    assert "service_failed" in logs["services.log"] and "llm ended by SIGKILL" in logs["services.log"]
    assert not any(tokens["performer"] in log or secret in log for log in logs.values())
