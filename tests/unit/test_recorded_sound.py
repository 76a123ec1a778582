import numpy as np

from models.interfaces import SPEECH_RATE_HZ
from tests.recorded_sound import RecordedSound

PIECE = 240


def recorded(count: int, *, drift_ppm: float = 0.0) -> RecordedSound:
    """Pieces of a recording that begins at 100 s; most are some milliseconds late, and samples tell their piece."""
    chance = np.random.default_rng(4)
    length_s = PIECE / SPEECH_RATE_HZ * (1 + drift_ppm / 1e6)
    late_s = chance.exponential(0.002, count) * (chance.random(count) > 0.1)
    numbers = np.arange(count)
    samples = np.repeat(numbers, PIECE).astype(np.float32)
    return RecordedSound(samples, (numbers + 1.0) * PIECE, 100 + (numbers + 1) * length_s + late_s)


def test_late_pieces_do_not_move_the_time_of_their_samples() -> None:
    sound = recorded(4_000)
    places = np.arange(0, len(sound.samples), 777)
    assert np.abs(sound.at_s(places) - (100 + places / SPEECH_RATE_HZ)).max() < 1e-6


def test_a_drifting_recorder_is_followed() -> None:
    sound = recorded(12_000, drift_ppm=100)
    places = np.arange(0, len(sound.samples), 777)
    assert np.abs(sound.at_s(places) - (100 + places * 1.0001 / SPEECH_RATE_HZ)).max() < 0.0003


def test_a_stretch_of_time_is_cut_out() -> None:
    sound = recorded(400)
    cut = sound.between(100.5, 100.6)
    assert len(cut) == 4_800 and cut[0] == 100
    assert len(sound.between(90, 99)) == 0
    assert abs(sound.place(100.25) - 12_000) <= 1
