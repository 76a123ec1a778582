"""A sender, a network and a device around a SpeechPlayer, on a clock of their own: an hour takes seconds."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from models.interfaces import Samples
from peer_local.interfaces import RtpPacket
from peer_local.playback.opus import CODEC_DELAY_SAMPLES
from peer_local.playback.player import SpeechPlayer
from peer_local.playback.player_figures import PlayerFigures
from peer_local.settings import PlayoutSettings

PACKET_S = 0.02
START_S = 1_000.0


class SlicingDecoder:
    """Its packets name a place in `sound`, which begins anew at its end."""

    def __init__(self, sound: Samples) -> None:
        self._sound = sound

    def decode(self, payload: bytes) -> Samples | None:
        if len(payload) != 8:
            return None
        start = int.from_bytes(payload, "big") % len(self._sound)
        return self._sound[start : start + 960].copy()


@dataclass
class Playout:
    """Everything is in seconds of the laptop's clock, from START_S on."""

    sound: Samples
    """Whole packets of it."""
    block: int = 480
    sender_ppm: float = 0.0
    """How much faster than the laptop's the sender's clock runs."""
    device_ppm: float = 0.0
    latency_s: float = 0.03
    """Between a pull and the ear."""
    report_noise_s: float = 0.0
    burst_blocks: int = 1
    """So many blocks are asked for at once."""
    lateness_s: float = 0.0
    """Up to so much later than due the device asks."""
    first_timestamp: int = 96_000
    rules: PlayoutSettings = field(default_factory=PlayoutSettings)
    keep_sound: bool = True

    def __post_init__(self) -> None:
        self.now_s = START_S
        self.player = SpeechPlayer(
            self.rules, clock=lambda: self.now_s, make_decoder=lambda: SlicingDecoder(self.sound)
        )
        self.random = np.random.default_rng(7)
        self.heard: list[Samples] = []
        self.figures: list[PlayerFigures] = []
        self.samples = 0
        self._sent = 0
        self._way: list[tuple[float, int, RtpPacket]] = []
        self._pull_s = START_S
        self._paused_s = 0.0
        self.last = np.zeros(0, np.float32)
        """The block that was pulled last."""

    def packet(self, index: int, *, payload: bytes | None = None) -> RtpPacket:
        content = (index * 960).to_bytes(8, "big") if payload is None else payload
        return RtpPacket(index, self.first_timestamp + index * 960, False, content, 0.0)

    def run(
        self,
        seconds: float,
        delays_s: Callable[[int], Iterable[float]] = lambda index: [0.05],
        make: Callable[[int], RtpPacket] | None = None,
    ) -> Samples:
        """Play on; packet `index` arrives after each of `delays_s(index)`: none for a lost one. Returns what is heard
        meanwhile."""
        end_s = self.now_s + seconds
        begun = len(self.heard)
        while self._pull_s < end_s:
            self._send(self._pull_s, delays_s, make or self.packet)
            while self._way and self._way[0][0] <= self._pull_s:
                arrived_s, _, packet = heapq.heappop(self._way)
                self.now_s = arrived_s
                self.player.receive(
                    RtpPacket(packet.sequence, packet.timestamp, packet.marker, packet.payload, arrived_s)
                )
            self.now_s = self._pull_s
            noise_s = self.report_noise_s * float(self.random.uniform(-1, 1))
            sound = self.player.pull(self.block, self.heard_s(self.samples) + noise_s)
            assert len(sound) == self.block and sound.dtype == np.float32
            self.samples += self.block
            self.last = sound
            if self.keep_sound:
                self.heard.append(sound)
                self.figures.append(self.player.figures())
            burst = self.block * self.burst_blocks
            due_s = self.heard_s(self.samples // burst * burst) - self.latency_s
            self._pull_s = max(self._pull_s, due_s + self.lateness_s * float(self.random.random()))
        self.now_s = end_s
        return np.concatenate(self.heard[begun:]) if self.keep_sound else np.zeros(0, np.float32)

    def heard_s(self, sample: float) -> float:
        """When the device really plays a sample."""
        return START_S + self._paused_s + self.latency_s + sample / 48_000 / (1 + self.device_ppm * 1e-6)

    def pause(self, seconds: float) -> None:
        """The device asks for nothing for a while."""
        self._paused_s += seconds
        self._pull_s += seconds

    def _send(
        self, until_s: float, delays_s: Callable[[int], Iterable[float]], make: Callable[[int], RtpPacket]
    ) -> None:
        while (sent_s := START_S + self._sent * PACKET_S / (1 + self.sender_ppm * 1e-6)) <= until_s:
            for copy, delay_s in enumerate(delays_s(self._sent)):
                heapq.heappush(self._way, (sent_s + delay_s, 10 * self._sent + copy, make(self._sent)))
            self._sent += 1

    def place_of(self, timestamp: float) -> float:
        """The place in `sound` of what has this timestamp."""
        return timestamp + CODEC_DELAY_SAMPLES - self.first_timestamp


def voice(seconds: int = 4, *, pauses: bool = True) -> Samples:
    """A vowel whose pitch moves, with pauses; its end leads over to its beginning."""
    at_s = np.arange(seconds * 48_000) / 48_000
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * at_s)) / 48_000
    begins = np.random.default_rng(1).uniform(0, 2 * np.pi, 25)
    sound = sum(np.sin(k * phase + begins[k]) / (1 + abs(k * 120 - 600) / 300) / k**0.5 for k in range(1, 25))
    sound = 0.5 * sound / np.max(np.abs(sound))
    if pauses:
        sound *= np.clip(6 * np.sin(2 * np.pi * at_s) + 3, 0, 1)
    return np.asarray(sound, np.float32)


def longest_step(sound: Samples) -> float:
    return float(np.max(np.abs(np.diff(sound)), initial=0.0))
