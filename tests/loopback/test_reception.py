"""What the laptop's side makes of a performer's packets: both peers are real ones of aiortc."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame, VideoFrame

from models.face.counter import CounterFace, read_counter
from models.interfaces import SPEECH_RATE_HZ, Image, Samples
from peer_local.interfaces import RtpPacket, SenderReport
from peer_local.playback.frame_assembler import FrameAssembler
from peer_local.playback.gallery import Gallery
from peer_local.playback.pictures import hang_pictures
from peer_local.playback.receiver import attach_audio, attach_video, receiver_of
from peer_local.playback.sender_clock import Kind, SenderClock
from peer_remote.encoders import VideoCodec, prefer
from peer_remote.sender_reports import report_media_time
from tests.viewer import eventually

BEGIN_S = 1_800_000_000.0
OPUS_LOOKAHEAD_SAMPLES = 312
"""6.5 ms that libopus adds; whoever decodes takes it into account."""
CLICK_S = 0.5
"""A click every half second of media time."""
SIZE_PX = 128


class Clicks(MediaStreamTrack):
    """Sound that clicks at full media half seconds."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.media_s: float | None = None
        self._next = 0
        self._origin_s = time.monotonic()

    async def recv(self) -> AudioFrame:
        at, self._next = self._next, self._next + 960
        await asyncio.sleep(self._origin_s + at / SPEECH_RATE_HZ - time.monotonic())
        samples = np.zeros(960, np.int16)
        if at % round(CLICK_S * SPEECH_RATE_HZ) == 0:
            samples[:48] = 20_000 * np.sin(np.arange(48) * np.pi * 2 / 12)
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SPEECH_RATE_HZ, at, Fraction(1, SPEECH_RATE_HZ)
        self.media_s = BEGIN_S + at / SPEECH_RATE_HZ
        return frame


class Numbers(MediaStreamTrack):
    """Pictures that show their number, 25 a second; the first one that is sent is `first`."""

    kind = "video"

    def __init__(self, first: int = 0) -> None:
        super().__init__()
        self.media_s: float | None = None
        self._next = first
        self._origin_s = time.monotonic()
        self._face = CounterFace(SIZE_PX)

    async def recv(self) -> VideoFrame:
        number, self._next = self._next, self._next + 1
        await asyncio.sleep(self._origin_s + number * 0.04 - time.monotonic())
        frame = VideoFrame.from_ndarray((await self._face.idle(number)).i420, format="yuv420p")
        frame.pts, frame.time_base = number * 3_600, Fraction(1, 90_000)
        self.media_s = BEGIN_S + number * 0.04
        return frame


class Laptop:
    """Takes both tracks as the product does, but keeps everything."""

    def __init__(self, connection: RTCPeerConnection, lose: Callable[[int], bool]) -> None:
        self.connection = connection
        self.clock = SenderClock()
        self.gallery = KeepingGallery()
        self.packets: list[RtpPacket] = []
        self.reports: list[tuple[float, Kind, SenderReport]] = []
        self.assembler: FrameAssembler | None = None
        self.audio_track: Any = None
        self.lost = 0
        self._lose = lose
        self._tasks: list[asyncio.Task[None]] = []
        connection.on("track", self._on_track)

    @property
    def pictures(self) -> FrameAssembler:
        assert self.assembler is not None
        return self.assembler

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver: Any = receiver_of(self.connection, track)
        kind: Kind = "audio" if track.kind == "audio" else "video"

        def note(report: SenderReport) -> None:
            self.reports.append((time.monotonic(), kind, report))
            self.clock.note(kind, report)

        def begin(timestamp: int) -> None:
            self.clock.begin(kind, timestamp)

        if kind == "audio":
            self.audio_track = track
            attach_audio(receiver, packet=self.packets.append, report=note, begin=begin)
        else:
            self.assembler = attach_video(receiver, report=note, begin=begin)
            self._lose_packets(receiver)
            self._tasks.append(asyncio.create_task(hang_pictures(track, self.gallery, self.clock)))

    def _lose_packets(self, receiver: Any) -> None:
        """Lose the n-th packet when told so; what is sent again arrives."""
        handle = receiver._handle_rtp_packet
        seen: set[int] = set()

        async def handle_some(packet: Any, arrival_time_ms: int) -> None:
            again = packet.payload_type in self._resent_types(receiver)
            if not again and packet.sequence_number not in seen:
                seen.add(packet.sequence_number)
                if self._lose(len(seen) - 1):
                    self.lost += 1
                    return
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = handle_some

    def _resent_types(self, receiver: Any) -> set[int]:
        codecs = receiver._RTCRtpReceiver__codecs
        return {kind for kind, codec in codecs.items() if codec.name == "rtx"}

    async def aclose(self) -> None:
        await self.connection.close()
        await asyncio.gather(*self._tasks)


class KeepingGallery(Gallery):
    """Remembers every picture with its media time and when it came."""

    def __init__(self) -> None:
        super().__init__()
        self.hung: list[tuple[float, float, Image]] = []

    def put(self, image: Image, media_s: float) -> None:
        self.hung.append((time.monotonic(), media_s, image))
        super().put(image, media_s)


@asynccontextmanager
async def reception(
    *, first_picture: int = 0, codec: VideoCodec = "vp8", lose: Callable[[int], bool] = lambda number: False
) -> AsyncIterator[tuple[Laptop, RTCPeerConnection]]:
    """A laptop that receives, and the performer's connection."""
    performer = RTCPeerConnection()
    laptop = Laptop(RTCPeerConnection(), lose)
    clicks, numbers = Clicks(), Numbers(first_picture)
    report_media_time(performer.addTrack(clicks), clicks, clock_hz=SPEECH_RATE_HZ)
    report_media_time(performer.addTrack(numbers), numbers, clock_hz=90_000)
    for transceiver in performer.getTransceivers():
        if transceiver.kind == "video":
            prefer(transceiver, codec)
    try:
        laptop.connection.addTransceiver("audio", "recvonly")
        laptop.connection.addTransceiver("video", "recvonly")
        await laptop.connection.setLocalDescription(await laptop.connection.createOffer())
        await performer.setRemoteDescription(laptop.connection.localDescription)
        await performer.setLocalDescription(await performer.createAnswer())
        await laptop.connection.setRemoteDescription(performer.localDescription)
        yield laptop, performer
    finally:
        await laptop.aclose()
        await performer.close()


def decoded(packets: list[RtpPacket]) -> tuple[int, Samples]:
    """The first timestamp and the sound of packets without a gap."""
    decoder = OpusDecoder()
    sound = [
        frame.to_ndarray().reshape(-1, 2)[:, 0]
        for packet in packets
        for frame in decoder.decode(JitterFrame(packet.payload, packet.timestamp))
    ]
    return packets[0].timestamp, np.concatenate(sound).astype(np.float32)


@pytest.mark.parametrize("first_picture", [0, 4])
async def test_sound_and_pictures_are_placed_in_the_performers_time_to_the_millisecond(first_picture: int) -> None:
    async with reception(first_picture=first_picture) as (laptop, _):
        await eventually(lambda: len(laptop.packets) > 120 and laptop.clock.figures().settled)
        origin, sound = decoded(laptop.packets)
        peaks = np.flatnonzero(np.abs(sound) > 0.7 * np.abs(sound).max())
        starts = peaks[np.diff(peaks, prepend=-10_000) > 4_800]
        assert len(starts) >= 3
        for start in starts:
            media_s = laptop.clock.media_s("audio", origin + int(start) - OPUS_LOOKAHEAD_SAMPLES)
            assert media_s is not None
            assert abs((media_s - BEGIN_S + CLICK_S / 2) % CLICK_S - CLICK_S / 2) < 0.001
        settled_s = max(min(at_s for at_s, kind, _ in laptop.reports if kind == one) for one in ("audio", "video"))
        late = [(media_s, image) for at_s, media_s, image in laptop.gallery.hung if at_s > settled_s]
        assert len(late) > 40
        for media_s, image in late:
            assert abs(media_s - BEGIN_S - read_counter(image)[0] * 0.04) < 0.001


async def test_reports_come_at_once_and_speak_of_one_time() -> None:
    async with reception() as (laptop, _):
        await eventually(lambda: len(laptop.reports) >= 6)
        first_s = {kind: at_s for at_s, kind, _ in reversed(laptop.reports)}
        assert max(first_s.values()) - min(laptop.packets[0].arrived_s, laptop.gallery.hung[0][0]) < 0.3
        for kind, hz in (("audio", 48_000), ("video", 90_000)):
            offsets_s = [r.media_s - r.timestamp / hz for _, one, r in laptop.reports if one == kind]
            assert max(offsets_s) - min(offsets_s) < 1e-4


async def test_aiortc_decodes_no_sound_but_goes_on_reporting() -> None:
    async with reception() as (laptop, performer):
        times_s: list[float] = []
        async with asyncio.timeout(10):
            while not times_s:
                await asyncio.sleep(0.05)
                stats = [getattr(one, "roundTripTime", None) for one in (await performer.getStats()).values()]
                times_s = [time_s for time_s in stats if time_s]
        assert max(times_s) < 0.5
        assert laptop.audio_track._queue.empty()
        inbound = [one for one in (await laptop.connection.getStats()).values() if one.type == "inbound-rtp"]
        assert min(one.packetsReceived for one in inbound) > 10
        assert [packet.sequence - laptop.packets[0].sequence for packet in laptop.packets] == list(
            range(len(laptop.packets))
        )


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_lost_packets_are_sent_again_and_no_picture_is_missed(codec: VideoCodec) -> None:
    async with reception(codec=codec, lose=lambda number: number % 7 == 3) as (laptop, _):
        await eventually(lambda: len(laptop.gallery.hung) > 70)
        numbers = [read_counter(image)[0] for _, _, image in laptop.gallery.hung]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        figures = laptop.pictures.figures()
        assert laptop.lost >= 8
        assert figures.recovered >= laptop.lost - 2
        assert (figures.lost, figures.skipped, figures.damaged) == (0, 0, 0)


async def test_a_lost_first_key_frame_is_asked_for_again() -> None:
    async with reception(lose=lambda number: number == 0) as (laptop, _):
        await eventually(lambda: len(laptop.gallery.hung) > 10)
        assert laptop.pictures.figures().key_frames_asked >= 1


async def test_a_picture_comes_out_with_its_last_packet_not_with_the_next_one() -> None:
    async with reception() as (laptop, _):
        await eventually(lambda: len(laptop.gallery.hung) > 40 and len(laptop.packets) > 80)
        sound_s = {round(laptop.clock.media_s("audio", p.timestamp) or 0, 2): p.arrived_s for p in laptop.packets}
        behind_s = [
            at_s - sound_s[round(media_s, 2)]
            for at_s, media_s, _ in laptop.gallery.hung
            if round(media_s, 2) in sound_s
        ]
        assert np.median(behind_s) < 0.03


PRIVATE = ["jitter_buffer", "timestamp_mapper", "nack_generator", "codecs", "decoder_queue", "decoder_error"]


@pytest.mark.parametrize("name", [*PRIVATE, "decoder_thread"])
async def test_an_aiortc_whose_receiver_has_changed_is_named(name: str) -> None:
    connection = RTCPeerConnection()
    receiver: Any = connection.addTransceiver("video", "recvonly").receiver
    delattr(receiver, f"_RTCRtpReceiver__{name}")
    with pytest.raises(RuntimeError, match=rf"no {name} any more: adapt peer_local/playback/receiver\.py"):
        attach_video(receiver, report=lambda report: None)
    await connection.close()


async def test_a_strangers_track_has_no_receiver_here() -> None:
    connection = RTCPeerConnection()
    with pytest.raises(LookupError):
        receiver_of(connection, Clicks())
    await connection.close()
