"""From packets to what is heard: the jitter buffer of one connection.

    event loop:    receive ─► PacketBuffer, JitterEstimator
    device thread: pull ─► SpeechLine (decode, conceal) ─► FractionalReader at Pace's ratio ─► Gate ─► device

Encoded packets wait, and are decoded when the device needs them. The delay is kept against the two clocks, not by the
level of a queue: sound with timestamp t is due `margin` after the fastest packets with timestamp t arrive. Silence is
lengthened or shortened at once to get there; speech is played up to 1 % faster or slower.
"""

import threading
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.interfaces import RtpPacket
from peer_local.playback.device_clock import DeviceClock
from peer_local.playback.gate import Gate
from peer_local.playback.jitter import JitterEstimator
from peer_local.playback.opus import PACKET_SAMPLES, OpusDecoder
from peer_local.playback.pace import TOLERATED_S, Drift, Pace, PullTimes
from peer_local.playback.packet_buffer import PacketBuffer
from peer_local.playback.player_figures import PlayerFigures
from peer_local.playback.speech_line import QUIET, Decoder, SpeechLine
from peer_local.playback.timeline import Stretch, Timeline
from peer_local.settings import PlayoutSettings

LARGEST_BLOCK_SAMPLES = 960
LEAST_SNAP_SAMPLES = 240
SILENCE_TOLERATED_S = 0.002
"""In silence the buffer is brought this near to its target, so that speech seldom has to be."""
HOPELESS_S = 0.2
"""A delay that is further from its target, as after a pause of the device, is not corrected: playing begins anew."""
LATE_FOR_S = 0.3
"""Nothing but late packets for so long: the way has become longer than the buffer, and playing begins anew."""
ONSET_SAMPLES = SPEECH_RATE_HZ // 5
"""Silence of 200 ms before it makes sound an onset."""
_HICCUP_TICKS = 960
"""What the device clock may be corrected by; a timestamp that is further back is another beginning."""
_HALF_PACKET_S = PACKET_SAMPLES / 2 / SPEECH_RATE_HZ


class SpeechPlayer:
    """A SoundSource. `receive` belongs to the event loop, `pull` to the device, the rest to anybody.

    Budget: 1 ms for each 20 ms of sound; measured 0.15 to 0.5 ms. A late pull is the device's own gap and does not
    lengthen the delay; `interruptions` counts those that last. The lock is never held while decoding.
    """

    def __init__(
        self,
        rules: PlayoutSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        make_decoder: Callable[[], Decoder] = OpusDecoder,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Guarded by the lock:
        self._buffer = PacketBuffer()
        self._jitter = JitterEstimator(rules.lowest_ms, rules.highest_ms)
        self._device = DeviceClock()
        self._timeline = Timeline()
        self._received = 0
        self._rebuffered = 0
        self._late_since_s: float | None = None
        self._begin_anew: Literal["no", "same sender", "other sender"] = "no"
        self._opens_at: float | None = float("-inf")
        """Timestamp from which on sound is heard; None: hushed."""
        self._asked: tuple[float, float] | None = None
        self._onset: tuple[float, float] | None = None
        self._buffer_s = 0.0
        self._missed = 0
        self._drift = Drift()
        # The device thread's own:
        self._stretches: list[Stretch] = []
        self._line = SpeechLine(make_decoder, self._stretches.append)
        self._gate = Gate()
        self._pace = Pace()
        self._pulls = PullTimes()
        self._quiet_samples = ONSET_SAMPLES

    def receive(self, packet: RtpPacket) -> None:
        """Take a packet, in whatever order they arrive. Costs 0.02 ms."""
        with self._lock:
            self._received += 1
            verdict = self._buffer.put(packet)
            if verdict in ("duplicate", "held"):
                return
            if verdict == "restarted":
                self._start_over("other sender")
            elif verdict == "late":
                if self._late_since_s is None:
                    self._late_since_s = packet.arrived_s
                elif packet.arrived_s - self._late_since_s > LATE_FOR_S:
                    self._buffer.clear()
                    self._buffer.put(packet)
                    self._start_over("same sender")
            else:
                self._late_since_s = None
            self._jitter.observe(packet.timestamp, packet.arrived_s)

    def _start_over(self, reason: Literal["same sender", "other sender"]) -> None:
        self._jitter.reset()
        self._late_since_s = None
        if self._begin_anew != "other sender":
            self._begin_anew = reason

    def pull(self, count: int, at_s: float) -> Samples:
        """The next `count` samples; see SoundSource. Silence before anything has arrived."""
        if count <= LARGEST_BLOCK_SAMPLES:
            return self._pull(count, at_s)
        parts = []
        for start in range(0, count, LARGEST_BLOCK_SAMPLES):
            length = min(LARGEST_BLOCK_SAMPLES, count - start)
            parts.append(self._pull(length, at_s + start / SPEECH_RATE_HZ))
        return np.concatenate(parts)

    def _pull(self, count: int, at_s: float) -> Samples:
        with self._lock:
            first, interruptions = self._device.samples, self._device.interruptions
            self._device.note(count, at_s)
            if self._device.interruptions != interruptions:
                self._drift.reset()
            now_s = self._clock()
            origin_s = self._pulls.note(now_s, first + count)
            base_s, wanted_s = self._jitter.base_s, self._jitter.target_ms / 1_000 - _HALF_PACKET_S
            begin_anew, self._begin_anew = self._begin_anew, "no"
            if base_s is not None:
                self._drift.note(first / SPEECH_RATE_HZ, origin_s - base_s)
        if begin_anew != "no":
            self._break_off(other_sender=begin_anew == "other sender")
        ratio = 1.0
        if base_s is not None:
            # Timestamp that has waited for as long as it should when the next sample is taken.
            ideal = (origin_s - base_s - wanted_s) * SPEECH_RATE_HZ + first
            if self._line.due is None:
                self._begin(round(ideal))
            if self._line.due is not None:
                ratio = self._fill(count, ideal, wanted_s)
        return self._hear(first, count, ratio)

    def _break_off(self, *, other_sender: bool) -> None:
        self._line.stop(other_sender=other_sender)
        self._pace.reset()
        with self._lock:
            self._rebuffered += 1
            if other_sender:
                self._drift.reset()
                if self._opens_at is not None:
                    # What the gate has waited for is not coming any more.
                    self._opens_at = float("-inf")

    def _begin(self, timestamp: int) -> None:
        if not self._line.faded_out:
            return
        with self._lock:
            oldest, newest = self._buffer.oldest, self._buffer.newest
            if oldest is None or newest is None or not oldest <= timestamp < newest + PACKET_SAMPLES:
                return
            skip = (timestamp - oldest) % PACKET_SAMPLES
            self._line.begin(timestamp - skip, skip)

    def _fill(self, count: int, ideal: float, wanted_s: float) -> float:
        """Make the line long enough for `count` samples and return the ratio at which they are to be read."""
        assert self._line.due is not None
        reader = self._line.reader
        surplus = ideal - self._line.due + reader.waiting_samples
        self._buffer_s = wanted_s + surplus / SPEECH_RATE_HZ + _HALF_PACKET_S
        if abs(surplus) > HOPELESS_S * SPEECH_RATE_HZ:
            self._break_off(other_sender=False)
            return 1.0
        ratio = self._pace.follow(surplus / SPEECH_RATE_HZ, count / SPEECH_RATE_HZ)
        if ratio == 1.0 and count >= LEAST_SNAP_SAMPLES:
            # Back to a whole position, where reading is copying; at most 0.2 % faster or slower for this block.
            ratio += (round(reader.position) - reader.position) / count
        tolerated = TOLERATED_S * SPEECH_RATE_HZ
        unheard = self._gate.shut
        while reader.needed(count, ratio):
            with self._lock:
                packet = self._buffer.take(self._line.due)
                starved = packet is None and not len(self._buffer)
                if starved and surplus < -tolerated:
                    self._buffer.wait(self._line.due)
            if starved and surplus < -tolerated:
                surplus += self._line.hold()
                continue
            self._missed += packet is None
            correction = round(surplus) if abs(surplus) > SILENCE_TOLERATED_S * SPEECH_RATE_HZ else 0
            surplus -= self._line.grow(packet, correction, unheard=unheard)
        return ratio

    def _hear(self, first: int, count: int, ratio: float) -> Samples:
        reader = self._line.reader
        position = reader.position
        sound = reader.pull(count, ratio)
        played = len(sound) > 0
        if len(sound) < count:
            sound = np.concatenate((sound, np.zeros(count - len(sound), np.float32)))
        with self._lock:
            for stretch in self._stretches:
                self._timeline.decoded(stretch)
            self._stretches.clear()
            if played:
                self._timeline.played(first, position, ratio)
            opens_at = self._opening(position, count * ratio)
            sound = np.clip(self._gate.apply(sound, round(opens_at / ratio)), -1.0, 1.0)
            self._find_onset(sound, first)
        return sound

    def _opening(self, position: float, length: float) -> float:
        if self._opens_at is None:
            return length + 1
        if self._opens_at == float("-inf"):
            return 0.0
        opens_at = self._timeline.position_of(self._opens_at, position, position + length) - position
        if opens_at < length:
            self._opens_at = float("-inf")
        return opens_at

    def _find_onset(self, sound: Samples, first: int) -> None:
        loud = np.flatnonzero(np.abs(sound) > QUIET)
        if not len(loud):
            self._quiet_samples += len(sound)
            return
        if self._quiet_samples + int(loud[0]) >= ONSET_SAMPLES:
            heard_s = self._device.heard_s(first + int(loud[0]))
            timestamp = self._timeline.timestamp(first + int(loud[0]))
            if heard_s is not None and timestamp is not None:
                self._onset = heard_s, timestamp
        self._quiet_samples = len(sound) - 1 - int(loud[-1])

    def timestamp_at(self, at_s: float) -> float | None:
        """The RTP timestamp, in ticks with fraction, of the sound that is heard at `at_s`; None before there is any.

        Later times never give earlier timestamps, unless playing began anew in between.
        """
        with self._lock:
            sample = self._device.sample_at(at_s)
            timestamp = None if sample is None else self._timeline.timestamp(sample)
            if timestamp is None:
                return None
            if self._asked is not None and at_s >= self._asked[0] and 0 < self._asked[1] - timestamp < _HICCUP_TICKS:
                timestamp = self._asked[1]
            if self._asked is None or at_s >= self._asked[0] or self._asked[0] - at_s > 1:
                self._asked = at_s, timestamp
            return timestamp

    def hush(self) -> None:
        """Fall silent within 5 ms of the next pull. Playing goes on unheard until `reopen`."""
        with self._lock:
            self._opens_at = None

    def reopen(self, timestamp: float) -> None:
        """Let sound from this RTP timestamp on be heard again; nothing that is older."""
        with self._lock:
            self._opens_at = timestamp

    @property
    def taken_samples(self) -> int:
        """How many samples the device has asked for so far."""
        return self._device.samples

    @property
    def last_onset_s(self) -> float | None:
        """When sound was heard for the last time after at least 200 ms of silence."""
        with self._lock:
            return None if self._onset is None else self._onset[0]

    @property
    def last_onset_timestamp(self) -> float | None:
        """The RTP timestamp of that sound."""
        with self._lock:
            return None if self._onset is None else self._onset[1]

    def figures(self) -> PlayerFigures:
        """How playing goes."""

        def in_ms(samples: int) -> float:
            return samples * 1_000 / SPEECH_RATE_HZ

        with self._lock:
            return PlayerFigures(
                playing=self._line.due is not None,
                buffer_ms=self._buffer_s * 1_000,
                target_ms=self._jitter.target_ms,
                jitter_ms=self._jitter.jitter_ms,
                drift_ppm=self._drift.ppm,
                ratio=self._pace.ratio,
                received=self._received,
                lost=max(0, self._missed - self._buffer.late),
                late=self._buffer.late,
                duplicates=self._buffer.duplicates,
                broken=self._line.broken,
                concealed_ms=in_ms(self._line.concealed_samples),
                silent_concealed_ms=in_ms(self._line.silent_concealed_samples),
                inserted_ms=in_ms(self._line.inserted_samples),
                removed_ms=in_ms(self._line.removed_samples),
                rebuffered=self._rebuffered,
                restarts=self._buffer.restarts,
                overflowed=self._buffer.overflowed,
                interruptions=self._device.interruptions,
            )
