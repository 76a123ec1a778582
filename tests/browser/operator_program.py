"""The operator's program as its user runs it: `python -m peer_local` with its output as lines, and its commands."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from peer_local.control_client import send
from tests.processes import stop

START_TIMEOUT_S = 60.0
"""Engines are loaded, and the connection is made; only a failing test ever waits this long."""
STOP_TIMEOUT_S = 15.0
COMMAND_TIMEOUT_S = 10.0


class OperatorProgram:
    """A running one. Lines are those of `--local.view log`, such as `call     | Hello, can you hear us?`."""

    def __init__(self, process: asyncio.subprocess.Process, keys: Path) -> None:
        self._process = process
        self._keys = keys
        self._lines: list[tuple[str, str]] = []
        self._changed = asyncio.Event()
        self._ended = False

    async def read(self) -> None:
        """Take lines until the program has closed its output."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            kind, _, text = line.decode().partition("|")
            self._lines.append((kind.strip(), text.strip()))
            self._changed.set()
        self._ended = True
        self._changed.set()

    def said(self, kind: str) -> list[str]:
        """The texts of all lines of a kind so far."""
        return [text for of, text in self._lines if of == kind]

    async def until(self, kind: str, text: str = "", *, timeout_s: float = 30.0) -> None:
        """Wait until there is, or was, a line of `kind` with `text` in it. Raises AssertionError."""
        try:
            async with asyncio.timeout(timeout_s):
                while not any(text in line for line in self.said(kind)):
                    assert not self._ended, f"the operator's program ended; it said {self._lines}"
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no line `{kind} | … {text} …` within {timeout_s} s, only {self._lines}") from None

    async def command(self, name: str, *words: str) -> dict[str, Any]:
        """As `python -m peer_local NAME WORDS`; the reply."""
        return await asyncio.to_thread(send, name, *words, places=(self._keys,), timeout_s=COMMAND_TIMEOUT_S)


@asynccontextmanager
async def operator_program(*flags: str, environment: Mapping[str, str]) -> AsyncIterator[OperatorProgram]:
    """Run it until the context ends; on entry it is connected to the double.

    `environment` has a runtime directory of its own, where the key of its commands lies.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "peer_local", "--local.view", "log", *flags,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    program = OperatorProgram(process, Path(environment["XDG_RUNTIME_DIR"]) / "understudy")
    reader = asyncio.create_task(program.read(), name="operator-lines")
    try:
        await program.until("link", "connected to", timeout_s=START_TIMEOUT_S)
        yield program
    finally:
        await stop(process, STOP_TIMEOUT_S)
        await reader
