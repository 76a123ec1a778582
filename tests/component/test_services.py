"""`python -m peer_remote services` as it is typed into a terminal, with real servers of the engines."""

import asyncio
import os
import secrets
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from signaling import auth, protocol
from tests.language_server import MODEL, free_port
from tests.services_program import Machine, bare_environment, on_stage, program
from tests.small_services import alive
from tests.viewer import Viewer

pytestmark = pytest.mark.weights

PATIENCE_S = 90.0


async def test_a_language_models_server_that_is_killed_comes_back_and_the_next_answer_comes(tmp_path: Path) -> None:
    secret, signaling_port, llm_port, face_port, status_port = secrets.token_hex(16), *(free_port() for _ in range(4))
    url = f"http://127.0.0.1:{signaling_port}"
    roles: tuple[protocol.Role, ...] = ("performer", "viewer")
    tokens: dict[protocol.Role, str] = {
        role: auth.issue(secret, room="main", role=role, lifetime_s=3600, now_s=time.time()) for role in roles
    }
    environment = bare_environment() | {
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
        await machine.until_well("llm", restarts=1)
        viewer.send(protocol.Say(text="And how are you?"))
        await viewer.until(protocol.Caption, turn_id=(await viewer.until(protocol.TurnEnded)).turn_id + 1)
        after = {name: await machine.service(name) for name in ("llm", "face", "performer")}
        assert after["llm"]["restarts"] == 1
        assert [after[name]["pid"] for name in ("face", "performer")] == [
            before[name]["pid"] for name in ("face", "performer")
        ]
        started = [process.pid for process in psutil.Process(services.pid).children(recursive=True)]
        services.send_signal(signal.SIGTERM)
        assert await services.wait() == 0
        assert not any(alive(pid) for pid in started)
    logs = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert {"llm.log", "face.log", "performer.log", "services.log"} <= set(logs)
    assert "service_failed" in logs["services.log"] and "llm ended by SIGKILL" in logs["services.log"]
    assert not any(tokens["performer"] in log or secret in log for log in logs.values())
