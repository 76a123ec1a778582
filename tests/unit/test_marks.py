import itertools

import cv2
import numpy as np
import pytest

from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ
from tests.marks import (
    COUNTER_PERIOD,
    GREY,
    Marks,
    Seen,
    clicks,
    flashes,
    largest_step,
    longest_freeze_s,
    look,
    pairs,
    roughest,
    usual,
    voice,
)

BEAT_S = BEAT_SAMPLES / SPEECH_RATE_HZ


def moments(marks: Marks, beats: int) -> list[float]:
    return [position * BEAT_S for position in range(beats) if marks.marked(position)]


def test_marks_are_half_a_second_to_a_second_apart_and_never_in_the_same_rhythm() -> None:
    distances = np.diff(moments(Marks(), 2_000))
    assert len(distances) == 99
    assert distances.min() >= 0.52 - 1e-9 and distances.max() <= 1.08 + 1e-9
    assert len(set(np.round(distances, 2))) > 8
    assert moments(Marks(), 100) == moments(Marks(), 100) != moments(Marks(seed=2), 100)


def test_clicks_are_found_where_they_begin() -> None:
    marks = Marks()
    sound = np.concatenate([marks.sound(position) for position in range(200)])
    expected = [round(at_s * SPEECH_RATE_HZ) for at_s in moments(marks, 200)]
    assert np.abs(clicks(sound) - expected).max() <= 3
    assert np.abs(clicks(np.float32(0.7) * sound) - expected).max() <= 3
    assert len(clicks(0.2 * voice(0, SPEECH_RATE_HZ))) == 0


def test_the_voice_has_no_seams() -> None:
    whole = voice(0, 10 * BEAT_SAMPLES)
    pieces = np.concatenate([voice(index * BEAT_SAMPLES, BEAT_SAMPLES) for index in range(10)])
    assert np.allclose(whole, pieces, atol=1e-4)
    assert largest_step(pieces) < 0.2 < largest_step(np.concatenate([pieces[:5_000], -pieces[5_000:]]))


@pytest.mark.parametrize("scale", [1, 2])
def test_flash_and_counter_are_read_after_scaling_and_noise(scale: int) -> None:
    marks = Marks()
    for position in range(3_000, 3_000 + COUNTER_PERIOD, 41):
        picture = marks.picture(position)
        big = np.full((540 * scale, 640 * scale), 128, np.uint8)
        cv2.resize(picture[:360], (640 * scale, 360 * scale), dst=big[: 360 * scale])
        noise = np.random.default_rng(position).integers(-12, 13, big.shape)
        seen = look((big + noise).clip(0, 255).astype(np.uint8))
        assert seen.position == position % COUNTER_PERIOD
        assert seen.flash == marks.marked(position)


def test_a_picture_of_another_kind_has_no_counter() -> None:
    assert look(np.full((540, 640), GREY, np.uint8)).position is None
    assert look(np.zeros((540, 640), np.uint8)).position is None


def test_a_flash_begins_with_its_first_white_picture() -> None:
    shown = [
        (0.0, Seen(110, 1, 1)),
        (0.03, Seen(228, 2, 2)),
        (0.07, Seen(228, 2, 2)),
        (0.1, Seen(110, 3, 3)),
        (0.13, Seen(228, 4, 4)),
    ]
    assert flashes(shown).tolist() == [0.03, 0.13]


@pytest.mark.parametrize("offset_s", [-0.9, -0.02, 0.0, 0.045, 1.3])
def test_pairs_survive_any_offset_jitter_and_missing_marks(offset_s: float) -> None:
    chance = np.random.default_rng(5)
    true = np.array(moments(Marks(), 1_500))
    heard, seen = chance.random(len(true)) > 0.1, chance.random(len(true)) > 0.1
    flashed = true[seen] + offset_s + chance.uniform(-0.016, 0.016, seen.sum())
    found = pairs(flashed, true[heard])
    assert len(found) == np.sum(heard & seen)
    assert np.abs(found[:, 0] - found[:, 1] - offset_s).max() <= 0.017


def test_nothing_seen_or_heard_makes_no_pairs() -> None:
    assert len(pairs(np.zeros(0), np.array([1.0]))) == 0
    assert len(pairs(np.array([1.0]), np.array([9.0]))) == 0


def test_a_freeze_lasts_from_one_change_to_the_next() -> None:
    shown = [(0.0, Seen(110, 1, 1)), (0.04, Seen(110, 2, 2)), (0.08, Seen(110, 2, 2)), (0.2, Seen(110, None, 3))]
    assert longest_freeze_s(shown) == pytest.approx(0.16)
    assert longest_freeze_s(shown[:1]) == float("inf")


def test_a_broken_voice_is_rough() -> None:
    clean = voice(0, SPEECH_RATE_HZ)
    broken = clean.copy()
    broken[20_000:20_300] = 0
    assert roughest(broken) > 20 * roughest(clean)
    assert usual(roughest, broken) < 2 * roughest(clean)
    assert usual(largest_step, broken) == pytest.approx(largest_step(clean), rel=0.05)


def test_pictures_of_neighbouring_beats_have_different_prints() -> None:
    prints = [look(Marks().picture(position)).print for position in range(50)]
    assert all(one != other for one, other in itertools.pairwise(prints))
