"""Whether a recording is good enough to clone its voice, and whether its transcript is what is said in it.

The model imitates everything: the noise of the room, the distance to the microphone, a word that is not in the text.
Every finding comes with what to do about it.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.interfaces import Samples
from models.tts.clause import SPEECH_LEVEL_DB
from models.tts.recording import resampled

Verdict = Literal["good", "fair", "bad"]
REFERENCE_RATE_HZ: Final = 44_100

_FRAME_S: Final = 0.02
_SPEECH_RANGE_DB: Final = 25.0
_SILENCE_BELOW_SPEECH_DB: Final = 30.0
_CLIPPED: Final = 0.985
_CLIPPED_RUN: Final = 3
"""So many samples in a row at the top are no peak of a wave."""
_KEPT_SILENCE_S: Final = 0.15
_PEAK: Final = 0.89


@dataclass(frozen=True, slots=True)
class Finding:
    """One property of a recording."""

    name: str
    measured: str
    verdict: Verdict
    advice: str = ""
    """What to do; empty when there is nothing to do."""


def findings(samples: Samples, rate_hz: int) -> list[Finding]:
    """Judge length, sample rate, level, clipping, noise and silence of mono `samples`."""
    loudness = _loudness(samples, rate_hz)
    speech_db = _speech_db(loudness)
    return [
        _length(len(samples) / rate_hz),
        _rate(rate_hz),
        _level(speech_db),
        _clipping(samples, rate_hz),
        _noise(speech_db - float(np.percentile(loudness, 5))),
        _silence(float(np.mean(loudness < speech_db - _SILENCE_BELOW_SPEECH_DB))),
    ]


def transcript_finding(claimed: str, heard: str) -> Finding:
    """Compare the text that goes with a recording with what our own recognizer heard."""
    share = word_error_rate(claimed, heard)
    measured = f"{share:.0%} of the words differ"
    if not words(claimed):
        return Finding("transcript", "no words", "bad", "Write down every word that is said, as it is said.")
    if share <= 0.15:
        return Finding("transcript", measured, "good")
    if share <= 0.35:
        return Finding("transcript", measured, "fair", "Read it against the recording: every word counts.")
    return Finding("transcript", measured, "bad", "Write down what is really said, in its own language.")


def word_error_rate(claimed: str, heard: str) -> float:
    """Words to insert, delete or replace, per word of `claimed`."""
    expected, found = words(claimed), words(heard)
    row = list(range(len(found) + 1))
    for number, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(found, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other))
    return row[-1] / max(1, len(expected))


def words(text: str) -> list[str]:
    """The words of `text` in lower case, without stress marks and punctuation."""
    plain = unicodedata.normalize("NFC", text.replace("\u0301", "")).lower().translate({0x2019: "'", 0x2BC: "'"})
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)


def prepared(samples: Samples, rate_hz: int) -> Samples:
    """The recording as the server gets it: 44.1 kHz, at the level of speech, with little silence at its ends."""
    loudness = _loudness(samples, rate_hz)
    speech_db = _speech_db(loudness)
    heard = np.flatnonzero(loudness > speech_db - _SILENCE_BELOW_SPEECH_DB)
    frame, kept = int(rate_hz * _FRAME_S), int(rate_hz * _KEPT_SILENCE_S)
    if len(heard):
        samples = samples[max(0, int(heard[0]) * frame - kept) : (int(heard[-1]) + 1) * frame + kept]
    sound = resampled(samples, rate_hz, REFERENCE_RATE_HZ)
    gain = 10 ** ((SPEECH_LEVEL_DB - speech_db) / 20)
    peak = float(np.abs(sound).max(initial=1e-6))
    return sound * np.float32(min(gain, _PEAK / peak))


def speech_level_db(samples: Samples, rate_hz: int) -> float:
    """RMS of the sound in dB of full scale, pauses not counted."""
    return _speech_db(_loudness(samples, rate_hz))


def worst(found: Sequence[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in found}
    return "bad" if "bad" in verdicts else "fair" if "fair" in verdicts else "good"


def _loudness(samples: Samples, rate_hz: int) -> NDArray[np.float64]:
    """Level in dB of each frame of 20 ms."""
    frame = int(rate_hz * _FRAME_S)
    if len(samples) < frame:
        samples = np.pad(samples, (0, frame - len(samples)))
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame).astype(np.float64)
    level: NDArray[np.float64] = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    return level


def _speech_db(loudness: NDArray[np.float64]) -> float:
    active = loudness[loudness > loudness.max() - _SPEECH_RANGE_DB]
    return float(10 * np.log10(np.mean(10 ** (active / 10))))


def _length(seconds: float) -> Finding:
    measured = f"{seconds:.1f} s"
    if 10 <= seconds <= 20:
        return Finding("length", measured, "good")
    if 20 < seconds <= 30:
        return Finding("length", measured, "fair", "Cut it to 10-20 s at a pause: every answer waits for its length.")
    what = "Record 10-20 s of natural speech." if seconds < 10 else "Cut out 10-20 s that begin and end at a pause."
    return Finding("length", measured, "bad", what)


def _rate(rate_hz: int) -> Finding:
    measured = f"{rate_hz / 1000:g} kHz"
    if rate_hz >= 32_000:
        return Finding("sample rate", measured, "good")
    what = "Record at 44.1 or 48 kHz, not over a telephone or a headset's call mode."
    return Finding("sample rate", measured, "fair" if rate_hz >= 22_050 else "bad", what)


def _level(speech_db: float) -> Finding:
    measured = f"{speech_db:.0f} dB"
    if -32 <= speech_db <= -10:
        return Finding("level", measured, "good")
    if speech_db > -10:
        return Finding("level", measured, "fair", "Turn the microphone down a little.")
    what = "Come closer to the microphone or turn it up."
    return Finding("level", measured, "fair" if speech_db >= -45 else "bad", what)


def _clipping(samples: Samples, rate_hz: int) -> Finding:
    top = np.concatenate(([0], (np.abs(samples) >= _CLIPPED).astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(top))
    runs = int(np.count_nonzero(edges[1::2] - edges[::2] >= _CLIPPED_RUN))
    measured = f"{runs} places"
    if not runs:
        return Finding("clipping", measured, "good")
    what = "Turn the microphone down and record again: what is cut off cannot be mended."
    return Finding("clipping", measured, "fair" if runs * rate_hz <= 0.5 * len(samples) else "bad", what)


def _noise(distance_db: float) -> Finding:
    measured = f"{distance_db:.0f} dB below the voice"
    if distance_db >= 40:
        return Finding("noise", measured, "good")
    what = "Record in a quiet room with soft furniture, close to the microphone, without music."
    return Finding("noise", measured, "fair" if distance_db >= 25 else "bad", what)


def _silence(share: float) -> Finding:
    measured = f"{share:.0%}"
    if share <= 0.3:
        return Finding("silence", measured, "good")
    what = "Cut out long pauses, or speak without them."
    return Finding("silence", measured, "fair" if share <= 0.5 else "bad", what)
