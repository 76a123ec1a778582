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
    Split,
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

JUDGED_SAMPLES = 8 * HEARING_RATE_HZ
"""What the end-of-turn detector is given at most."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak."""


@dataclass(frozen=True, slots=True)
class SpeechConfirmed:
    """The speech is long enough to interrupt the double."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The speaker is silent for the moment; the text so far follows."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The speaker went on with the same utterance."""


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


HearingEvent = SpeechStarted | SpeechConfirmed | SpeechPaused | SpeechResumed | PartialText | Utterance | SpeechDropped


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
        self._piece_before: Samples = np.zeros(0, np.float32)
        self._fed_until_s: float | None = None
        self._speech_ended_s = 0.0
        self._transcription: asyncio.Task[str] | None = None
        self._newest: asyncio.Task[str] | None = None
        self._confirmed = False
        self._split: list[asyncio.Task[str]] = []
        """The pieces of the utterance under way that were split off."""
        self._said: list[asyncio.Task[str]] = []
        """The pieces of utterances that are over and not emitted yet."""

    def feed(self, samples: Samples, until_s: float | None = None) -> None:
        """Take the next piece of sound at HEARING_RATE_HZ, of any length.

        The last sample sounded at `until_s` of the listener's clock; without it, now.
        """
        self._rest = np.concatenate((self._rest, samples))
        while len(self._rest) >= VAD_WINDOW_SAMPLES:
            window, self._rest = self._rest[:VAD_WINDOW_SAMPLES], self._rest[VAD_WINDOW_SAMPLES:]
            self._fed_until_s = None if until_s is None else until_s - len(self._rest) / HEARING_RATE_HZ
            keeper = self._windows if self._endpointer.speaking else self._lead_in
            keeper.append(window)
            for event in self._endpointer.push(self._vad.probability(window)):
                self._handle(event)

    def finish(self) -> None:
        """The microphone was switched off: what was being said is complete."""
        if self._endpointer.speaking:
            rest_ms = self._endpointer.rules.patience_ms + WINDOW_MS
            self.feed(np.zeros(rest_ms * HEARING_RATE_HZ // 1_000, np.float32))

    def drop(self) -> None:
        """Forget what is being said; what was complete before is still transcribed."""
        speaking = self._endpointer.speaking
        self._endpointer.reset()
        self._vad.reset()
        self._rest = np.zeros(0, np.float32)
        self._lead_in.clear()
        if self._newest is not None:
            self._newest.cancel()
        if speaking:
            self._handle(Dropped())

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
                self._pause(pause)
            case Resumed():
                self._transcription = None
                self._emit(SpeechResumed())
            case Split(kept_windows):
                piece, self._windows = self._windows[:-kept_windows], self._windows[-kept_windows:]
                self._split.append(self._transcription or self._transcribing(np.concatenate(piece)))
                self._piece_before = np.concatenate(piece)[-JUDGED_SAMPLES:]
                self._transcription = self._newest = None
            case Dropped():
                for transcription in self._split:
                    transcription.cancel()
                self._forget()
                self._emit(SpeechDropped())
                self._tasks.create_task(self._finish(), name="utterance before")
            case Ended():
                transcription = self._transcription or self._transcribing(np.concatenate(self._windows))
                self._said += [*self._split, transcription]
                self._tasks.create_task(self._finish(), name="utterance")
                self._forget()
                self._vad.reset()

    def _pause(self, pause: int) -> None:
        """Decide and transcribe at once; the speaker may be done."""
        sounded_s = self._now() if self._fed_until_s is None else self._fed_until_s
        self._speech_ended_s = sounded_s - self._endpointer.silence_ms / 1_000
        self._emit(SpeechPaused())
        samples = np.concatenate(self._windows)
        judged = np.concatenate((self._piece_before, samples))[-JUDGED_SAMPLES:]
        self._tasks.create_task(self._judge(pause, judged), name="end of turn")
        if self._newest is not None:
            self._newest.cancel()  # still waiting for an earlier pause to be transcribed
        if not self._endpointer.piece_speech_ms:
            samples = samples[:0]  # silence since the split
        self._newest = self._transcription = self._transcribing(samples)

    def _forget(self) -> None:
        self._windows = []
        self._piece_before = np.zeros(0, np.float32)
        self._split = []
        self._transcription = self._newest = None
        self._confirmed = False

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
        if not len(samples):
            return ""
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
            before = [task for task in (*self._said, *self._split) if task is not asyncio.current_task()]
            self._emit(PartialText(" ".join([*_texts(before), transcript.text])))
        return transcript.text

    async def _finish(self) -> None:
        """Emit what was said once it is transcribed, unless the speaker goes on: then all parts are answered together.

        That is looked at after the transcription, which gives a speaker some time to change their mind.
        """
        said = list(self._said)
        if not said:
            return
        await asyncio.wait(said)
        if self._confirmed or self._said != said:
            return
        self._said = []
        self._emit(Utterance(" ".join(_texts(said)), self._speech_ended_s, self._now()))


def _texts(transcriptions: list[asyncio.Task[str]]) -> list[str]:
    """What is known of them so far, in order."""
    done = [task.result() for task in transcriptions if task.done() and not task.cancelled()]
    return [text for text in done if text]
