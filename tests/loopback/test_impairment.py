"""The bad network that the benches use: its rules, and two real peers that meet through it."""

import asyncio

import numpy as np
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from tests.impairment import Conditions, Fate, Network
from tests.viewer import eventually


def arrivals(conditions: Conditions, packets: int = 20_000, *, seed: str = "1") -> list[float | None]:
    """Delays of packets that are sent 1 ms apart."""
    fate = Fate(seed)
    moments = [(index / 1_000, fate.arrival_s(index / 1_000, conditions)) for index in range(packets)]
    return [None if at_s is None else at_s - sent_s for sent_s, at_s in moments]


def test_loss_is_what_was_asked_for() -> None:
    lost = sum(delay is None for delay in arrivals(Conditions(loss=0.05)))
    assert abs(lost / 20_000 - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 20_000)


def test_the_same_seed_loses_the_same_packets_whatever_the_jitter() -> None:
    calm, shaky = (arrivals(Conditions(loss=0.3, jitter_ms=jitter), 500) for jitter in (0, 50))
    assert [delay is None for delay in calm] == [delay is None for delay in shaky]
    assert [delay is None for delay in calm] != [
        delay is None for delay in arrivals(Conditions(loss=0.3), 500, seed="2")
    ]


def test_jitter_spreads_evenly_above_the_delay() -> None:
    delays = np.array(arrivals(Conditions(delay_ms=20, jitter_ms=30)), float)
    assert 0.020 <= delays.min() < 0.021 and 0.079 < delays.max() <= 0.080
    assert abs(delays.mean() - 0.050) < 0.001


def test_packets_overtake_each_other_unless_kept_in_order() -> None:
    sent_s = np.arange(20_000) / 1_000
    loose = sent_s + np.array(arrivals(Conditions(jitter_ms=30)), float)
    in_order = sent_s + np.array(arrivals(Conditions(jitter_ms=30, in_order=True)), float)
    assert np.any(np.diff(loose) < 0)
    assert np.all(np.diff(in_order) >= 0)


async def test_two_peers_meet_through_the_network_and_lose_what_it_loses() -> None:
    left, right = RTCPeerConnection(), RTCPeerConnection()
    received: list[str] = []
    opened = asyncio.Event()
    channel = left.createDataChannel("counted", ordered=False, maxRetransmits=0)
    channel.on("open", opened.set)

    @right.on("datachannel")
    def take(channel: RTCDataChannel) -> None:
        channel.on("message", received.append)

    try:
        async with Network(seed=3) as network:
            await left.setLocalDescription(await left.createOffer())
            offer = await network.describe(left.localDescription.sdp, of="left")
            await right.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            await right.setLocalDescription(await right.createAnswer())
            answer = await network.describe(right.localDescription.sdp, of="right")
            await left.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            async with asyncio.timeout(10):
                await opened.wait()
            channel.send("before")
            await eventually(lambda: received == ["before"])
            assert network.passed > 0 and network.lost == 0
            network.set(cut=True)
            channel.send("lost")
            await eventually(lambda: network.lost > 0)
            network.set(cut=False, delay_ms=5)
            await eventually(lambda: _sent_and_received(channel, received))
            assert "lost" not in received
    finally:
        await asyncio.gather(left.close(), right.close())


def _sent_and_received(channel: RTCDataChannel, received: list[str]) -> bool:
    channel.send("after")
    return "after" in received
