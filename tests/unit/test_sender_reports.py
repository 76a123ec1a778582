from typing import Any

import pytest
from aiortc.rtp import RtcpByePacket, RtcpSenderInfo, RtcpSrPacket

from peer_remote.sender_reports import NTP_UNIX_EPOCH_S, report_media_time

CLOCK_HZ = 48_000
ORIGIN = 4_294_960_000
BEGIN_S = 1_800_000_000.0


class Frame:
    def __init__(self, timestamp: int) -> None:
        self.timestamp = timestamp


class Track:
    media_s: float | None = None


class RTCRtpSender:
    """What aiortc's sender of this name does around its hooks; `encoded` are (timestamp, media time after start)."""

    def __init__(self, track: Track, *encoded: tuple[int, float] | None) -> None:
        self._ssrc = 5
        self.__rtp_timestamp = 0
        self.__packet_count = 0
        self.__octet_count = 0
        self.__cname = "double"
        self.__lsr: int | None = None
        self.__lsr_time: float | None = None
        self._track = track
        self._encoded = list(encoded)
        self.sent: list[list[Any]] = []

    async def _next_encoded_frame(self, codec: object) -> Frame | None:
        following = self._encoded.pop(0)
        if following is None:
            return None
        self._track.media_s = BEGIN_S + following[1]
        return Frame(following[0])

    async def _send_rtcp(self, packets: list[Any]) -> None:
        self.sent.append(packets)

    async def send_frames(self, count: int) -> None:
        for _ in range(count):
            frame = await self._next_encoded_frame(None)
            if frame is not None:
                self.__rtp_timestamp = (ORIGIN + frame.timestamp) & 0xFFFFFFFF
                self.__packet_count += 1

    async def report(self) -> None:
        await self._send_rtcp([RtcpSrPacket(self._ssrc, RtcpSenderInfo(99, self.__rtp_timestamp, 1, 1))])

    def reported(self) -> list[tuple[int, float]]:
        """Timestamp after the origin and media time after the start of every report."""
        infos = [packets[0].sender_info for packets in self.sent if isinstance(packets[0], RtcpSrPacket)]
        return [
            (
                (info.rtp_timestamp - ORIGIN) & 0xFFFFFFFF,
                round(info.ntp_timestamp / 2**32 - NTP_UNIX_EPOCH_S - BEGIN_S, 5),
            )
            for info in infos
        ]

    @property
    def last_report_id(self) -> int | None:
        return self.__lsr


def sending(*encoded: tuple[int, float] | None) -> RTCRtpSender:
    track = Track()
    sender = RTCRtpSender(track, *encoded)
    report_media_time(sender, track, clock_hz=CLOCK_HZ)  # type: ignore[arg-type]
    return sender


async def test_the_first_report_follows_the_first_frame_at_once() -> None:
    sender = sending((0, 10.0), (960, 10.02), (1_920, 10.04))
    await sender.report()
    assert sender.sent == [], "nothing is reported before something was sent"
    await sender.send_frames(1)
    assert sender.reported() == []
    await sender.send_frames(2)
    assert sender.reported() == [(0, 10.0)]
    assert sender.sent[0][1].chunks[0].items == [(1, b"double")]


async def test_a_report_carries_the_media_time_of_the_last_frame_that_was_sent() -> None:
    sender = sending(*[(960 * n, 10.0 + 0.02 * n) for n in range(20)])
    await sender.send_frames(20)
    await sender.report()
    assert sender.reported()[-1] == (960 * 18, 10.36), "the twentieth may still be on its way to the network"
    ntp = sender.sent[-1][0].sender_info.ntp_timestamp
    assert sender.last_report_id == (ntp >> 16) & 0xFFFFFFFF, "the round trip is measured by it"


async def test_a_frame_that_the_encoder_mis_stamped_after_a_gap_is_not_reported() -> None:
    sender = sending((0, 10.0), (960, 10.02), (1_920, 10.5), (24_960, 10.52), (25_920, 10.54))
    await sender.send_frames(4)
    await sender.report()
    assert sender.reported()[-1] == (960, 10.02)
    await sender.send_frames(1)
    await sender.report()
    assert sender.reported()[-1] == (24_960, 10.52)


async def test_a_frame_that_was_not_sent_changes_nothing() -> None:
    sender = sending((0, 10.0), None, None, (2_880, 10.06))
    await sender.send_frames(4)
    await sender.report()
    assert sender.reported() == [(0, 10.0), (0, 10.0)]


async def test_the_farewell_passes_untouched() -> None:
    sender = sending()
    farewell = [RtcpByePacket(sources=[5])]
    await sender._send_rtcp(farewell)
    assert sender.sent == [farewell]


def test_a_sender_that_aiortc_has_changed_is_named() -> None:
    track = Track()
    sender = RTCRtpSender(track)
    del sender._RTCRtpSender__lsr  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match=r"no lsr any more: adapt peer_remote/sender_reports\.py"):
        report_media_time(sender, track, clock_hz=CLOCK_HZ)  # type: ignore[arg-type]
