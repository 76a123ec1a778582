"""Another pitch and another throat for a sound, without another length."""

import sys

import numpy as np
import pytest

from models.errors import EngineUnavailable
from models.interfaces import Samples
from models.tts.voice_shift import VoiceShift, median_pitch_hz, put_together, shifted, taken_apart
from tests.vowels import RATE_HZ, vowel


def pitch_hz(samples: Samples) -> float:
    print_ = taken_apart(samples, RATE_HZ)
    assert print_ is not None
    return median_pitch_hz(print_) or 0.0


def formant_hz(samples: Samples) -> float:
    """Where the envelope is highest above 400 Hz, as far as WORLD can tell."""
    print_ = taken_apart(samples, RATE_HZ)
    assert print_ is not None
    mean = print_.envelope[20:-20].mean(axis=0)
    hertz = np.linspace(0, RATE_HZ / 2, len(mean))
    return float(hertz[hertz > 400][np.argmax(mean[hertz > 400])])


@pytest.mark.parametrize("ratio", [0.7, 1.4])
def test_the_pitch_changes_and_the_throat_does_not(ratio: float) -> None:
    sound = vowel(pitch_hz=150, formant_hz=1_000)
    result = shifted(sound, RATE_HZ, VoiceShift(pitch_ratio=ratio))
    assert len(result) == len(sound)
    assert pitch_hz(result) == pytest.approx(150 * ratio, rel=0.02)
    assert formant_hz(result) == pytest.approx(1_000, rel=0.1)


@pytest.mark.parametrize("ratio", [0.85, 1.18])
def test_the_throat_changes_and_the_pitch_does_not(ratio: float) -> None:
    result = shifted(vowel(pitch_hz=120, formant_hz=1_200), RATE_HZ, VoiceShift(formant_ratio=ratio))
    assert pitch_hz(result) == pytest.approx(120, rel=0.02)
    assert formant_hz(result) == pytest.approx(1_200 * ratio, rel=0.08)


def test_a_sound_keeps_its_length_and_its_silence() -> None:
    for samples in (1_024, 5_001, 24_001):
        assert len(shifted(vowel(seconds=2)[:samples], RATE_HZ, VoiceShift(1.2, 1.1))) == samples
    sound = np.concatenate((np.zeros(12_000, np.float32), vowel(), np.zeros(12_000, np.float32)))
    result = shifted(sound, RATE_HZ, VoiceShift(1.2, 1.1))
    assert np.abs(result[:10_000]).max() < 0.003
    assert np.abs(result[-10_000:]).max() < 0.003


def test_what_is_not_to_change_or_too_short_or_stopped_stays_as_it_is() -> None:
    sound = vowel()
    assert shifted(sound, RATE_HZ, VoiceShift()) is sound
    assert len(shifted(sound[:100], RATE_HZ, VoiceShift(1.2))) == 100
    assert shifted(sound, RATE_HZ, VoiceShift(1.2), lambda: True) is sound


def test_a_sound_is_shifted_the_same_way_every_time() -> None:
    print_ = taken_apart(vowel(), RATE_HZ)
    assert print_ is not None
    one, other = put_together(print_, VoiceShift(1.1, 1.1)), put_together(print_, VoiceShift(1.1, 1.1))
    assert np.array_equal(one, other)


def test_without_the_package_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(EngineUnavailable, match=r"voice-match"):
        shifted(vowel(), RATE_HZ, VoiceShift(1.2))
