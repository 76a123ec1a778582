"""Verdicts on the recording of a voice and on its transcript."""

import numpy as np
import pytest

from models.interfaces import Samples
from models.tts.reference_check import Finding, findings, prepared, transcript_finding, word_error_rate, worst

RATE_HZ = 44_100


def recording(seconds: float = 15, *, level_db: float = -20, noise_db: float = -75, gap: float = 0.2) -> Samples:
    """Noise in syllables: 0.8 s of sound of which `gap` is silent, over the noise of a room."""
    count, random = int(seconds * RATE_HZ), np.random.default_rng(3)
    voice = random.standard_normal(count) * 10 ** (level_db / 20)
    voice *= (np.arange(count) / RATE_HZ % 0.8) < 0.8 * (1 - gap)
    return (voice + random.standard_normal(count) * 10 ** (noise_db / 20)).astype(np.float32)


def verdicts(samples: Samples, rate_hz: int = RATE_HZ) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in findings(samples, rate_hz)}


def test_a_good_recording_is_good_in_everything() -> None:
    found = findings(recording(), RATE_HZ)
    assert worst(found) == "good"
    assert not any(finding.advice for finding in found)


@pytest.mark.parametrize(
    ("name", "verdict", "samples", "rate_hz"),
    [
        ("length", "bad", recording(8), RATE_HZ),
        ("length", "fair", recording(25), RATE_HZ),
        ("length", "bad", recording(31), RATE_HZ),
        ("sample rate", "fair", recording(), 24_000),
        ("sample rate", "bad", recording(), 16_000),
        ("level", "fair", recording(level_db=-40), RATE_HZ),
        ("level", "bad", recording(level_db=-55, noise_db=-120), RATE_HZ),
        ("level", "fair", recording(level_db=-6), RATE_HZ),
        ("noise", "fair", recording(noise_db=-50), RATE_HZ),
        ("noise", "bad", recording(noise_db=-38), RATE_HZ),
        ("silence", "fair", recording(gap=0.4), RATE_HZ),
        ("silence", "bad", recording(gap=0.7), RATE_HZ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(name: str, verdict: str, samples: Samples, rate_hz: int) -> None:
    (finding,) = (finding for finding in findings(samples, rate_hz) if finding.name == name)
    assert finding.verdict == verdict
    assert finding.advice.endswith(".")


def test_sound_that_was_cut_off_at_the_top_is_clipping_and_a_high_peak_is_not() -> None:
    hum = (1.6 * np.sin(2 * np.pi * 150 * np.arange(15 * RATE_HZ) / RATE_HZ)).astype(np.float32)
    assert verdicts(np.clip(hum, -1, 1))["clipping"] == "bad"
    once = recording()
    once[1_000:1_010] = 1
    assert verdicts(once)["clipping"] == "fair"
    once[1_000:1_010] = 0
    once[1_000] = 1
    assert verdicts(once)["clipping"] == "good"


def test_silence_alone_has_verdicts_too() -> None:
    assert worst(findings(np.zeros(100, np.float32), RATE_HZ)) == "bad"


def test_what_the_server_gets_is_loud_enough_and_has_no_long_silence_at_its_ends() -> None:
    sound = np.concatenate((np.zeros(RATE_HZ), recording(12, level_db=-35, noise_db=-120), np.zeros(RATE_HZ)))
    ready = prepared(sound.astype(np.float32), RATE_HZ)
    assert 11.5 * RATE_HZ < len(ready) < 12.5 * RATE_HZ
    loud = ready[np.abs(ready) > 1e-4]
    assert 10 * np.log10(np.mean(loud**2)) == pytest.approx(-20, abs=1)


@pytest.mark.parametrize(
    ("claimed", "heard", "share"),
    [
        ("Hello, it's me!", "hello it’s me", 0),
        ("за́мок", "замок", 0),
        ("one two three four", "one too three", 0.5),
        ("one", "one two three", 2),
        ("", "one", 1),
    ],
)
def test_word_errors_are_counted_per_word_of_the_text(claimed: str, heard: str, share: float) -> None:
    assert word_error_rate(claimed, heard) == share


def test_a_transcript_is_judged_by_what_was_heard() -> None:
    heard = "the quick brown fox jumps over the lazy dog again"

    def verdict(claimed: str) -> Finding:
        return transcript_finding(claimed, heard)

    assert verdict("The quick brown fox jumps over the lazy dog again.").verdict == "good"
    assert verdict("The quick red cat jumps over the lazy dog again.").verdict == "fair"
    assert verdict("Something else entirely.").verdict == "bad"
    assert verdict("...").verdict == "bad"
