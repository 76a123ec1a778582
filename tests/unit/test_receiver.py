from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCRtpCodecParameters
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket
from aiortc.rtp import RtpPacket as WirePacket
from hypothesis import given
from hypothesis import strategies as st

from peer_local.interfaces import RtpPacket, SenderReport
from peer_local.playback.receiver import NTP_UNIX_EPOCH_S, Unwrapped, attach_audio


@pytest.mark.parametrize("bits", [16, 32])
def test_a_counter_that_wraps_goes_on(bits: int) -> None:
    span = 1 << bits
    counter = Unwrapped(bits)
    assert [counter.extend(value % span) for value in (span - 2, span + 1, span - 1, span + 2)] == [
        span - 2,
        span + 1,
        span - 1,
        span + 2,
    ]


def test_what_is_only_looked_at_moves_nothing() -> None:
    counter = Unwrapped(16)
    counter.extend(65_000)
    assert counter.near(40_000) == 40_000
    assert counter.near(10) == 65_546
    assert counter.extend(65_001) == 65_001


def test_a_counter_that_begins_anew_is_followed() -> None:
    counter = Unwrapped(16)
    assert counter.extend(30_000) == 30_000
    assert [counter.extend(value) for value in (5_000, 5_001, 5_002)] == [5_000, 5_001, 5_002]


@given(st.integers(0, (1 << 32) - 1), st.lists(st.integers(-1_000, 90_000), max_size=50))
def test_steps_of_any_size_keep_their_size(first: int, steps: list[int]) -> None:
    counter = Unwrapped(32)
    assert counter.extend(first) == first
    value = first
    for step in steps:
        value += step
        assert counter.extend(value % (1 << 32)) == value


class Inlet:
    """A real receiver of sound, fed by hand."""

    def __init__(self, receiver: Any) -> None:
        self.packets: list[RtpPacket] = []
        self.reports: list[SenderReport] = []
        self.begun: list[int] = []
        self._receiver = receiver
        opus = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)
        receiver._RTCRtpReceiver__codecs[96] = opus
        attach_audio(
            receiver, packet=self.packets.append, report=self.reports.append, begin=self.begun.append, now=lambda: 7.0
        )

    async def packet(self, sequence: int, timestamp: int, payload: bytes = b"opus") -> None:
        wire = WirePacket(96, 0, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc=5, payload=payload)
        await self._receiver._handle_rtp_packet(wire, arrival_time_ms=0)

    async def report(self, timestamp: int, unix_s: float, ssrc: int = 5) -> None:
        ntp = round((unix_s + NTP_UNIX_EPOCH_S) * (1 << 32)) if unix_s else 0
        info = RtcpSenderInfo(ntp, timestamp & 0xFFFFFFFF, 0, 0)
        await self._receiver._handle_rtcp_packet(RtcpSrPacket(ssrc, info))


@pytest.fixture
async def inlet() -> Any:
    connection = RTCPeerConnection()
    yield Inlet(connection.addTransceiver("audio", "recvonly").receiver)
    await connection.close()


async def test_packets_and_reports_of_a_track_are_counted_alike_over_a_wrap(inlet: Inlet) -> None:
    wrap = 1 << 32
    await inlet.packet(65_535, wrap - 960)
    await inlet.packet(65_537, wrap + 960)
    await inlet.report(wrap + 480, 1_800_000_000.25)
    await inlet.packet(65_536, wrap)
    await inlet.report(wrap - 480, 1_800_000_000.23)
    assert [(p.sequence, p.timestamp) for p in inlet.packets] == [
        (65_535, wrap - 960),
        (65_537, wrap + 960),
        (65_536, wrap),
    ]
    assert inlet.packets[0] == RtpPacket(65_535, wrap - 960, False, b"opus", 7.0)
    assert [(r.timestamp, r.media_s) for r in inlet.reports] == [
        (wrap + 480, 1_800_000_000.25),
        (wrap - 480, pytest.approx(1_800_000_000.23, abs=1e-6)),
    ]
    assert inlet.begun == [wrap - 960]


async def test_a_report_before_the_first_packet_counts_like_the_packets_after_it(inlet: Inlet) -> None:
    await inlet.report((1 << 32) - 480, 1_800_000_000.0)
    await inlet.packet(1, (1 << 32) + 480)
    assert inlet.packets[0].timestamp - inlet.reports[0].timestamp == 960


async def test_reports_of_nothing_or_of_another_stream_are_ignored(inlet: Inlet) -> None:
    await inlet.packet(1, 960)
    await inlet.report(960, 0.0)
    await inlet.report(960, 1_800_000_000.0, ssrc=6)
    assert inlet.reports == []


async def test_sound_is_not_left_to_aiortcs_decoder(inlet: Inlet) -> None:
    for number in range(30):
        await inlet.packet(number, number * 960)
    assert inlet._receiver._RTCRtpReceiver__decoder_queue.empty()
    assert len(inlet.packets) == 30
