"""The product as a user runs it: the signaling service and the performer as two programs, with the real engines."""

import asyncio
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from signaling import auth
from signaling.protocol import Role
from tests.processes import stop

READY_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 10.0
ROOM = "bench"


@dataclass(frozen=True, slots=True)
class Product:
    """A running product: where it is, and how to enter."""

    url: str
    secret: str
    performer_pid: int

    def token(self, role: Role = "viewer") -> str:
        return auth.issue(self.secret, room=ROOM, role=role, lifetime_s=3_600, now_s=time.time())


@asynccontextmanager
async def running(extra: Mapping[str, str] | None = None) -> AsyncIterator[Product]:
    """Start both programs with `extra` environment, wait until the double is on stage, and stop them at the end."""
    secret = secrets.token_hex(16)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    performer_token = auth.issue(secret, room=ROOM, role="performer", lifetime_s=86_400, now_s=time.time())
    environment = {
        **os.environ,
        "UNDERSTUDY_SIGNALING__SECRET": secret,
        "UNDERSTUDY_SIGNALING__PORT": str(port),
        "UNDERSTUDY_REMOTE__SIGNALING_URL": f"ws://127.0.0.1:{port}/ws",
        "UNDERSTUDY_REMOTE__ROOM": ROOM,
        "UNDERSTUDY_REMOTE__TOKEN": performer_token,
        **(extra or {}),
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_program("signaling", environment))
        performer = await stack.enter_async_context(_program("peer_remote", environment))
        await _on_stage(url, performer)
        yield Product(url, secret, performer.pid)


@asynccontextmanager
async def _program(module: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, env=dict(environment), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        await stop(process, STOP_TIMEOUT_S)


async def _on_stage(url: str, performer: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_TIMEOUT_S), aiohttp.ClientSession() as session:
        while True:
            if performer.returncode is not None:
                raise RuntimeError("The performer stopped while it was starting; its log says why.")
            try:
                async with session.get(f"{url}/healthz") as response:
                    health = await response.json()
                if health["rooms"].get(ROOM, {}).get("performer"):
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
