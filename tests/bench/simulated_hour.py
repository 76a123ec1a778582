"""An hour of playing with simulated clocks: do lips and sound stay together while every clock runs at its own pace?

The product's pure classes (player, sender clock, gallery) get packets, pictures and sender reports from a performer
whose clock is fast, over a network that loses and jitters, and are pulled by a sound device whose clock is slow and
reports noisy times. Nothing waits: an hour takes under a minute.
"""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ, Image, Samples
from peer_local.interfaces import RtpPacket, SenderReport
from peer_local.playback.gallery import Gallery
from peer_local.playback.opus import CODEC_DELAY_SAMPLES, PACKET_SAMPLES
from peer_local.playback.player import SpeechPlayer
from peer_local.playback.sender_clock import SenderClock
from peer_local.settings import PlayoutSettings
from tests.marks import Marks, clicks, pairs

BLOCK_SAMPLES = 480
VIDEO_HZ = 90_000
CAMERA_FPS = 30
EPOCH_S = 1_700_000_000.0
SETTLED_S = 30.0
WINDOW_S = 300.0
"""Means of so much at the beginning and at the end make the drift."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far everything is from true time and from a perfect network."""

    performer_ppm: float = 200.0
    device_ppm: float = -100.0
    device_latency_s: float = 0.04
    device_noise_s: float = 0.002
    loss: float = 0.01
    network_s: float = 0.02
    jitter_s: float = 0.03


class _Decoder:
    """What was sent, late by Opus's own delay."""

    def __init__(self) -> None:
        self._marks = Marks(voice_peak=0)
        self._quiet = (0.01 * np.sin(2 * np.pi * 150 * np.arange(BEAT_SAMPLES) / SPEECH_RATE_HZ)).astype(np.float32)

    def decode(self, payload: bytes) -> Samples | None:
        start = int.from_bytes(payload, "little") - CODEC_DELAY_SAMPLES
        first = max(0, start) // BEAT_SAMPLES
        two = np.concatenate([self._beat(first), self._beat(first + 1)])
        offset = start - first * BEAT_SAMPLES
        return two[max(0, offset) : offset + PACKET_SAMPLES] if offset >= 0 else np.zeros(PACKET_SAMPLES, np.float32)

    def _beat(self, position: int) -> Samples:
        return self._quiet + self._marks.sound(position) if self._marks.marked(position) else self._quiet


class _Performer:
    """Everything that the performer sends in an hour, as (moment of arrival, what)."""

    def __init__(self, clocks: Clocks, length_s: float) -> None:
        self._clocks = clocks
        self._length_s = length_s

    def sent(self) -> Iterator[tuple[float, int, RtpPacket | SenderReport | Image]]:
        """In order of arrival; the second entry only makes the order total. A picture carries its position."""
        under_way: list[tuple[float, int, RtpPacket | SenderReport | Image]] = []
        chance = random.Random(11)
        pace = 1 + self._clocks.performer_ppm / 1e6
        for number in range(int(self._length_s * SPEECH_RATE_HZ / PACKET_SAMPLES)):
            due_s = number * PACKET_SAMPLES / SPEECH_RATE_HZ / pace
            while under_way and under_way[0][0] < due_s:
                yield heapq.heappop(under_way)
            for order, what in enumerate(self._packets(number, chance)):
                at_s = due_s + self._clocks.network_s + chance.uniform(0, self._clocks.jitter_s)
                if isinstance(what, RtpPacket):
                    what = RtpPacket(what.sequence, what.timestamp, True, what.payload, at_s)
                if chance.random() >= self._clocks.loss:
                    heapq.heappush(under_way, (at_s, number * 3 + order, what))

    def _packets(self, number: int, chance: random.Random) -> Iterator[RtpPacket | SenderReport | Image]:
        timestamp = number * PACKET_SAMPLES
        yield RtpPacket(number, timestamp, True, timestamp.to_bytes(8, "little"), 0.0)
        if number % 2 == 0:
            yield np.array([[number // 2]], np.int64).view(np.uint8)
        if number % 50 == 0:
            yield SenderReport(timestamp, EPOCH_S + timestamp / SPEECH_RATE_HZ)


def offsets(length_s: float = 3_600.0, clocks: Clocks = Clocks()) -> NDArray[np.float64]:
    """[marks, 2]: when each flash was shown and each click was heard, in true seconds."""
    now = 0.0
    sender_clock, gallery = SenderClock(), Gallery(now=lambda: now)
    player = SpeechPlayer(PlayoutSettings(), clock=lambda: now, make_decoder=_Decoder)
    marks = Marks()
    chance = random.Random(12)
    device_hz = SPEECH_RATE_HZ * (1 + clocks.device_ppm / 1e6)
    arrivals = _Performer(clocks, length_s).sent()
    arriving = next(arrivals, None)
    flashes_s: list[float] = []
    clicks_s: list[float] = []
    heard: list[Samples] = []
    shown, tick = -1, 0
    for block in range(int(length_s * SPEECH_RATE_HZ / BLOCK_SAMPLES)):
        now = block * BLOCK_SAMPLES / device_hz
        while arriving is not None and arriving[0] <= now:
            _arrive(arriving[2], player, sender_clock, gallery)
            arriving = next(arrivals, None)
        heard_s = now + clocks.device_latency_s
        heard.append(player.pull(BLOCK_SAMPLES, heard_s + chance.gauss(0, clocks.device_noise_s)))
        while tick / CAMERA_FPS <= now:
            timestamp = player.timestamp_at(tick / CAMERA_FPS)
            media_s = None if timestamp is None else sender_clock.media_s("audio", timestamp)
            image = None if media_s is None else gallery.pick(media_s)
            position = -1 if image is None else int(image.view(np.int64)[0, 0])
            if position != shown and marks.marked(position):
                flashes_s.append(tick / CAMERA_FPS)
            shown, tick = position, tick + 1
        if len(heard) == 100 * 10:
            start_s = heard_s - (len(heard) - 1) * BLOCK_SAMPLES / device_hz
            clicks_s += [start_s + place / device_hz for place in clicks(np.concatenate(heard))]
            heard.clear()
    found = pairs(np.array(flashes_s), np.array(clicks_s))
    return found[found[:, 0] > SETTLED_S]


def _arrive(what: RtpPacket | SenderReport | Image, player: SpeechPlayer, clock: SenderClock, gallery: Gallery) -> None:
    if isinstance(what, RtpPacket):
        clock.begin("audio", what.timestamp)
        player.receive(what)
    elif isinstance(what, SenderReport):
        clock.note("audio", what)
        clock.note("video", SenderReport(what.timestamp * VIDEO_HZ // SPEECH_RATE_HZ, what.media_s))
    else:
        timestamp = int(what.view(np.int64)[0, 0]) * VIDEO_HZ // 25
        clock.begin("video", timestamp)
        media_s = clock.media_s("video", timestamp)
        if media_s is not None:
            gallery.put(what, media_s)


def figures(found: NDArray[np.float64]) -> dict[str, float]:
    """Offset of the picture against the sound (later is positive), and how far it wandered."""
    offsets_ms = (found[:, 0] - found[:, 1]) * 1_000
    begin = offsets_ms[found[:, 0] < found[0, 0] + WINDOW_S]
    end = offsets_ms[found[:, 0] > found[-1, 0] - WINDOW_S]
    return {
        "hour_marks": len(found),
        "hour_mean_ms": round(float(offsets_ms.mean()), 1),
        "hour_p99_ms": round(float(np.percentile(np.abs(offsets_ms), 99)), 1),
        "hour_drift_ms": round(float(abs(end.mean() - begin.mean())), 2),
    }
