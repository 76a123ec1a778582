"""Sound at 16 kHz in its place: against the exact tone, and against soxr over a whole recording."""

from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from models.face.musetalk.downsampler import Downsampler
from models.interfaces import Samples

REACH_SAMPLES = 94


def tone(frequency_hz: float, count: int = 48_000, rate_hz: int = 48_000) -> Samples:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(count) / rate_hz)).astype(np.float32)


def whole(sound: Samples) -> Samples:
    downsampler = Downsampler()
    return np.concatenate((downsampler.push(sound), downsampler.flush()))


def speech_like(count: int = 96_000) -> Samples:
    """Noise with pauses, most of it below 7 kHz, loud at both ends."""
    rng = np.random.default_rng(7)
    noise = soxr.resample(rng.standard_normal(count * 13 // 48), 13_000, 48_000)[:count]
    swell = 0.1 * (1 + np.cos(2 * np.pi * 3 * np.arange(len(noise)) / 48_000))
    sound: Samples = (noise * swell).astype(np.float32)
    return sound


@pytest.mark.parametrize("frequency_hz", [50, 440, 3_000, 6_000, 7_000])
def test_a_tone_keeps_its_level_and_its_place(frequency_hz: int) -> None:
    out = whole(tone(frequency_hz))
    meant = tone(frequency_hz, 16_000, 16_000)
    inner = slice(100, -100)
    assert np.max(np.abs(out[inner] - meant[inner])) < 2e-4


@pytest.mark.parametrize("frequency_hz", [8_400, 9_000, 12_000, 15_500, 16_000, 20_000, 23_900])
def test_what_would_fold_back_is_gone(frequency_hz: int) -> None:
    out = whole(tone(frequency_hz))[100:-100]
    assert np.max(np.abs(out)) < 0.5 * 10 ** (-70 / 20)


def test_it_is_soxr_without_the_delay() -> None:
    sound = speech_like()
    ours, theirs = whole(sound), soxr.resample(sound, 48_000, 16_000, quality="VHQ")
    assert len(ours) == len(theirs)
    shifts = range(-3, 4)
    inner = slice(100, -100)
    errors = {shift: np.mean((np.roll(ours, shift)[inner] - theirs[inner]) ** 2) for shift in shifts}
    assert min(errors, key=lambda shift: errors[shift]) == 0
    assert 10 * np.log10(np.mean(theirs**2) / errors[0]) > 50
    assert np.sqrt(np.mean(ours**2) / np.mean(theirs**2)) == pytest.approx(1.0, abs=1e-3)


def test_an_impulse_stays_at_its_own_sample() -> None:
    sound = np.zeros(4_800, np.float32)
    sound[3 * 700] = 1.0
    out = whole(sound)
    assert int(np.argmax(np.abs(out))) == 700
    assert np.allclose(out[600:700], out[701:801][::-1], atol=1e-7)


def test_a_sample_comes_as_soon_as_two_milliseconds_after_it_are_known() -> None:
    downsampler = Downsampler()
    assert len(downsampler.push(np.ones(REACH_SAMPLES, np.float32))) == 0
    assert len(downsampler.push(np.ones(1, np.float32))) == 1
    assert len(downsampler.push(np.ones(2, np.float32))) == 0
    assert len(downsampler.push(np.ones(1, np.float32))) == 1


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 2), (1_920, 640), (1_921, 641)])
def test_a_whole_sound_gives_one_sample_for_every_three_begun(count: int, expected: int) -> None:
    assert len(whole(tone(440, count))) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=20))
def test_pieces_of_any_length_sound_as_the_whole(lengths: list[int]) -> None:
    sound = speech_like(sum(lengths) + 100)[: sum(lengths)]
    downsampler = Downsampler()
    ends = np.cumsum([0, *lengths])
    pieces = [downsampler.push(sound[start:end]) for start, end in pairwise(ends)]
    assert np.allclose(np.concatenate((*pieces, downsampler.flush())), whole(sound), atol=1e-6)


def test_silence_stays_exactly_silent() -> None:
    assert not whole(np.zeros(9_600, np.float32)).any()


def test_sound_after_the_end_is_refused() -> None:
    downsampler = Downsampler()
    downsampler.flush()
    with pytest.raises(ValueError, match="new Downsampler"):
        downsampler.push(tone(440))
