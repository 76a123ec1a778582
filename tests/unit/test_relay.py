"""The TURN server is the second choice: when it joins, when it does not, and that it is never in the way.

Also the guard of what peer_local/relay.py takes for granted of aioice and aiortc. tests/nat/ has a real TURN server.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioice.ice import Candidate, StunProtocol
from aiortc import RTCPeerConnection, RTCSessionDescription

from peer_local import relay
from peer_local.relay import LateRelay, is_relay
from signaling.protocol import IceServer
from signaling.webrtc import peer_connection

SERVER = IceServer(urls=("turn:127.0.0.1:3479?transport=tcp",), username="u", credential="c")
PATIENCE_S = 10.0


class Relay(StunProtocol):
    """An allocation that leads nowhere."""

    def __init__(self, agent: Any) -> None:
        super().__init__(agent)
        self.local_candidate = Candidate("r", 1, "udp", 1_000, "203.0.113.9", 50_000, "relay", "0.0.0.0", 9)
        self.checked: list[tuple[str, int]] = []
        self.closed = False

    def send_stun(self, message: object, addr: tuple[str, int]) -> None:
        self.checked.append(addr)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def allocated(monkeypatch: pytest.MonkeyPatch) -> list[Relay]:
    made: list[Relay] = []

    async def relayed_candidate(*, protocol_factory: Any, **_: Any) -> tuple[Candidate, Relay]:
        made.append(Relay(protocol_factory().receiver))
        return made[-1].local_candidate, made[-1]

    monkeypatch.setattr(relay, "relayed_candidate", relayed_candidate)
    monkeypatch.setattr(relay, "TELL_S", 0.0)
    return made


@contextlib.asynccontextmanager
async def viewer(patience_s: float = 0.0) -> AsyncIterator[tuple[RTCPeerConnection, LateRelay, list[str]]]:
    """A viewer that has offered, its relay at work, and what it told the other side."""
    peer = peer_connection(())
    peer.addTransceiver("audio", "recvonly")
    peer.createDataChannel("control")
    late = LateRelay(peer, SERVER, patience_s=patience_s)
    told: list[str] = []

    async def tell(candidate: str) -> None:
        told.append(candidate)

    task = asyncio.create_task(late.run(), name="relay")
    try:
        await peer.setLocalDescription(await peer.createOffer())
        late.offered(tell)
        yield peer, late, told
    finally:
        task.cancel()
        await asyncio.wait((task,))
        await peer.close()
        # aioice looks every 20 ms whether it was closed.
        await until(lambda: not any("__connect" in str(task) for task in asyncio.all_tasks()))


async def answer(offer: str) -> tuple[RTCPeerConnection, str]:
    performer = peer_connection(())
    await performer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await performer.setLocalDescription(await performer.createAnswer())
    return performer, performer.localDescription.sdp


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_when_the_direct_way_leads_nowhere_the_relay_is_tried_and_the_other_side_told(
    allocated: list[Relay],
) -> None:
    async with viewer() as (peer, late, told):
        performer, sdp = await answer(LateRelay.open_end(peer.localDescription.sdp))
        await performer.close()  # it can be reached no longer
        await peer.setRemoteDescription(RTCSessionDescription(LateRelay.open_end(sdp), "answer"))
        late.answered()
        await until(lambda: allocated and allocated[0].checked)
        await until(lambda: told)
        assert told[0].split()[4:] == ["203.0.113.9", "50000", "typ", "relay", "raddr", "0.0.0.0", "rport", "9"]
    assert allocated[0].closed


async def test_when_the_direct_way_works_the_relay_is_given_back_untold(allocated: list[Relay]) -> None:
    async with viewer(patience_s=0.5) as (peer, late, told):
        performer, sdp = await answer(LateRelay.open_end(peer.localDescription.sdp))
        await peer.setRemoteDescription(RTCSessionDescription(LateRelay.open_end(sdp), "answer"))
        late.answered()
        await until(lambda: peer.connectionState == "connected")
        await until(lambda: allocated and allocated[0].closed)
        assert not told and not allocated[0].checked
        await performer.close()


async def test_a_viewer_that_leaves_at_once_gives_the_relay_back(allocated: list[Relay]) -> None:
    async with viewer():
        await until(lambda: allocated)
    assert allocated[0].closed


async def test_without_the_relay_the_checks_end_as_they_would_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(**_: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(relay, "relayed_candidate", refused)
    async with viewer() as (peer, late, told):
        performer, sdp = await answer(LateRelay.open_end(peer.localDescription.sdp))
        await peer.setRemoteDescription(RTCSessionDescription(LateRelay.open_end(sdp), "answer"))
        late.answered()
        agent = peer.getTransceivers()[0].receiver.transport.transport._connection
        await until(lambda: agent._remote_candidates_end)
        await until(lambda: peer.connectionState == "connected")
        assert not told
        await performer.close()


@pytest.mark.parametrize(("url", "expected"), [("turn:a:1", True), ("turns:a:1", True), ("stun:a:1", False)])
def test_a_turn_server_is_told_from_a_stun_server(url: str, expected: bool) -> None:
    assert is_relay(IceServer(urls=(url,))) is expected
