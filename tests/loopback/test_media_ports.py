"""A performer with a few fixed media ports, and more viewers than ports."""

import asyncio
import socket

import pytest

from peer_local.link import Link
from peer_local.playback.reception import Reception
from peer_local.settings import PlayoutSettings
from signaling.client import SignalingClient
from signaling.network import main_address
from tests.component.signaling_peers import token
from tests.loopback.theatre import ROOM, Theatre, theatre
from tests.viewer import Refused, eventually


@pytest.fixture
def port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind((main_address(), 0))
        found: int = probe.getsockname()[1]
    return found


def an_operator(house: Theatre, tasks: asyncio.TaskGroup) -> Link:
    return Link(
        SignalingClient(house.service.url, ROOM, token("operator")),
        tasks=tasks,
        open_reception=lambda: Reception(PlayoutSettings()),
        received=lambda _: None,
        changed=lambda _: None,
    )


async def test_a_viewer_too_many_is_told_so_and_comes_in_when_another_has_left(port: int) -> None:
    async with theatre(remote={"media_ports": str(port)}) as house:
        async with house.viewer() as first:
            await eventually(lambda: len(first.pictures) > 0)
            with pytest.raises(
                Refused, match=r"^The only media port of the double is in use, so nobody else can watch"
            ):
                async with house.viewer():
                    pass
        async with house.viewer() as second:
            await eventually(lambda: len(second.pictures) > 0)


async def test_an_operator_without_a_port_is_told_why_and_comes_in_later(port: int) -> None:
    async with theatre(remote={"media_ports": str(port)}) as house, asyncio.TaskGroup() as tasks:
        link = an_operator(house, tasks)
        async with house.viewer():
            running = tasks.create_task(link.run(), name="link")
            await eventually(lambda: link.problem is not None)
            assert "so nobody else can watch" in (link.problem or "")
        await eventually(lambda: link.connected)
        assert link.problem is None
        running.cancel()


async def test_an_operator_that_builds_its_connection_anew_gets_its_only_port_back(port: int) -> None:
    async with theatre(remote={"media_ports": str(port)}) as house, asyncio.TaskGroup() as tasks:
        link = an_operator(house, tasks)
        running = tasks.create_task(link.run(), name="link")
        await eventually(lambda: link.connected)
        link.renew("The test wants another one.")
        await eventually(lambda: link.losses == 1 and link.connected)
        running.cancel()
