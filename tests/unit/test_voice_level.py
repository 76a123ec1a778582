"""The gain of a voice that streams."""

import numpy as np
import pytest

from models.interfaces import SPEECH_RATE_HZ, Samples
from models.tts.level import MOST_GAIN_DB, Leveller


def voice(level_db: float, seconds: float = 1.0) -> Samples:
    """Bursts of 200 ms with gaps of 100 ms, noise whose RMS within a burst is `level_db`."""
    count = int(seconds * SPEECH_RATE_HZ)
    noise = np.random.default_rng(1).standard_normal(count).astype(np.float32) * np.float32(10 ** (level_db / 20))
    return noise * (np.arange(count) % 14_400 < 9_600)


def rms_db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples[samples != 0] ** 2)))


@pytest.mark.parametrize("level_db", [-28, -22, -20, -14])
def test_after_a_second_the_voice_has_the_level_of_speech(level_db: float) -> None:
    leveller = Leveller()
    leveller.level(voice(level_db))
    assert rms_db(leveller.level(voice(level_db))) == pytest.approx(-20, abs=0.7)


@pytest.mark.parametrize(("level_db", "gain_db"), [(-45, MOST_GAIN_DB), (-8, -MOST_GAIN_DB)])
def test_the_gain_is_bounded(level_db: float, gain_db: float) -> None:
    leveller = Leveller()
    leveller.level(voice(level_db, 3))
    assert leveller.gain_db == pytest.approx(gain_db, abs=0.5)


def test_a_known_voice_keeps_its_gain_through_a_loud_sentence() -> None:
    leveller = Leveller()
    leveller.level(voice(-24, 8))
    known_db = leveller.gain_db
    leveller.level(voice(-16, 2))
    assert abs(leveller.gain_db - known_db) < 1.2


def test_silence_and_noise_teach_nothing() -> None:
    leveller = Leveller()
    leveller.level(np.zeros(SPEECH_RATE_HZ, np.float32))
    leveller.level(voice(-62, 2))
    assert leveller.gain_db == 0


def test_the_result_does_not_depend_on_how_the_sound_is_cut() -> None:
    sound, leveller = voice(-26), Leveller()
    parts = [leveller.level(sound[start : start + 777]) for start in range(0, len(sound), 777)]
    assert np.allclose(np.concatenate(parts), Leveller().level(sound), atol=1e-5)


def test_peaks_are_rounded_off_and_never_clip() -> None:
    loud = voice(-6, 2)
    assert np.abs(loud).max() > 1
    assert np.abs(Leveller().level(loud)).max() <= 1
