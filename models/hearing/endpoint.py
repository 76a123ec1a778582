"""Where an utterance begins, pauses and ends, counted in audio time.

probability per window ──► Endpointer ──► Started, Confirmed, Paused, Resumed, Split, Ended, Dropped
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from models.interfaces import HEARING_RATE_HZ, VAD_WINDOW_SAMPLES

WINDOW_MS = VAD_WINDOW_SAMPLES * 1_000 // HEARING_RATE_HZ


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """When speech counts as what; every duration is audio time, rounded up to windows of WINDOW_MS."""

    start_probability: float = 0.5
    """At and above this a window is speech while nobody is speaking."""
    stay_probability: float = 0.35
    """Below this a window is silence while somebody is speaking (Silero's own iterator uses start - 0.15)."""
    start_ms: int = 64
    """Speech in a row that begins an utterance."""
    confirm_ms: int = 224
    """Speech in all after which it is no cough and may interrupt the double."""
    least_ms: int = 224
    """Less speech in all than this, followed by a pause, is no utterance."""
    pause_ms: int = 160
    """Silence after which the pause is looked at: is it the end of the turn?"""
    settle_ms: int = 256
    """Least silence that ends an utterance which the detector takes for finished."""
    patience_ms: int = 1_500
    """Silence that ends an utterance which the detector takes for unfinished."""
    finished_probability: float = 0.5
    """At and above this the end-of-turn detector means that the speaker is done."""
    split_from_ms: int = 20_000
    """From this length on an utterance is split at the next pause of `split_pause_ms`: Whisper hears 30 s."""
    split_pause_ms: int = 96
    longest_ms: int = 28_000
    """Without such a pause it is split here, where speech was least likely in the last `split_search_ms`."""
    split_search_ms: int = 4_000


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody began to speak."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The speech is long enough to be meant."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The speaker has been silent for `pause_ms`; the answer to it goes to `Endpointer.judge` with the same `pause`."""

    pause: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The speaker went on after a pause."""


@dataclass(frozen=True, slots=True)
class Split:
    """The utterance goes on, but is too long for one transcription: the newest `kept_windows` begin the next piece."""

    kept_windows: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance is over."""

    reason: Literal["finished", "patience"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """What began was too short to be speech."""


EndpointEvent = Started | Confirmed | Paused | Resumed | Split | Ended | Dropped


class Endpointer:
    """Feed it one probability per window; it never looks at a clock."""

    def __init__(self, rules: EndpointRules | None = None) -> None:
        self.rules = rules or EndpointRules()
        self._pauses = 0
        self._recent: deque[float] = deque(maxlen=max(1, self.rules.split_search_ms // WINDOW_MS))
        self.reset()

    def reset(self) -> None:
        """Nobody is speaking."""
        self._speaking = False
        self._run_ms = 0
        self._speech_ms = 0
        self._length_ms = 0
        self._recent.clear()
        self.piece_speech_ms = 0
        """Speech since the last split."""
        self.silence_ms = 0
        """Silence since the last window of speech."""
        self._confirmed = False
        self._paused = False
        self._finished = False

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way, pauses included."""
        return self._speaking

    def judge(self, pause: int, probability: float) -> None:
        """The end-of-turn detector's word on `pause`; ignored when the speaker has gone on since."""
        if self._paused and pause == self._pauses:
            self._finished = probability >= self.rules.finished_probability

    def push(self, probability: float) -> list[EndpointEvent]:
        """Take the next window."""
        return self._inside(probability) if self._speaking else self._outside(probability)

    def _outside(self, probability: float) -> list[EndpointEvent]:
        self._run_ms = self._run_ms + WINDOW_MS if probability >= self.rules.start_probability else 0
        if self._run_ms < self.rules.start_ms:
            return []
        self._speaking = True
        self._speech_ms = self._length_ms = self.piece_speech_ms = self._run_ms
        return [Started()]

    def _inside(self, probability: float) -> list[EndpointEvent]:
        rules = self.rules
        self._length_ms += WINDOW_MS
        self._recent.append(probability)
        events: list[EndpointEvent] = []
        if probability >= rules.stay_probability:
            if self._paused:
                if self._length_ms >= rules.split_from_ms:
                    events.append(self._split_here(self.silence_ms // WINDOW_MS // 2 + 1))
                events.append(Resumed())
            self._paused = self._finished = False
            self.silence_ms = 0
            self._speech_ms += WINDOW_MS
            self.piece_speech_ms += WINDOW_MS
            if not self._confirmed and self._speech_ms >= rules.confirm_ms:
                self._confirmed = True
                events.append(Confirmed())
        else:
            self.silence_ms += WINDOW_MS
            if not self._paused and self.silence_ms >= rules.pause_ms:
                if not self._confirmed or self._speech_ms < rules.least_ms:
                    self.reset()
                    return [Dropped()]
                self._paused = True
                self._pauses += 1
                events.append(Paused(self._pauses))
        split = self._split()
        if split is not None:
            events.append(split)
        reason = self._end_reason()
        if reason is not None:
            self.reset()
            events.append(Ended(reason))
        return events

    def _end_reason(self) -> Literal["finished", "patience"] | None:
        if self._finished and self.silence_ms >= self.rules.settle_ms:
            return "finished"
        return "patience" if self._paused and self.silence_ms >= self.rules.patience_ms else None

    def _split(self) -> Split | None:
        """Where an utterance that has become too long is split.

        A pause that has been looked at is left alone until it is over: it may be the end.
        """
        rules = self.rules
        if self._paused or self._length_ms < rules.split_from_ms:
            return None
        if self.silence_ms >= rules.split_pause_ms:
            return self._split_here(self.silence_ms // WINDOW_MS - 1)
        if self._length_ms < rules.longest_ms:
            return None
        quietest = min(reversed(range(len(self._recent))), key=self._recent.__getitem__)
        return self._split_here(len(self._recent) - quietest)

    def _split_here(self, kept_windows: int) -> Split:
        self._length_ms = kept_windows * WINDOW_MS
        self.piece_speech_ms = 0
        self._recent.clear()
        return Split(kept_windows)
