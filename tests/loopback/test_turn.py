"""A TURN server that is announced but does not answer is in nobody's way. tests/nat/ has one that does."""

import asyncio
import time

import pytest
from pydantic import SecretStr

from peer_local.link import Link, LinkState
from peer_local.playback.reception import Reception
from peer_local.settings import PlayoutSettings
from signaling.client import SignalingClient
from tests.component.signaling_peers import token
from tests.loopback.theatre import ROOM, theatre
from tests.viewer import eventually

TIMEOUT_OF_AIOICE_S = 5.0


@pytest.mark.parametrize("silent", [True, False])
async def test_a_dead_turn_server_does_not_delay_the_connection(silent: bool) -> None:
    """One that takes connections and says nothing, and one whose port is closed."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if not silent:
        server.close()
    turn = {"turn_urls": (f"turn:127.0.0.1:{port}?transport=tcp",), "turn_secret": SecretStr("0123456789abcdef")}
    began_s: dict[LinkState, float] = {}
    async with server, theatre(signaling=turn) as house, asyncio.TaskGroup() as tasks:
        link = Link(
            SignalingClient(house.service.url, ROOM, token("operator")),
            tasks=tasks,
            open_reception=lambda: Reception(PlayoutSettings()),
            received=lambda _: None,
            changed=lambda state: began_s.setdefault(state, time.monotonic()) and None,
        )
        running = tasks.create_task(link.run(), name="link")
        await eventually(lambda: link.connected)
        running.cancel()
    assert began_s["connected"] - began_s["connecting"] < TIMEOUT_OF_AIOICE_S
