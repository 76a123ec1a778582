"""Takes what aiortc's receivers get before aiortc's own buffers do.

The one file of this side that touches private names of RTCRtpReceiver (aiortc 1.16); tests/loopback fails when they
change. Call `attach_audio` and `attach_video` from the connection's "track" event: packets come only after it.

    packet ─► RTCRtpReceiver ─► statistics, receiver reports
                   └─► in the place of its jitter buffer
                         sound:    packet()
                         pictures: FrameAssembler ─► aiortc's decoder thread ─► track.recv(), pts = extended timestamp
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import is_rtx
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtcpSrPacket

from peer_local.interfaces import RtpPacket, SenderReport
from peer_local.playback.frame_assembler import AssemblyRules, FrameAssembler
from peer_local.playback.video_payload import INSIDE, Place, h264_place, vp8_place

NTP_UNIX_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970 (RFC 5905, 6)."""
DECODER_BACKLOG = 25
"""Pictures that may wait for the decoder, one second; behind that it starts again with a key frame."""

_PRIVATE = "_RTCRtpReceiver__"

TakePacket = Callable[[RtpPacket], None]
TakeReport = Callable[[SenderReport], None]
Begin = Callable[[int], None]
Now = Callable[[], float]


def receiver_of(connection: RTCPeerConnection, track: MediaStreamTrack) -> RTCRtpReceiver:
    """The receiver whose track was announced. Raises LookupError when it is not of this connection."""
    for receiver in connection.getReceivers():
        if receiver.track is track:
            return receiver
    raise LookupError("The track does not belong to this connection.")


def attach_audio(
    receiver: RTCRtpReceiver,
    *,
    packet: TakePacket,
    report: TakeReport,
    begin: Begin = lambda timestamp: None,
    now: Now = time.monotonic,
) -> None:
    """Hand every sound packet to `packet` as it arrives, undecoded and in no order; the track itself stays silent.

    `begin` gets the first packet's timestamp. All are called on the event loop and must not block. Raises RuntimeError
    when aiortc has changed.
    """
    private = _Private(receiver)
    private.replace("jitter_buffer", _AudioIntake(packet, _watch_reports(receiver, report, begin), now))


def attach_video(
    receiver: Any,
    *,
    report: TakeReport,
    begin: Begin = lambda timestamp: None,
    rules: AssemblyRules | None = None,
    now: Now = time.monotonic,
) -> FrameAssembler:
    """Assemble pictures by our rules; decoded ones come out of the track with extended timestamps as pts.

    `begin` gets the first packet's timestamp. Returns the assembler for its figures. Raises RuntimeError when aiortc
    has changed.
    """
    private = _Private(receiver)
    assembler = FrameAssembler(rules)
    intake = _VideoIntake(private, assembler, _watch_reports(receiver, report, begin), now)
    private.replace("jitter_buffer", intake)
    private.replace("timestamp_mapper", _AbsoluteTimestamps())
    private.replace("nack_generator", None)
    handle = _method(receiver, "_handle_rtp_packet")
    send_nack, send_pli = _method(receiver, "_send_rtcp_nack"), _method(receiver, "_send_rtcp_pli")

    async def take(packet: Any, arrival_time_ms: int) -> None:
        intake.heed_decoder()
        if intake.sent_again(packet):
            # It carries the time of its first sending, by which aiortc would take it for a jam and lower the bit rate.
            packet.extensions.abs_send_time = None
        await handle(packet, arrival_time_ms=arrival_time_ms)
        if intake.ssrc is None:
            return
        requests = assembler.requests(now())
        if requests.missing:
            await send_nack(intake.ssrc, [sequence & 0xFFFF for sequence in requests.missing])
        if requests.key_frame:
            await send_pli(intake.ssrc)

    receiver._handle_rtp_packet = take
    return assembler


class Unwrapped:
    """Extends a counter of `bits` bits to one that never wraps: each value is taken to be the nearest to the newest."""

    def __init__(self, bits: int) -> None:
        self._span = 1 << bits
        self._newest: int | None = None

    def extend(self, value: int) -> int:
        """The extended `value`, which may lie before the newest."""
        extended = self.near(value)
        if self._newest is None or extended > self._newest or self._newest - extended > self._span // 4:
            self._newest = extended  # newer, or so much older that the counter began anew
        return extended

    def near(self, value: int) -> int:
        """The extended `value`, without learning from it."""
        if self._newest is None:
            return value
        distance = (value - self._newest) % self._span
        return self._newest + (distance if distance < self._span // 2 else distance - self._span)


class _Stream:
    """Extends the numbers of one track's packets and reports alike."""

    def __init__(self, report: TakeReport, begin: Begin) -> None:
        self._report = report
        self._begin = begin
        self._sequences = Unwrapped(16)
        self._timestamps = Unwrapped(32)
        self.ssrc: int | None = None

    def packet(self, packet: Any, arrived_s: float) -> RtpPacket:
        """A packet of aiortc's, whose `_data` is what the decoder takes."""
        timestamp = self._timestamps.extend(packet.timestamp)
        if self.ssrc is None:
            self._begin(timestamp)
        self.ssrc = packet.ssrc
        return RtpPacket(
            sequence=self._sequences.extend(packet.sequence_number),
            timestamp=timestamp,
            marker=bool(packet.marker),
            payload=packet._data,
            arrived_s=arrived_s,
        )

    def sender_report(self, packet: RtcpSrPacket) -> None:
        """Pass a report on, unless it is of another stream or of a sender that has not sent yet."""
        info = packet.sender_info
        if not info.ntp_timestamp or self.ssrc not in (None, packet.ssrc):
            return
        extend = self._timestamps.extend if self.ssrc is None else self._timestamps.near
        self._report(SenderReport(extend(info.rtp_timestamp), info.ntp_timestamp / (1 << 32) - NTP_UNIX_EPOCH_S))


class _AudioIntake:
    """In the place of the audio jitter buffer: nothing comes out of it for aiortc to decode."""

    def __init__(self, take: TakePacket, stream: _Stream, now: Now) -> None:
        self._take = take
        self._stream = stream
        self._now = now

    def add(self, packet: Any) -> tuple[bool, None]:
        self._take(self._stream.packet(packet, self._now()))
        return False, None


class _VideoIntake:
    """In the place of the video jitter buffer: puts pictures into the decoder's queue itself, several if need be."""

    def __init__(self, private: "_Private", assembler: FrameAssembler, stream: _Stream, now: Now) -> None:
        self._private = private
        self._assembler = assembler
        self._stream = stream
        self._now = now
        self._codecs: dict[int, Any] = private.get("codecs")
        self._decoder: queue.Queue[Any] = private.get("decoder_queue")
        self._trouble: threading.Event = private.get("decoder_error")
        private.get("decoder_thread")

    @property
    def ssrc(self) -> int | None:
        return self._stream.ssrc

    def add(self, packet: Any) -> tuple[bool, None]:
        codec = self._codecs[packet.payload_type]
        pictures = self._assembler.add(self._stream.packet(packet, self._now()), _place(codec.name, packet))
        if self._private.get("decoder_thread") is None:
            return False, None  # the receiver has been stopped
        if pictures and self._decoder.qsize() >= DECODER_BACKLOG:
            self._assembler.restart()
            return False, None
        for picture in pictures:
            self._decoder.put((codec, JitterFrame(picture.data, picture.timestamp)))
        return False, None

    def sent_again(self, packet: Any) -> bool:
        codec = self._codecs.get(packet.payload_type)
        return codec is not None and is_rtx(codec)

    def heed_decoder(self) -> None:
        """Ask for a key frame if the decoder failed, but no more often than the rules say, as aiortc would."""
        if self._trouble.is_set():
            self._trouble.clear()
            self._assembler.want_key_frame()


class _AbsoluteTimestamps:
    """In the place of the mapper that makes every track begin at 0."""

    def map(self, timestamp: int) -> int:
        return timestamp


def _place(codec: str, packet: Any) -> Place:
    if codec.upper() == "VP8":
        return vp8_place(packet.payload, packet._data)
    return h264_place(packet._data) if codec.upper() == "H264" else INSIDE


def _watch_reports(receiver: Any, report: TakeReport, begin: Begin) -> _Stream:
    stream = _Stream(report, begin)
    handle = _method(receiver, "_handle_rtcp_packet")

    async def take(packet: Any) -> None:
        await handle(packet)
        if isinstance(packet, RtcpSrPacket):
            stream.sender_report(packet)

    receiver._handle_rtcp_packet = take
    return stream


class _Private:
    """The receiver's own attributes, by name; loud when one is missing."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver

    def get(self, name: str) -> Any:
        if not hasattr(self._receiver, _PRIVATE + name):
            raise RuntimeError(
                f"aiortc's receiver has no {name} any more: adapt peer_local/playback/receiver.py to it."
            )
        return getattr(self._receiver, _PRIVATE + name)

    def replace(self, name: str, value: object) -> None:
        self.get(name)
        setattr(self._receiver, _PRIVATE + name, value)


def _method(receiver: Any, name: str) -> Any:
    method = getattr(receiver, name, None)
    if method is None:
        raise RuntimeError(f"aiortc's receiver has no {name} any more: adapt peer_local/playback/receiver.py to it.")
    return method
