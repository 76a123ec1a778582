"""Asking services for their health."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from models.interfaces import Message
from models.llm.openai_server import OpenAiServerModel
from models.llm.sampling import Sampling
from peer_remote.services.probes import is_well
from peer_remote.services.service import Health
from tests.language_server import free_port, language_server
from tests.small_gemma import write_model


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """A server that gives this answer to everything, or none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz"


@pytest.mark.parametrize(
    ("answer", "well"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"", False),
        (b"x" * 100_000, False),
        (None, False),
    ],
)
async def test_only_a_good_answer_in_time_is_one(answer: bytes | None, well: bool) -> None:
    async with answering(answer) as url:
        assert await is_well(Health("http", url, timeout_s=0.3)) is well
        assert await is_well(Health("tcp", url, timeout_s=0.3))


async def test_where_nobody_listens_nothing_is_well() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert not await is_well(Health("http", url)) and not await is_well(Health("tcp", url))


async def test_to_ask_a_language_models_server_for_its_health_does_not_cut_its_answer_off(tmp_path: Path) -> None:
    with language_server(write_model(tmp_path / "model.gguf"), context_tokens=1_024) as server:
        health = Health("http", f"{server.root}/docs")
        model = OpenAiServerModel(server, "any", context_tokens=1_024, sampling=Sampling(temperature=0))
        try:
            pieces = 0
            async with aclosing(model.stream([Message("user", "Hello!")], max_tokens=300)) as stream:
                async for _ in stream:
                    pieces += 1
                    if pieces % 20 == 0:
                        assert await is_well(health)
            assert pieces > 100
        finally:
            await model.aclose()
