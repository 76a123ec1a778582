"""The double does not hear itself: what we really play is taken out of what an input records.

    played (rate, when heard) ─► 16 kHz ─► ring ──┐ the frame that was heard when the input was recorded, and a little
    recorded (16 kHz, when)  ─► frames of 10 ms ──┴─► linear filter, WebRTC's AEC3 ─► the input without the double

The two are aligned by the times that both devices give. What is left, an echo path of up to 0.4 s, is found; an echo
that comes before its reference is not, so the reference is fed LOOK_AHEAD_S early.

The linear filter takes away what it has learnt, within some seconds, and leaves everybody else alone. AEC3 takes all of
it at once, but muffles whoever speaks at the same time for as long as it expects an echo, also where there is none. So
AEC3 does the work until the filter has learnt, then it only takes what the filter leaves, and nothing where that is
nothing. Where no echo comes, and while the double is silent, the input passes as it is (RestOfEcho).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from peer_local.listening.echo_filter import EchoFilter
from peer_local.listening.reference import FRAME_SAMPLES, JUMP_S, Reference

logger = logging.getLogger(__name__)

PROCESSING_S = 0.008
"""What AEC3's own filters delay the sound by."""
LOOK_AHEAD_S = 0.06
"""Devices tell their times with errors of some tens of milliseconds; more than 0.4 s AEC3 does not find."""
LONGEST_WAIT_S = 0.1
"""An input frame waits at most so long for its reference: an output with a small buffer is told late what it plays."""
SLACK_SAMPLES = 16
"""1 ms: further apart, the reference is shifted against the input by a sample per frame, which AEC3 can follow."""

PRESENCE_FRAMES = 60
"""What is left is looked at every 0.6 s that the double speaks."""
PRESENCE_WINDOWS = 4
"""For 2.4 s, so that somebody who speaks at the same time hides an echo only for so long."""
PRESENCE_DELAY_FRAMES = 40
LEARNT_GAIN_DB = -30.0
LEARNT_DB = 18.0
"""The filter leaves so much less than is played, and than is recorded: AEC3 behind it has little to do, and muffles
little. Before, it sees a path that the filter is changing, and lets words through."""
AUDIBLE_GAIN_DB = -46.0
"""An echo so much quieter than what is played is below -60 dB of full scale, where nothing is listened to."""
NOISE_DB = 3.0
"""Nor is one that hardly adds to the noise that is there anyway."""
NOISE_WINDOWS = 20
PLAYING_DBFS = -50.0
TAIL_FRAMES = 70
"""0.7 s after the double has fallen silent the last echo is gone: 0.4 s of delay and a room."""

ACTIVE = 0.4
"""Share of the time that a speaker makes sound at least; the rest is pauses between words."""
_POWER = 10 ** (PLAYING_DBFS / 10)

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


def echo_canceller(wanted: bool, *, expected: bool = True) -> "EchoCanceller | None":
    """None when it is not wanted or cannot be had, which is logged once.

    Not `expected` where the input is what the call plays: call applications do not play one's own voice back, and
    cancelling what is not there muffles the first words of who interrupts.
    """
    if not wanted:
        return None
    try:
        return EchoCanceller(webrtc, expected=expected)
    except Exception as error:  # a foreign library that may fail in its own ways
        logger.warning("echo_cancellation_off", extra={"error": type(error).__name__, "install": "livekit"})
        return None


Way = Literal["cancelled", "both", "filtered", "untouched"]
"""AEC3 alone, AEC3 behind the filter, the filter alone, the input as it is."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Powers of 0.6 s while the double spoke, in dB."""

    played: float
    recorded: float
    left: float
    """Behind the filter."""


class RestOfEcho:
    """How much comes back through the filter, and what to do about it. Pure; feed it every frame's mean squares."""

    def __init__(self, *, expected: bool = True) -> None:
        """`expected`: an echo is taken for granted until it has been looked for."""
        self._expected = expected
        self._played: deque[float] = deque(maxlen=PRESENCE_FRAMES + PRESENCE_DELAY_FRAMES)
        self._recorded: list[float] = []
        self._left: list[float] = []
        self._windows: deque[_Window] = deque(maxlen=PRESENCE_WINDOWS)
        self._floors_db: deque[float] = deque(maxlen=NOISE_WINDOWS)
        self._silent_frames = TAIL_FRAMES

    @property
    def gain_db(self) -> float:
        """What is left, against what is played; 0 until two windows have told."""
        best = self._quietest(lambda window: window.left)
        return best.left - best.played if best is not None else 0.0

    @property
    def way(self) -> Way:
        best = self._quietest(lambda window: window.left)
        untouched = self._quietest(lambda window: window.recorded)
        if self._silent_frames >= TAIL_FRAMES:
            return "untouched"
        if best is None or untouched is None:
            return "cancelled" if self._expected else "untouched"
        if self._is_inaudible(untouched.recorded, untouched.played):
            return "untouched"
        if self._is_inaudible(best.left, best.played):
            return "filtered"
        learnt = best.left - best.played <= LEARNT_GAIN_DB and best.left - best.recorded <= -LEARNT_DB
        return "both" if learnt else "cancelled"

    def _quietest(self, power: Callable[[_Window], float]) -> _Window | None:
        """The window that tells most about the echo: in the others somebody may have spoken."""
        if len(self._windows) < 2:
            return None
        return min(self._windows, key=lambda window: power(window) - window.played)

    def _is_inaudible(self, heard_db: float, played_db: float) -> bool:
        noise_db = min(self._floors_db, default=-120.0)
        return heard_db - played_db <= AUDIBLE_GAIN_DB or heard_db <= noise_db + NOISE_DB

    def push(self, played: float, recorded: float, left: float) -> None:
        self._silent_frames = 0 if played >= _POWER else self._silent_frames + 1
        self._played.append(played)
        self._recorded.append(recorded)
        self._left.append(left)
        if len(self._left) < PRESENCE_FRAMES:
            return
        recorded_db, left_db = _db(float(np.mean(self._recorded))), _db(float(np.mean(self._left)))
        self._floors_db.append(_db(float(np.percentile(self._left, 10))))
        self._recorded.clear()
        self._left.clear()
        played_db = self._played_db()
        if played_db is not None:
            self._windows.append(_Window(played_db, recorded_db, left_db))

    def _played_db(self) -> float | None:
        """How loud the double was, whatever the delay of its echo; None when it was silent for some of that time.

        Its first words, whose echo is still on the way, and its last ones must not pass for words without an echo.
        """
        played = np.array(self._played)
        spans = (played[:PRESENCE_FRAMES], played[-PRESENCE_FRAMES:])
        if len(played) < PRESENCE_FRAMES + PRESENCE_DELAY_FRAMES or any(
            np.mean(span >= _POWER) < ACTIVE for span in spans
        ):
            return None
        return min(_db(float(np.mean(span))) for span in spans)


class EchoCanceller:
    """Takes the double out of what an input hears: `played` on the output's thread, `clean` on the input's.

    Budget: 0.15 ms for 10 ms of sound, 0.4 ms while the double speaks. Its delay is PROCESSING_S and the rest of a
    frame, and up to LONGEST_WAIT_S more while the reference is late; frames that went without theirs are counted in
    `starved`. If it fails it is switched off (`works`), and sound passes as it is.
    """

    def __init__(
        self, make: Callable[[], Processor] = webrtc, *, rate_hz: int = SPEECH_RATE_HZ, expected: bool = True
    ) -> None:
        """`rate_hz` is the rate of what is played, for `expected` see RestOfEcho. Raises what `make` raises."""
        self._alone: Processor = make()
        self._behind: Processor = make()
        self.works = True
        self._lock = threading.Lock()  # held for some array copies
        self._reference = Reference(rate_hz)
        self._next: int | None = None
        self._rest: Samples = np.zeros(0, np.float32)
        self._filter = EchoFilter(FRAME_SAMPLES)
        self._rest_of_echo = RestOfEcho(expected=expected)
        self._late = np.zeros((2, round(PROCESSING_S * HEARING_RATE_HZ)), np.float32)
        """The end of what was recorded and of what the filter left of it, which AEC3 has not given back yet."""
        self._way: Way = "untouched"
        self.starved = 0

    @property
    def echo_gain_db(self) -> float:
        """How loud the double comes back through the filter, against what is played."""
        return self._rest_of_echo.gain_db

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
        if not self.works:
            return recorded
        try:
            filtered = self._filter.process(played, recorded)
            far = _to_int16(played)
            cancelled = self._alone(far, _to_int16(recorded))
            both = self._behind(far, _to_int16(filtered))
        except Exception as error:
            self.works = False
            logger.error("echo_cancellation_failed", extra={"error": type(error).__name__})
            return recorded
        self._rest_of_echo.push(_power(played), _power(recorded), _power(filtered))
        late = np.concatenate((self._late, np.stack((recorded, filtered))), axis=1)
        self._late = late[:, FRAME_SAMPLES:]
        ways: dict[Way, Samples] = {
            "cancelled": _to_float(cancelled),
            "both": _to_float(both),
            "filtered": late[1, :FRAME_SAMPLES],
            "untouched": late[0, :FRAME_SAMPLES],
        }
        before, self._way = self._way, self._rest_of_echo.way
        if before == self._way:
            return ways[self._way]
        return ways[before] + _RISE * (ways[self._way] - ways[before])


def _to_int16(samples: Samples) -> NDArray[np.int16]:
    return (samples * 32_767).clip(-32_768, 32_767).astype(np.int16)


def _to_float(samples: NDArray[np.int16]) -> Samples:
    return samples.astype(np.float32) / np.float32(32_768)


_RISE = np.linspace(0, 1, FRAME_SAMPLES, dtype=np.float32)


def _power(samples: Samples) -> float:
    return float(np.mean(samples**2))


def _db(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-12)))
