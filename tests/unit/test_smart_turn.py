import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from models.interfaces import HEARING_RATE_HZ, Samples
from models.registry import create
from models.settings import EngineSettings
from models.turn.features import log_mel

LENGTH = 8 * HEARING_RATE_HZ


def murmur(count: int) -> Samples:
    generator = np.random.default_rng(count)
    swell = np.abs(np.sin(np.arange(count) / 3_000))
    return (0.05 * swell * generator.standard_normal(count) + 0.002).astype(np.float32)


@pytest.mark.parametrize("count", [1, 100, 1_000, 15_999, 16_000, 100_003, LENGTH - 200, LENGTH - 1, LENGTH])
def test_features_are_whispers_of_the_normalised_and_padded_sound(count: int) -> None:
    heard = murmur(count)
    padded = np.concatenate((np.zeros(LENGTH - count, np.float32), heard))
    normalised = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    expected = FeatureExtractor()(normalised, padding=0)
    np.testing.assert_allclose(log_mel(heard, length_samples=LENGTH), expected, atol=1e-4)


def test_only_the_end_of_a_long_utterance_counts() -> None:
    long = murmur(LENGTH + 5_000)
    np.testing.assert_array_equal(log_mel(long, length_samples=LENGTH), log_mel(long[-LENGTH:], length_samples=LENGTH))


@pytest.mark.weights
async def test_a_decision_is_a_probability_and_does_not_depend_on_the_one_before() -> None:
    detector = create("turn", EngineSettings())
    try:
        first = await detector.probability(murmur(30_000))
        assert 0 <= first <= 1
        await detector.probability(murmur(90_000))
        assert await detector.probability(murmur(30_000)) == first
        assert await detector.probability(murmur(0)) == 0
    finally:
        await detector.aclose()
