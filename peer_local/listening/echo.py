"""The double does not hear itself: WebRTC's echo canceller (AEC3), fed with what we really play.

    played (rate, when heard) ─► 16 kHz ─► ring ──┐ the frame that was heard when the input was recorded, and a little
    recorded (16 kHz, when)  ─► frames of 10 ms ──┴─► AEC3 ─► the input without the double

The two are aligned by the times that both devices give. What is left, an echo path of up to 0.4 s, AEC3 finds by
itself; an echo that comes before its reference it cannot undo, so the reference is fed LOOK_AHEAD_S early.

AEC3 muffles everybody for as long as it expects an echo, also where there is none: with headphones, or in a call that
does not send us back. So the input passes as it is while it stays silent when the double speaks, and while the double
is silent (EchoPresence).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import soxr
from numpy.typing import NDArray

from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples

logger = logging.getLogger(__name__)

FRAME_SAMPLES = HEARING_RATE_HZ // 100
"""10 ms, the only frame that WebRTC's audio processing takes."""
PROCESSING_S = 0.008
"""What AEC3's own filters delay the sound by."""
LOOK_AHEAD_S = 0.06
"""Devices tell their times with errors of some tens of milliseconds; more than 0.4 s AEC3 does not find."""
LONGEST_WAIT_S = 0.1
"""An input frame waits at most so long for its reference: an output with a small buffer is told late what it plays."""
STALE_S = 0.3
"""Nothing played for so long: there is no reference to wait for."""
RING_S = 2.0
JUMP_S = 0.04
"""An error of time above this is a gap; one below it is jitter or drift, which is followed slowly."""
FOLLOW = 0.02
"""Share of a time's error that is believed at each block."""
SLACK_SAMPLES = 16
"""1 ms: further apart, the reference is shifted against the input by a sample per frame, which AEC3 can follow."""

PRESENCE_FRAMES = 60
"""Whether there is an echo is looked at every 0.6 s that the double speaks."""
PRESENCE_WINDOWS = 4
"""For 2.4 s, so that somebody who speaks at the same time hides an echo only for so long."""
PRESENCE_DELAY_FRAMES = 40
AUDIBLE_GAIN_DB = -46.0
"""An echo so much quieter than what is played is below -60 dB of full scale, where nothing is listened to."""
PLAYING_DBFS = -50.0
TAIL_FRAMES = 70
"""0.7 s after the double has fallen silent the last echo is gone: 0.4 s of delay and a room."""

Processor = Callable[[NDArray[np.int16], NDArray[np.int16]], NDArray[np.int16]]
"""Takes FRAME_SAMPLES of what is played and of what is recorded; returns the latter without the former."""


def webrtc() -> Processor:
    """AEC3 of livekit's package; 0.06 ms a frame. Raises ImportError where it cannot be loaded."""
    from livekit.rtc import AudioFrame, AudioProcessingModule

    module = AudioProcessingModule(echo_cancellation=True)
    far, near = bytearray(2 * FRAME_SAMPLES), bytearray(2 * FRAME_SAMPLES)
    far_frame = AudioFrame(far, HEARING_RATE_HZ, 1, FRAME_SAMPLES)
    near_frame = AudioFrame(near, HEARING_RATE_HZ, 1, FRAME_SAMPLES)

    def process(played: NDArray[np.int16], recorded: NDArray[np.int16]) -> NDArray[np.int16]:
        far[:] = played.tobytes()
        near[:] = recorded.tobytes()
        module.process_reverse_stream(far_frame)
        module.set_stream_delay_ms(0)  # it searches from here upwards; told too much it never looks below
        module.process_stream(near_frame)
        return np.frombuffer(bytes(near), np.int16)

    return process


def echo_canceller(wanted: bool) -> "EchoCanceller | None":
    """None when it is not wanted or cannot be had, which is logged once."""
    if not wanted:
        return None
    try:
        return EchoCanceller(webrtc())
    except Exception as error:  # a foreign library that may fail in its own ways
        logger.warning("echo_cancellation_off", extra={"error": type(error).__name__, "install": "livekit"})
        return None


class StreamClock:
    """When the samples of a stream sounded: the times of its blocks without their jitter. Pure."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.end_s: float | None = None
        """When the next sample sounds."""

    def push(self, count: int, at_s: float) -> float:
        """Take a block of `count` samples whose first one sounded at `at_s`; return the gap before it.

        A negative gap means that it overlaps what came before; 0 means that it follows it.
        """
        error_s = 0.0 if self.end_s is None else at_s - self.end_s
        gap_s = error_s if abs(error_s) > JUMP_S else 0.0
        start_s = at_s if self.end_s is None or gap_s else self.end_s + FOLLOW * error_s
        self.end_s = start_s + count / self._rate_hz
        return gap_s


class Reference:
    """The last RING_S of what was played, at 16 kHz. Not for two threads."""

    def __init__(self, rate_hz: int = SPEECH_RATE_HZ) -> None:
        self._rate_hz = rate_hz
        self._clock = StreamClock(rate_hz)
        self._resampler = soxr.ResampleStream(rate_hz, HEARING_RATE_HZ, 1, dtype="float32", quality="LQ")
        self._ring = np.zeros(round(RING_S * HEARING_RATE_HZ), np.float32)
        self._taken = 0
        """Samples taken, at the input's rate."""
        self._end = 0
        """Samples written; the resampler keeps some milliseconds back."""

    def push(self, samples: Samples, at_s: float) -> None:
        """Take what is played; its first sample is heard at `at_s`."""
        gap_s = self._clock.push(len(samples), at_s)
        if gap_s > 0:
            self._write(np.zeros(round(min(gap_s, RING_S) * self._rate_hz), np.float32))
        self._write(samples)

    def position(self, at_s: float) -> int | None:
        """Which sample is heard at `at_s`; None when nothing was played within STALE_S before."""
        end_s = self._clock.end_s
        if end_s is None or at_s > end_s + STALE_S:
            return None
        return round(self._taken * HEARING_RATE_HZ / self._rate_hz - (end_s - at_s) * HEARING_RATE_HZ)

    def has(self, position: int) -> bool:
        """Whether the frame at `position` was played already."""
        return position + FRAME_SAMPLES <= self._end

    def frame(self, position: int) -> Samples:
        """FRAME_SAMPLES from `position` on; silence where nothing is known."""
        places = np.arange(position, position + FRAME_SAMPLES)
        known = (places >= max(0, self._end - len(self._ring))) & (places < self._end)
        return np.where(known, self._ring[places % len(self._ring)], np.float32(0))

    def _write(self, samples: Samples) -> None:
        self._taken += len(samples)
        resampled = self._resampler.resample_chunk(samples)[-len(self._ring) :]
        places = np.arange(self._end, self._end + len(resampled)) % len(self._ring)
        self._ring[places] = resampled
        self._end += len(resampled)


class EchoPresence:
    """Whether what is played comes back at all. Pure; feed it every frame's mean squares."""

    def __init__(self) -> None:
        self._played: deque[float] = deque([0.0], PRESENCE_FRAMES + PRESENCE_DELAY_FRAMES)
        self._recorded: list[float] = []
        self._gains_db: deque[float] = deque(maxlen=PRESENCE_WINDOWS)
        self._silent_frames = TAIL_FRAMES
        self.heard = True
        """Whether it comes back when the double speaks: believed until two windows in a row say otherwise."""

    @property
    def now(self) -> bool:
        """Whether an echo is to be expected at this moment."""
        return self.heard and self._silent_frames < TAIL_FRAMES

    def push(self, played: float, recorded: float) -> None:
        self._silent_frames = 0 if _db(played) >= PLAYING_DBFS else self._silent_frames + 1
        self._played.append(played)
        self._recorded.append(recorded)
        if len(self._recorded) < PRESENCE_FRAMES:
            return
        played_db, recorded_db = _db(float(np.mean(self._played))), _db(float(np.mean(self._recorded)))
        self._recorded.clear()
        if played_db >= PLAYING_DBFS:
            self._gains_db.append(recorded_db - played_db)
            self.heard = len(self._gains_db) < 2 or min(self._gains_db) > AUDIBLE_GAIN_DB


class EchoCanceller:
    """Takes the double out of what an input hears: `played` on the output's thread, `clean` on the input's.

    Budget: 0.1 ms for 10 ms of sound. Its delay is PROCESSING_S and the rest of a frame, and up to LONGEST_WAIT_S more
    while the reference is late; frames that went without theirs are counted in `starved`. If the processor fails it is
    switched off, and sound passes as it is.
    """

    def __init__(self, processor: Processor, *, rate_hz: int = SPEECH_RATE_HZ) -> None:
        """`rate_hz` is the rate of what is played."""
        self._processor: Processor | None = processor
        self._lock = threading.Lock()  # held for some array copies
        self._reference = Reference(rate_hz)
        self._next: int | None = None
        self._rest: Samples = np.zeros(0, np.float32)
        self._presence = EchoPresence()
        self._as_it_was: Samples = np.zeros(round(PROCESSING_S * HEARING_RATE_HZ), np.float32)
        self._share = 0.0
        """How much of the cleaned sound is in what is given back: 1 or 0, and between them for one frame."""
        self.starved = 0

    @property
    def works(self) -> bool:
        return self._processor is not None

    @property
    def hears_echo(self) -> bool:
        """Whether the double's voice comes back, as far as is known."""
        return self._presence.heard

    def played(self, samples: Samples, at_s: float) -> None:
        """The double is heard: the first of `samples` at `at_s`."""
        with self._lock:
            self._reference.push(samples, at_s)

    def clean(self, samples: Samples, at_s: float) -> Samples:
        """Samples at 16 kHz, the first of them recorded at `at_s`, without echo; some may come with a later call."""
        self._rest, start_s = np.concatenate((self._rest, samples)), at_s - len(self._rest) / HEARING_RATE_HZ
        cleaned = [np.zeros(0, np.float32)]
        done = 0
        while done + FRAME_SAMPLES <= len(self._rest):
            waiting_s = (len(self._rest) - done) / HEARING_RATE_HZ
            recorded_s = start_s + done / HEARING_RATE_HZ
            reference = self._reference_for(recorded_s, must=waiting_s > LONGEST_WAIT_S)
            if reference is None:
                break
            cleaned.append(self._process(reference, self._rest[done : done + FRAME_SAMPLES]))
            done += FRAME_SAMPLES
        self._rest = self._rest[done:]
        return np.concatenate(cleaned)

    @property
    def delay_s(self) -> float:
        """How far what `clean` returned last lies behind what it was given."""
        return len(self._rest) / HEARING_RATE_HZ + (PROCESSING_S if self.works else 0.0)

    def _reference_for(self, recorded_s: float, *, must: bool) -> Samples | None:
        """What was heard at `recorded_s`, and LOOK_AHEAD_S; None: not known yet."""
        with self._lock:
            wanted = self._reference.position(recorded_s + LOOK_AHEAD_S)
            if wanted is None:
                self._next = None
                return np.zeros(FRAME_SAMPLES, np.float32)
            position = self._steadied(wanted)
            if not self._reference.has(position):
                if not must:
                    return None
                self.starved += 1
            self._next = position + FRAME_SAMPLES
            return self._reference.frame(position)

    def _steadied(self, wanted: int) -> int:
        """Go on where the last frame ended, and follow drift by a sample at a time."""
        if self._next is None or abs(wanted - self._next) > JUMP_S * HEARING_RATE_HZ:
            return wanted
        error = wanted - self._next
        return self._next + (0 if abs(error) <= SLACK_SAMPLES else 1 if error > 0 else -1)

    def _process(self, played: Samples, recorded: Samples) -> Samples:
        if self._processor is None:
            return recorded
        try:
            cleaned = self._processor(_to_int16(played), _to_int16(recorded))
        except Exception as error:
            self._processor = None
            logger.error("echo_cancellation_failed", extra={"error": type(error).__name__})
            return recorded
        self._presence.push(float(np.mean(played**2)), float(np.mean(recorded**2)))
        return self._chosen(cleaned.astype(np.float32) / np.float32(32_768), recorded)

    def _chosen(self, cleaned: Samples, recorded: Samples) -> Samples:
        """The cleaned sound, or, without an echo, the recorded one as late; a frame's fade between the two."""
        line = np.concatenate((self._as_it_was, recorded))
        as_it_was, self._as_it_was = line[:FRAME_SAMPLES], line[FRAME_SAMPLES:]
        before, self._share = self._share, 1.0 if self._presence.now else 0.0
        share = np.linspace(before, self._share, FRAME_SAMPLES, dtype=np.float32)
        mixed: Samples = share * cleaned + (1 - share) * as_it_was
        return mixed


def _to_int16(samples: Samples) -> NDArray[np.int16]:
    return (samples * 32_767).clip(-32_768, 32_767).astype(np.int16)


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-12)))
