"""Pictures from a track to the gallery, and from a bad network to the eye."""

import asyncio
import heapq
import itertools
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from models.interfaces import Image
from peer_local.interfaces import RtpPacket
from peer_local.playback.frame_assembler import FrameAssembler
from peer_local.playback.gallery import Gallery
from peer_local.playback.pictures import hang_pictures, to_i420
from peer_local.playback.sender_clock import SenderClock
from peer_local.playback.video_payload import Place


def textured(width_px: int, height_px: int) -> Image:
    return np.random.default_rng(1).integers(0, 255, (height_px * 3 // 2, width_px), dtype=np.uint8)


def as_frame(image: Image, pts: int = 0) -> VideoFrame:
    frame = VideoFrame.from_ndarray(image, format="yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


@pytest.mark.parametrize(("width_px", "height_px"), [(1280, 720), (640, 640), (170, 90), (34, 2)])
def test_a_picture_comes_out_as_it_went_in_whatever_its_lines_are_padded_to(width_px: int, height_px: int) -> None:
    image = textured(width_px, height_px)
    assert np.array_equal(to_i420(as_frame(image)), image)


def test_an_odd_line_and_column_are_left_out() -> None:
    frame = VideoFrame(171, 91, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([90]) * plane.buffer_size)
    assert to_i420(frame).shape == (135, 170)
    assert np.all(to_i420(frame) == 90)


def test_another_format_is_converted() -> None:
    frame = VideoFrame.from_ndarray(np.full((90, 160, 3), 128, np.uint8), format="rgb24")
    assert to_i420(frame).shape == (135, 160)


class Track:
    """What a decoder hands out, by hand."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def recv(self) -> Any:
        frame = await self.queue.get()
        if frame is None:
            raise MediaStreamError
        return frame


async def test_every_picture_is_hung_by_its_media_time_until_the_track_ends() -> None:
    track, gallery, clock = Track(), Gallery(), SenderClock()
    clock.begin("video", 9_000)
    images = [textured(32, 32), 255 - textured(32, 32)]
    stray = AudioFrame(format="s16", layout="mono", samples=960)
    for frame in (as_frame(images[0], 9_000), stray, as_frame(images[1], 12_600), None):
        track.queue.put_nowait(frame)
    await asyncio.wait_for(hang_pictures(track, gallery, clock), 5)  # type: ignore[arg-type]
    assert np.array_equal(gallery.pick(0.0), images[0])  # type: ignore[arg-type]
    assert np.array_equal(gallery.pick(0.04), images[1])  # type: ignore[arg-type]


async def test_a_picture_that_cannot_be_read_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    track, gallery = Track(), Gallery()
    bad, good = as_frame(textured(32, 32), 0), as_frame(textured(32, 32), 3_600)

    def convert(frame: VideoFrame) -> Image:
        if frame is bad:
            raise ValueError("a decoder's mishap")
        return to_i420(frame)

    monkeypatch.setattr("peer_local.playback.pictures.to_i420", convert)
    for frame in (bad, good, None):
        track.queue.put_nowait(frame)
    await asyncio.wait_for(hang_pictures(track, gallery, SenderClock()), 5)  # type: ignore[arg-type]
    assert gallery.figures().waiting == 1


async def test_a_track_that_falls_silent_is_noticed_once_each_time() -> None:
    track, gallery = Track(), Gallery()
    silences = 0
    noticed = asyncio.Event()

    def silent() -> None:
        nonlocal silences
        silences += 1
        noticed.set()

    hanging = asyncio.create_task(
        hang_pictures(track, gallery, SenderClock(), silent=silent, silent_s=0.02)  # type: ignore[arg-type]
    )
    for round_number in (1, 2):
        await asyncio.wait_for(noticed.wait(), 5)
        noticed.clear()
        await asyncio.sleep(0.06)
        assert silences == round_number
        track.queue.put_nowait(as_frame(textured(32, 32), round_number * 3_600))
    track.queue.put_nowait(None)
    await asyncio.wait_for(hanging, 5)
    assert gallery.figures().waiting == 2


@dataclass(frozen=True, slots=True)
class Network:
    """What it does to each packet, in both directions."""

    loss: float
    delay_s: float
    spread_s: float
    in_order: bool


@dataclass(frozen=True, slots=True)
class Seen:
    longest_s: float
    """The longest that one picture stood."""
    shown: int
    damaged: int
    skipped: int


def watch(network: Network, *, seed: int, seconds: int, behind_s: float) -> Seen:
    """Virtual time: 25 pictures of some 4 packets a second, 25 packets for a key frame, shown `behind_s` after they
    were sent by a camera of 30 pictures a second; the sender keeps 128 packets, as aiortc does.
    """
    chance = random.Random(seed)
    now = [0.0]
    assembler, gallery = FrameAssembler(), Gallery(now=lambda: now[0])
    events: list[tuple[float, int, str, Any]] = []
    order = itertools.count()
    latest_s = {"packet": 0.0, "request": 0.0}
    kept: dict[int, RtpPacket] = {}
    places: dict[int, Place] = {}

    def plan(at_s: float, what: str, subject: Any) -> None:
        heapq.heappush(events, (at_s, next(order), what, subject))

    def send(what: str, subject: Any) -> None:
        if chance.random() >= network.loss:
            at_s = now[0] + network.delay_s + chance.random() * network.spread_s
            if network.in_order:
                at_s = latest_s[what] = max(at_s, latest_s[what])
            plan(at_s, what, subject)

    for number in range(seconds * 25):
        plan(number * 0.04, "picture", number)
    for number in range(seconds * 30):
        plan(number / 30, "camera", None)
    key_wanted, sequence = True, 0
    new_at_s: list[float] = []
    while events:
        now[0], _, what, subject = heapq.heappop(events)
        if what == "picture":
            count = 25 if key_wanted else max(1, round(chance.gauss(4, 1.3)))
            for part in range(count):
                packet = RtpPacket(sequence, subject * 3_600, part == count - 1, b"x", 0.0)
                kept[sequence % 128] = packet
                places[sequence] = Place(part == 0, part == 0 and key_wanted)
                send("packet", packet)
                sequence += 1
            key_wanted = False
        elif what == "packet":
            arrived = RtpPacket(subject.sequence, subject.timestamp, subject.marker, b"x", now[0])
            for picture in assembler.add(arrived, places[subject.sequence]):
                gallery.put(np.zeros((3, 2), np.uint8), picture.timestamp / 90_000)
            requests = assembler.requests(now[0])
            if requests.missing or requests.key_frame:
                send("request", requests)
        elif what == "request":
            key_wanted = key_wanted or subject.key_frame
            for missing in subject.missing:
                if kept[missing % 128].sequence == missing:
                    send("packet", kept[missing % 128])
        elif now[0] > behind_s:
            gallery.pick(now[0] - behind_s)
            if gallery.last_new_s == now[0]:
                new_at_s.append(now[0])
    figures = assembler.figures()
    return Seen(float(np.diff(new_at_s).max()), len(new_at_s), figures.damaged, figures.skipped)


@pytest.mark.parametrize("seed", range(3))
def test_five_percent_loss_and_fifty_milliseconds_of_jitter_never_freeze_the_face(seed: int) -> None:
    network = Network(loss=0.05, delay_s=0.0, spread_s=0.1, in_order=False)
    seen = watch(network, seed=seed, seconds=60, behind_s=0.15)
    assert seen.longest_s <= 0.201
    assert seen.damaged < 0.1 * seen.shown


@pytest.mark.parametrize("seed", range(2))
def test_an_ordinary_bad_line_shows_nearly_every_picture(seed: int) -> None:
    network = Network(loss=0.02, delay_s=0.02, spread_s=0.02, in_order=True)
    seen = watch(network, seed=seed, seconds=30, behind_s=0.14)
    assert seen.longest_s <= 0.15
    assert seen.shown > 0.97 * 30 * 25
    assert seen.skipped <= 2


def test_a_sender_too_far_away_to_send_again_in_time_does_not_freeze_either() -> None:
    network = Network(loss=0.01, delay_s=0.12, spread_s=0.02, in_order=True)
    seen = watch(network, seed=1, seconds=60, behind_s=0.24)
    assert seen.longest_s <= 0.24
    assert seen.shown > 0.9 * 60 * 25
