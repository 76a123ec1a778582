import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from tests.recorded_sound import RecordedSound

PIECE = 240


def pieces(count: int, *, drift_ppm: float = 0.0) -> list[tuple[float, Samples]]:
    """Pieces of a recording that begins at 100 s; most are some milliseconds late."""
    chance = np.random.default_rng(4)
    length_s = PIECE / SPEECH_RATE_HZ * (1 + drift_ppm / 1e6)
    late_s = chance.exponential(0.002, count) * (chance.random(count) > 0.1)
    return [(100 + (index + 1) * length_s + late_s[index], np.full(PIECE, index, np.float32)) for index in range(count)]


def test_late_pieces_do_not_move_the_time_of_their_samples() -> None:
    sound = RecordedSound(pieces(4_000))
    places = np.arange(0, len(sound.samples), 777)
    assert np.abs(sound.at_s(places) - (100 + places / SPEECH_RATE_HZ)).max() < 1e-6


def test_a_drifting_recorder_is_followed() -> None:
    sound = RecordedSound(pieces(12_000, drift_ppm=100))
    places = np.arange(0, len(sound.samples), 777)
    assert np.abs(sound.at_s(places) - (100 + places * 1.0001 / SPEECH_RATE_HZ)).max() < 0.0003


def test_a_stretch_of_time_is_cut_out() -> None:
    sound = RecordedSound(pieces(400))
    cut = sound.between(100.5, 100.6)
    assert len(cut) == 4_800 and cut[0] == 100
    assert len(sound.between(90, 99)) == 0
    assert abs(sound.place(100.25) - 12_000) <= 1
