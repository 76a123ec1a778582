"""Sender reports that carry media time. The one file that touches private names of aiortc's RTCRtpSender.

aiortc stamps its reports with the moment of sending, which adds each codec's working time and every late start to the
offset between sound and picture (mediasoup #1887 met the same). Here both tracks of a viewer report the performer's
time of the frame itself (RFC 3550, 6.4.1), so that any receiver, also a browser, brings them together exactly.
"""

import time
from typing import Any, Protocol

from aiortc import RTCRtpSender
from aiortc.rtp import RtcpSdesPacket, RtcpSenderInfo, RtcpSourceInfo, RtcpSrPacket

NTP_UNIX_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970 (RFC 5905, 6)."""

_PRIVATE = "_RTCRtpSender__"
_STEADY_S = 0.001
"""Two frames in a row whose clocks differ by more are not reported: Opus mis-stamps the first packet after a gap."""


class Timed(Protocol):
    """A track that knows when its frames are played."""

    @property
    def media_s(self) -> float | None:
        """The performer's time of the frame that was handed out last."""
        ...


def ntp_time(unix_s: float) -> int:
    """Seconds since 1970 as the 64-bit NTP format."""
    return round((unix_s + NTP_UNIX_EPOCH_S) * (1 << 32))


def report_media_time(sender: RTCRtpSender, track: Timed, *, clock_hz: int) -> None:
    """Make `sender`, which sends `track`, report media time; the first report follows the first frame at once.

    Call it before the connection is up. Raises RuntimeError when aiortc has changed.
    """
    _SenderReports(sender, track, clock_hz)


class _SenderReports:
    """Stands between the sender's loops and what they call: learns what was encoded, rewrites what is reported."""

    def __init__(self, sender: Any, track: Timed, clock_hz: int) -> None:
        self._sender = sender
        for name in ("rtp_timestamp", "packet_count", "octet_count", "cname", "lsr", "lsr_time"):
            if not hasattr(sender, _PRIVATE + name):
                raise RuntimeError(
                    f"aiortc's sender has no {name} any more: adapt peer_remote/sender_reports.py to it."
                )
        self._track = track
        self._clock_hz = clock_hz
        self._encode = sender._next_encoded_frame
        self._send = sender._send_rtcp
        self._encoded: tuple[int, float] | None = None
        """The frame that is being sent: its timestamp as the encoder counts, and its media time."""
        self._sent: tuple[int, float] | None = None
        """The last frame that was sent: its RTP timestamp and media time."""
        self._announced = False
        sender._next_encoded_frame = self._next_encoded_frame
        sender._send_rtcp = self._send_rtcp

    async def _next_encoded_frame(self, codec: Any) -> Any:
        if self._encoded is not None:  # whoever asks for the next frame has sent the one before
            self._sent = self._private("rtp_timestamp"), self._encoded[1]
            if not self._announced:
                self._announced = True
                await self._announce()
        frame = await self._encode(codec)
        media_s = self._track.media_s
        if frame is None or media_s is None:
            self._encoded = None
            return frame
        before, self._encoded = self._encoded, (frame.timestamp, media_s)
        if before is not None and not self._steady(before, self._encoded):
            self._encoded = None
        return frame

    def _steady(self, before: tuple[int, float], after: tuple[int, float]) -> bool:
        ticks_s = (after[0] - before[0]) / self._clock_hz
        return abs(ticks_s - (after[1] - before[1])) < _STEADY_S

    async def _send_rtcp(self, packets: list[Any]) -> None:
        if packets and isinstance(packets[0], RtcpSrPacket):
            if self._sent is None:
                return  # nothing was sent yet, and the report would speak of the year 1900
            info = packets[0].sender_info
            info.rtp_timestamp, media_s = self._sent
            info.ntp_timestamp = ntp_time(media_s)
            # By this the sender recognises the report when the receiver answers, and measures the round trip.
            setattr(self._sender, _PRIVATE + "lsr", (info.ntp_timestamp >> 16) & 0xFFFFFFFF)
        await self._send(packets)

    async def _announce(self) -> None:
        """Report now instead of after aiortc's 0.5 to 1.5 s, until when a receiver could only guess."""
        ssrc = self._sender._ssrc
        info = RtcpSenderInfo(0, 0, self._private("packet_count"), self._private("octet_count"))
        packets: list[Any] = [RtcpSrPacket(ssrc=ssrc, sender_info=info)]
        if (cname := self._private("cname")) is not None:
            packets.append(RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=ssrc, items=[(1, cname.encode())])]))
        setattr(self._sender, _PRIVATE + "lsr_time", time.time())
        await self._send_rtcp(packets)

    def _private(self, name: str) -> Any:
        return getattr(self._sender, _PRIVATE + name)
