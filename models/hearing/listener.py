"""From one person's sound to what they said: voice activity, end of turn and transcription, overlapped.

At each pause the utterance so far is transcribed while the end-of-turn detector decides. When the speaker was done the
text is already there; when they go on it serves as a partial result.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.errors import EngineError
from models.hearing.endpoint import (
    WINDOW_MS,
    Confirmed,
    Dropped,
    Ended,
    Endpointer,
    EndpointEvent,
    EndpointRules,
    Paused,
    Resumed,
    Started,
)
from models.interfaces import (
    HEARING_RATE_HZ,
    VAD_WINDOW_SAMPLES,
    EndOfTurnDetector,
    Samples,
    SpeechRecognizer,
    VoiceActivityDetector,
)

logger = logging.getLogger(__name__)

LEAD_IN_WINDOWS = 10
"""320 ms kept from before the speech was noticed, so that the first consonant is not cut."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak."""


@dataclass(frozen=True, slots=True)
class SpeechConfirmed:
    """The speech is long enough to interrupt the double."""


@dataclass(frozen=True, slots=True)
class PartialText:
    """What was said so far; the speaker may go on."""

    text: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said, complete; `text` is empty when nothing was understood. Moments are of the listener's clock."""

    text: str
    speech_ended_s: float
    transcribed_s: float


@dataclass(frozen=True, slots=True)
class SpeechDropped:
    """What began was no speech after all."""


HearingEvent = SpeechStarted | SpeechConfirmed | PartialText | Utterance | SpeechDropped


class Listener:
    """Listens to one person. Not for two: every detector remembers its speaker.

    Budget: `feed` costs one voice-activity window (under 1 ms) per 32 ms of sound; everything slower runs on the
    engines' own threads. One transcription is under way and at most one waits; a newer pause takes the place of the one
    that waits.
    """

    def __init__(
        self,
        vad: VoiceActivityDetector,
        turn: EndOfTurnDetector,
        asr: SpeechRecognizer,
        *,
        language: str,
        tasks: asyncio.TaskGroup,
        emit: Callable[[HearingEvent], None],
        rules: EndpointRules | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vad = vad
        self._turn = turn
        self._asr = asr
        self._language = language
        self._tasks = tasks
        self._emit = emit
        self._now = now
        self._endpointer = Endpointer(rules)
        self._rest: Samples = np.zeros(0, np.float32)
        self._lead_in: deque[Samples] = deque(maxlen=LEAD_IN_WINDOWS)
        self._windows: list[Samples] = []
        self._speech_ended_s = 0.0
        self._transcription: asyncio.Task[str] | None = None
        self._newest: asyncio.Task[str] | None = None
        self._confirmed = False
        self._carried: list[str] = []

    def feed(self, samples: Samples) -> None:
        """Take the next piece of sound at HEARING_RATE_HZ, of any length."""
        self._rest = np.concatenate((self._rest, samples))
        while len(self._rest) >= VAD_WINDOW_SAMPLES:
            window, self._rest = self._rest[:VAD_WINDOW_SAMPLES], self._rest[VAD_WINDOW_SAMPLES:]
            keeper = self._windows if self._endpointer.speaking else self._lead_in
            keeper.append(window)
            for event in self._endpointer.push(self._vad.probability(window)):
                self._handle(event)

    def finish(self) -> None:
        """The microphone was switched off: what was being said is complete."""
        if self._endpointer.speaking:
            rest_ms = self._endpointer.rules.patience_ms + WINDOW_MS
            self.feed(np.zeros(rest_ms * HEARING_RATE_HZ // 1_000, np.float32))

    def _handle(self, event: EndpointEvent) -> None:
        match event:
            case Started():
                self._windows = list(self._lead_in)
                self._lead_in.clear()
                self._emit(SpeechStarted())
            case Confirmed():
                self._confirmed = True
                self._emit(SpeechConfirmed())
            case Paused(pause):
                self._speech_ended_s = self._now() - self._endpointer.silence_ms / 1_000
                samples = np.concatenate(self._windows)
                self._tasks.create_task(self._judge(pause, samples), name="end of turn")
                if self._newest is not None:
                    self._newest.cancel()  # still waiting for an earlier pause to be transcribed
                self._newest = self._transcription = self._transcribing(samples)
            case Resumed():
                self._transcription = None
            case Dropped():
                self._windows = []
                self._emit(SpeechDropped())
            case Ended():
                transcription = self._transcription
                if transcription is None:
                    self._speech_ended_s = self._now()
                    transcription = self._transcribing(np.concatenate(self._windows))
                self._tasks.create_task(self._finish(transcription, self._speech_ended_s), name="utterance")
                self._windows = []
                self._transcription = self._newest = None
                self._confirmed = False
                self._vad.reset()

    def _transcribing(self, samples: Samples) -> asyncio.Task[str]:
        return self._tasks.create_task(self._transcribe(samples), name="transcription")

    async def _judge(self, pause: int, samples: Samples) -> None:
        try:
            probability = await self._turn.probability(samples)
        except EngineError as error:
            logger.warning("end_of_turn_failed", extra={"code": error.code})
            return
        except Exception:
            logger.exception("end_of_turn_failed")
            return
        self._endpointer.judge(pause, probability)

    async def _transcribe(self, samples: Samples) -> str:
        started_s = self._now()
        try:
            transcript = await self._asr.transcribe(samples, language=self._language)
        except EngineError as error:
            logger.warning("transcription_failed", extra={"code": error.code})
            return ""
        except Exception:
            logger.exception("transcription_failed")
            return ""
        logger.debug(
            "transcribed",
            extra={
                "speech_ms": round(len(samples) / HEARING_RATE_HZ * 1_000),
                "took_ms": round((self._now() - started_s) * 1_000),
            },
        )
        if transcript.text:
            self._emit(PartialText(transcript.text))
        return transcript.text

    async def _finish(self, transcription: asyncio.Task[str], speech_ended_s: float) -> None:
        text = await transcription
        if text:
            self._carried.append(text)
        if self._confirmed:
            return  # the speaker has gone on meanwhile: both parts are answered together
        text, self._carried = " ".join(self._carried), []
        self._emit(Utterance(text, speech_ended_s, self._now()))
