"""Programs of the product, and what `python -m peer_remote services` says of the services that it runs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.processes import stop

ROOT = Path(__file__).parents[1]


def bare_environment() -> dict[str, str]:
    """Ours without any setting, for programs that run in another folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    return kept | {"PYTHONPATH": str(ROOT)}


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
