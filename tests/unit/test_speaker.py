"""How alike two voices are."""

import numpy as np
import pytest

from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from models.settings import WeightsSettings
from models.tts.clause import MODEL_RATE_HZ
from models.tts.english import English
from models.tts.kokoro_model import KokoroModel, Stop
from models.tts.lexicon import Lexicon
from models.tts.recording import resampled
from models.tts.speaker import SpeakerEncoder, encoder, mean_embedding, similarity
from models.tts.speaker_features import CHANNELS, FRAMES, mel_spectra, parts
from models.weights import locate


def buzz() -> Samples:
    """2.1 s of a buzz whose pitch and loudness sway."""
    time_s = np.arange(33_600) / HEARING_RATE_HZ
    phase = 2 * np.pi * (140 * time_s - 8 / (2 * np.pi * 3) * np.cos(2 * np.pi * 3 * time_s))
    tone = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 30))
    return np.asarray(0.1 * tone * (1 + 0.5 * np.sin(2 * np.pi * 4 * time_s)), np.float32)


@pytest.fixture(scope="module")
def ears() -> SpeakerEncoder:
    return encoder(WeightsSettings().dir)


def test_spectra_are_those_that_librosa_makes() -> None:
    spectra = mel_spectra(buzz())
    assert spectra.shape == (211, CHANNELS)
    expected = [0.39820221, 0.35067451, 0.031464692, 0.006845132, 0.0014955489]
    assert spectra[100, [0, 3, 10, 20, 30]] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("seconds", "count"), [(0.05, 1), (1, 1), (1.6, 1), (2.1, 2), (3, 3), (10, 12)])
def test_a_recording_is_seen_in_overlapping_parts(seconds: float, count: int) -> None:
    sound = np.resize(buzz(), int(seconds * HEARING_RATE_HZ))
    assert parts(sound).shape == (count, FRAMES, CHANNELS)


def test_long_silence_is_not_looked_at() -> None:
    spoken, silence = np.resize(buzz(), 5 * HEARING_RATE_HZ), np.zeros(5 * HEARING_RATE_HZ, np.float32)
    assert len(parts(np.concatenate((spoken, silence, spoken)))) <= len(parts(np.concatenate((spoken, spoken)))) + 1


@pytest.mark.weights
def test_an_embedding_is_that_of_the_published_package(ears: SpeakerEncoder) -> None:
    embedding = ears.embedding(buzz(), HEARING_RATE_HZ)
    expected = [0.19807371, 0.18178937, 0.18053985, 0.17317973, 0.1648064, 0.15094301]
    assert embedding[[136, 218, 150, 146, 175, 138]] == pytest.approx(expected, abs=1e-5)
    assert np.linalg.norm(embedding) == pytest.approx(1)


@pytest.mark.weights
def test_silence_has_an_embedding_too(ears: SpeakerEncoder) -> None:
    assert np.isfinite(ears.embedding(np.zeros(100, np.float32), SPEECH_RATE_HZ)).all()


@pytest.mark.weights
def test_one_voice_is_more_like_itself_than_like_another(ears: SpeakerEncoder) -> None:
    directory = WeightsSettings().dir
    model = KokoroModel(locate("kokoro-82m", directory), voice="af_heart", others=["am_michael"], threads=2)
    phonemes = English(Lexicon(locate("g2p-english", directory))).phonemes

    def embedded(voice: str, line: str) -> Samples:
        said = model.say(model.symbols(phonemes(line)), speed=1.0, stop=Stop(), voice=voice)
        return ears.embedding(said.samples, MODEL_RATE_HZ)

    lines = ("Let us begin with the first point on the list.", "I will send you a summary after the call.")
    woman, also_woman, man, also_man = [embedded(voice, line) for voice in ("af_heart", "am_michael") for line in lines]
    assert min(similarity(woman, also_woman), similarity(man, also_man)) > 0.75
    assert similarity(mean_embedding([woman, also_woman]), mean_embedding([man, also_man])) < 0.65


@pytest.mark.weights
def test_the_rate_of_a_recording_makes_no_difference(ears: SpeakerEncoder) -> None:
    sound = np.resize(buzz(), 3 * HEARING_RATE_HZ)
    faster = resampled(sound, HEARING_RATE_HZ, SPEECH_RATE_HZ)
    assert similarity(ears.embedding(sound, HEARING_RATE_HZ), ears.embedding(faster, SPEECH_RATE_HZ)) > 0.99
