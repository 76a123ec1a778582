"""Asks a service whether it is well. Every question has a time-out; none reads more than the head of an answer."""

import asyncio
from urllib.parse import urlsplit

from peer_remote.services.service import Health

_MOST_HEAD_BYTES = 65_536


async def is_well(health: Health) -> bool:
    """The answer to one question; a process that runs is well by itself."""
    if health.kind == "process":
        return True
    try:
        async with asyncio.timeout(health.timeout_s):
            return await (_answers(health.url) if health.kind == "http" else _listens(health.url))
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        return False


def address(url: str) -> tuple[str, int]:
    """Host and port of `url`."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme in ("https", "wss") else 80)


async def _listens(url: str) -> bool:
    """A connection and nothing else: a voice server that works answers no question, not even for its health."""
    _, writer = await asyncio.open_connection(*address(url))
    writer.transport.abort()
    return True


async def _answers(url: str) -> bool:
    """Plain HTTP/1.1: the status alone tells."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(*address(url), limit=_MOST_HEAD_BYTES)
    try:
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        status_line = await reader.readuntil(b"\r\n")
        return status_line.split()[1:2] == [b"200"]
    finally:
        writer.transport.abort()
