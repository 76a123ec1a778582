"""Words that the ears get wrong: real speech through the ears, alone, after the double, and over it.

Five sentences read for LibriVox, from the Debian package pocketsphinx-testdata, each in real time through resampling,
echo canceller, voice activity, end of turn and Whisper. `alone` is what the budget bounds. In `echo` the double has
just said something that comes back 80 ms later through a loopback, at gain 0.6; in `bargein` it goes on for 0.35 s
after the speaker has begun, which is how long it takes to fall silent, at gain 0.6 and at the 0.2 of a room; in
`doubletalk` it does not fall silent at all. What the echo canceller has learnt in one sentence helps it in the next.
`noticed_later_ms` is how much later than alone the speaker is noticed.
"""

import asyncio
import re
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import soxr

from models import registry
from models.hearing.listener import HearingEvent, Listener, SpeechConfirmed, Utterance
from models.interfaces import SPEECH_RATE_HZ, Samples, SpeechRecognizer
from models.settings import EngineSettings
from peer_local.listening.ears import OPERATOR_RULES, Ears
from peer_local.listening.echo import echo_canceller
from tests.bench.report import percentiles
from tests.bench.voices import utterances

CLIPS = Path("/usr/share/pocketsphinx/test/data/librivox")
PACKAGE = "pocketsphinx-testdata"
BLOCK_S = 0.01
INPUT_LATENCY_S = 0.03
OUTPUT_LATENCY_S = 0.04
DELAY_S = 0.08
HUSHED_S = 0.35
LEAD_S = 4.5
"""What the double says before the speaker begins."""
SILENCE_S = 3.0
"""After the speaker, until everything has been transcribed; the end of turn waits 1.5 s at most."""
ANSWER = (
    "Well, I think that we could meet on Thursday afternoon, because the whole team will be in the office then.",
    "We can talk about the budget, the new design, and what our customers have told us during the last few weeks.",
)


@dataclass(frozen=True, slots=True)
class Clip:
    words: str
    sound: Samples
    """At SPEECH_RATE_HZ."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the double does meanwhile."""

    name: str
    gain: float = 0.0
    falls_silent_s: float | None = 0.0
    """How long after the speaker has begun; None: never."""


CONDITIONS = (
    Condition("alone"),
    Condition("echo", 0.6),
    Condition("bargein", 0.6, HUSHED_S),
    Condition("bargein_room", 0.2, HUSHED_S),
    Condition("doubletalk", 0.6, None),
    Condition("doubletalk_room", 0.2, None),
)


async def measure() -> dict[str, float]:
    clips = librivox()
    (first, second) = await utterances(ANSWER, ("af_heart",))
    double = np.concatenate((first, np.zeros(SPEECH_RATE_HZ // 5, np.float32), second))
    settings = EngineSettings()
    asr = registry.create("asr", settings)
    figures: dict[str, float] = {}
    noticed_ms: dict[str, list[float]] = {}
    try:
        for condition in CONDITIONS:
            scene = _Scene(clips, double, condition)
            await scene.play(settings, asr)
            heard = [plain(text) for text in scene.texts]
            noticed_ms[condition.name] = scene.noticed_ms
            figures["own_words_heard"] = figures.get("own_words_heard", 0) + scene.own_words
            figures[f"wer_{condition.name}"] = round(jiwer.wer([clip.words for clip in clips], heard), 4)
    finally:
        await asr.aclose()
    alone = noticed_ms.pop("alone")
    later_ms = [
        with_double - without for over in noticed_ms.values() for with_double, without in zip(over, alone, strict=True)
    ]
    return {**figures, **percentiles("noticed_later_ms", later_ms)}


def librivox() -> list[Clip]:
    """Ends the bench with what to install when the clips are not there."""
    transcription = CLIPS / "transcription"
    if not transcription.exists():
        raise SystemExit(f"{CLIPS} is missing; install the Debian package {PACKAGE}.")
    clips = []
    for line in transcription.read_text().splitlines():
        words, _, name = line.partition("</s>")
        with wave.open(str(CLIPS / f"{name.strip(' ()')}.wav")) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32_768)
            resampled = soxr.resample(sound, file.getframerate(), SPEECH_RATE_HZ)
        clips.append(Clip(plain(words.replace("<s>", "")), resampled))
    return clips


def plain(text: str) -> str:
    """As transcripts are compared: lower case, letters only, titles written out."""
    spelt = re.sub(r"\bmr\b\.?", "mister", text.lower().replace("-", " "))
    return " ".join(re.sub(r"[^a-z' ]", " ", spelt).split())


class _Scene:
    """All clips, one after the other, on two simulated devices in real time."""

    def __init__(self, clips: Sequence[Clip], double: Samples, condition: Condition) -> None:
        played, recorded = [], []
        self._onsets_s: list[float] = []
        self._ends_s: list[float] = []
        at = 0
        for clip in clips:
            lead = round((LEAD_S if condition.gain else 0.5) * SPEECH_RATE_HZ)
            onset = lead + round(_onset_s(clip.sound) * SPEECH_RATE_HZ)
            length = lead + len(clip.sound) + round(SILENCE_S * SPEECH_RATE_HZ)
            says = np.resize(double, length) if condition.gain else np.zeros(length, np.float32)
            if condition.falls_silent_s is not None:
                says[onset + round(condition.falls_silent_s * SPEECH_RATE_HZ) :] = 0
            talks = np.zeros(length, np.float32)
            talks[lead : lead + len(clip.sound)] = clip.sound
            played.append(says)
            recorded.append(talks)
            self._onsets_s.append((at + onset) / SPEECH_RATE_HZ)
            at += length
            self._ends_s.append(at / SPEECH_RATE_HZ)
        self._played = np.concatenate((*played, np.zeros(SPEECH_RATE_HZ, np.float32)))
        self._recorded = np.concatenate(recorded)
        delay = round(DELAY_S * SPEECH_RATE_HZ)
        self._recorded[delay:] += condition.gain * self._played[: len(self._recorded) - delay]
        self._recorded += np.random.default_rng(1).normal(0, 0.0003, len(self._recorded)).astype(np.float32)
        self._events: list[tuple[float, HearingEvent]] = []

    async def play(self, settings: EngineSettings, asr: SpeechRecognizer) -> None:
        count = round(BLOCK_S * SPEECH_RATE_HZ)
        turn = registry.create("turn", settings)
        started_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            listener = Listener(
                registry.create("vad", settings),
                turn,
                asr,
                language="en",
                tasks=tasks,
                emit=lambda event: self._events.append((time.monotonic() - started_s, event)),
                rules=OPERATOR_RULES,
            )
            ears = Ears(listener, canceller=echo_canceller(True))
            played = 0
            for start in range(0, len(self._recorded) - count, count):
                recorded_s = start / SPEECH_RATE_HZ
                due_s = recorded_s + BLOCK_S + INPUT_LATENCY_S
                await asyncio.sleep(max(0.0, started_s + due_s - time.monotonic()))
                while played / SPEECH_RATE_HZ < due_s + OUTPUT_LATENCY_S:
                    block = self._played[played : played + count]
                    ears.played(block, started_s + played / SPEECH_RATE_HZ)
                    played += count
                ears.push(self._recorded[start : start + count], started_s + recorded_s)
            ears.close()
        await turn.aclose()

    @property
    def texts(self) -> list[str]:
        """What was understood of each clip."""
        return [
            " ".join(
                event.text for at_s, event in self._events if isinstance(event, Utterance) and onset_s < at_s < end_s
            )
            for onset_s, end_s in zip(self._onsets_s, self._ends_s, strict=True)
        ]

    @property
    def own_words(self) -> int:
        """What was understood while nobody but the double was speaking."""
        utterances = [at_s for at_s, event in self._events if isinstance(event, Utterance) and event.text]
        clips = list(zip(self._onsets_s, self._ends_s, strict=True))
        return sum(not any(onset_s < at_s < end_s for onset_s, end_s in clips) for at_s in utterances)

    @property
    def noticed_ms(self) -> list[float]:
        """From each speaker's first sound to the event that silences the double; never is 10 s."""
        confirmed_s = [at_s for at_s, event in self._events if isinstance(event, SpeechConfirmed)]
        return [
            (min((at_s for at_s in confirmed_s if at_s > onset_s), default=onset_s + 10) - onset_s) * 1_000
            for onset_s in self._onsets_s
        ]


def _onset_s(sound: Samples) -> float:
    return float(np.flatnonzero(np.abs(sound) > 0.02)[0]) / SPEECH_RATE_HZ
