"""The marked performer of tests/marked_performer.py as a program, in a room of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.component.signaling_peers import serving, token
from tests.marks import CLICK_PEAK

ROOM = "main"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Marked:
    """A running one: where to join it, and the network before it."""

    url: str
    """Of the signaling service, ws://host:port/ws."""
    token: str
    """An operator's."""
    origin_s: float
    """When its beat 0 was due, on the monotonic clock."""
    _process: asyncio.subprocess.Process

    async def network(self, **conditions: float | bool) -> dict[str, int]:
        """Change Conditions of tests/impairment.py from now on; returns how many packets passed and were lost."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(conditions).encode() + b"\n")
        return await _line(self._process)


@asynccontextmanager
async def marked(
    *, seed: int = 1, ppm: float = 0.0, voice_peak: float = 0.02, click_peak: float = CLICK_PEAK
) -> AsyncIterator[Marked]:
    """Start the service and the performer, and stop them at the end."""
    async with serving() as service:
        command = [
            *(sys.executable, "-m", "tests.marked_performer", "--url", service.url, "--token", token("performer")),
            *("--room", ROOM, "--seed", str(seed), "--ppm", str(ppm), "--voice-peak", str(voice_peak)),
            *("--click-peak", str(click_peak)),
        ]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                started = await _line(process)
            url = service.url.replace("http", "ws", 1) + "ws"
            yield Marked(url, token("operator"), float(started["origin_s"]), process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("The marked performer stopped; its log says why.")
    result: dict[str, Any] = json.loads(line)
    return result
