import numpy as np
import pytest

from models.interfaces import HEARING_RATE_HZ, VAD_WINDOW_SAMPLES, Samples
from models.vad.energy import EnergyVad
from models.vad.silero import SileroVad

WINDOWS = 40


def noise(level: float, seed: int = 0) -> Samples:
    generator = np.random.default_rng(seed)
    return (generator.standard_normal(WINDOWS * VAD_WINDOW_SAMPLES) * level).astype(np.float32)


def vowel() -> Samples:
    """A buzz of 120 Hz through the formants of an open vowel, in syllables of a quarter of a second."""
    time = np.arange(WINDOWS * VAD_WINDOW_SAMPLES) / HEARING_RATE_HZ
    sound = np.zeros_like(time)
    for harmonic in range(1, 40):
        hz = 120 * harmonic
        gain = sum(np.exp(-(((hz - formant) / 120) ** 2)) for formant in (730, 1_090, 2_440)) + 0.02
        sound += gain * np.sin(2 * np.pi * hz * time)
    sound *= 0.1 * np.clip(np.sin(2 * np.pi * 4 * time) + 0.4, 0, 1)
    return sound.astype(np.float32)


def probabilities(detector: SileroVad | EnergyVad, samples: Samples) -> list[float]:
    return [detector.probability(window) for window in samples.reshape(-1, VAD_WINDOW_SAMPLES)]


def test_a_voice_is_speech_and_a_hiss_is_not() -> None:
    detector = SileroVad()
    assert max(probabilities(detector, noise(0.01))) < 0.5
    detector.reset()
    assert max(probabilities(detector, vowel())) > 0.5


def test_silero_hears_the_same_after_a_reset() -> None:
    detector = SileroVad()
    first = probabilities(detector, vowel())
    assert probabilities(detector, vowel()) != first
    detector.reset()
    assert probabilities(detector, vowel()) == first


def test_silero_does_not_mind_that_a_window_is_reused_by_its_caller() -> None:
    expected = probabilities(SileroVad(), vowel())
    detector = SileroVad()
    window = np.zeros(VAD_WINDOW_SAMPLES, np.float32)
    heard = []
    for part in vowel().reshape(-1, VAD_WINDOW_SAMPLES):
        window[:] = part
        heard.append(detector.probability(window))
    assert heard == expected


def test_loud_after_quiet_is_speech() -> None:
    detector = EnergyVad()
    assert max(probabilities(detector, noise(0.001))) < 0.5
    assert min(probabilities(detector, noise(0.1))) > 0.5


def test_a_fan_that_keeps_running_stops_being_speech() -> None:
    detector = EnergyVad()
    for _ in range(10):
        heard = probabilities(detector, noise(0.02))
    assert max(heard) < 0.5
    detector.reset()
    assert detector.probability(noise(0.02)[:VAD_WINDOW_SAMPLES]) > 0.5


@pytest.mark.parametrize("detector", [SileroVad(), EnergyVad()])
def test_a_window_of_another_length_is_refused(detector: SileroVad | EnergyVad) -> None:
    with pytest.raises(ValueError, match="512"):
        detector.probability(np.zeros(160, np.float32))
