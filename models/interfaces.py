"""What the engines agree on: Protocols of one to three methods and the frozen chunks that pass between them.

Heavy imports stay out of this file. Sound is mono float32 in [-1, 1]; positions are integers, units are in the names.

    sound ── VoiceActivityDetector ──► speech or not
          ── EndOfTurnDetector ──────► finished or thinking
          ── SpeechRecognizer ───────► Transcript
    Message… ── LanguageModel ───────► text pieces
    text ── SpeechSynthesizer ───────► Speech…
    Speech… ── Face ─────────────────► Picture…, one per beat

Every streaming engine keeps the same contract (tests/contract): pieces come in order; the first comes before the whole
is done wherever the model allows it; closing the generator stops the work within one step; nothing comes after
`aclose()`; one failed request leaves the engine usable.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Image = NDArray[np.uint8]

SPEECH_RATE_HZ = 48_000
"""Rate of everything that is spoken: what Opus and the virtual devices use."""

HEARING_RATE_HZ = 16_000
"""Rate of everything that is listened to: what the detectors and Whisper use."""

BEATS_PER_SECOND = 25
BEAT_MS = 1_000 // BEATS_PER_SECOND
BEAT_SAMPLES = SPEECH_RATE_HZ // BEATS_PER_SECOND
"""A beat is 40 ms: 1,920 samples and one picture, made, queued and played together."""

VAD_WINDOW_SAMPLES = 512
"""32 ms at HEARING_RATE_HZ, the only window Silero VAD takes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation, as every chat model takes it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """What an utterance says; `text` is empty when the recognizer does not trust what it heard."""

    text: str
    language: str
    no_speech_probability: float = 0.0
    mean_log_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Phoneme:
    """A speech sound and its place, counted in samples at SPEECH_RATE_HZ from the start of its Speech."""

    symbol: str
    """One IPA symbol, or one of Kokoro's capitals for a diphthong (A I O W Y), with its stress mark before it (ˈ or ˌ);
    a space or punctuation is silence."""
    start_samples: int
    end_samples: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of synthesised sound at SPEECH_RATE_HZ; `phonemes` is empty when the engine does not know them."""

    samples: Samples
    phonemes: tuple[Phoneme, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One video frame, planar I420: uint8 [height * 3 // 2, width]."""

    i420: Image


class VoiceActivityDetector(Protocol):
    """Tells speech from other sound. One instance per listener: it remembers the windows before."""

    def probability(self, window: Samples) -> float:
        """Probability of speech in `window`, float32 [VAD_WINDOW_SAMPLES] at HEARING_RATE_HZ. Takes under 1 ms."""
        ...

    def reset(self) -> None:
        """Forget what was heard so far."""
        ...


class EndOfTurnDetector(Protocol):
    """Tells a finished sentence from a pause for thought."""

    async def probability(self, samples: Samples) -> float:
        """Probability that the speaker is done, given the utterance so far at HEARING_RATE_HZ."""
        ...

    async def aclose(self) -> None: ...


class SpeechRecognizer(Protocol):
    """Turns an utterance into text."""

    async def transcribe(self, samples: Samples, *, language: str) -> Transcript:
        """Transcribe up to 29 s at HEARING_RATE_HZ; `language` is an ISO 639-1 code, pinned."""
        ...

    async def aclose(self) -> None: ...


class LanguageModel(Protocol):
    """Continues a conversation. One request at a time; a new one waits for the one before to be closed."""

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        """Yield the assistant's next message piece by piece. Close the generator to stop the model."""
        ...

    async def prefill(self, messages: Sequence[Message]) -> None:
        """Bring `messages` into the cache, so that a stream that begins with them answers sooner. May be cancelled."""
        ...

    async def aclose(self) -> None: ...


class SpeechSynthesizer(Protocol):
    """Speaks text in one voice."""

    def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of one clause in order. Text without anything to say yields nothing."""
        ...

    async def aclose(self) -> None: ...


class Face(Protocol):
    """Draws the double, one picture per beat.

    `position` counts beats of the media clock. Movement that does not come from speech (breath, sway, gaze, blinks) is
    a function of the position, so that idle and speech join without a jump, also after an interruption has thrown
    away pictures that were drawn ahead.
    """

    @property
    def width_px(self) -> int: ...

    @property
    def height_px(self) -> int: ...

    async def idle(self, position: int) -> Picture:
        """The silent face at `position`. Costs under half a beat."""
        ...

    def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        """Yield one picture per BEAT_SAMPLES of `speech`, the last beat counted whole.

        `position()` is the beat at which the picture that is made next will be shown.
        """
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Counted(Protocol):
    """An engine that counts what did not go as planned."""

    def counters(self) -> Mapping[str, tuple[str, Callable[[], int]]]:
        """By metric name: what is counted, and how to read it."""
        ...
