"""What a stream sounds like when it is read at another clock's pace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.interfaces import Samples
from peer_local.playback.resampling import FractionalReader


def tone(count: int, frequency_hz: float = 440.0) -> Samples:
    return (0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(count) / 48_000)).astype(np.float32)


def read_all(sound: Samples, ratio: float, block: int = 480) -> tuple[Samples, Samples]:
    """What comes out, and where in the sound each sample has its place."""
    reader = FractionalReader(4_800)
    out, places = [], []
    for start in range(0, len(sound), 960):
        reader.push(sound[start : start + 960])
        while reader.needed(block, ratio) == 0:
            places.append(reader.position + np.arange(block) * ratio)
            out.append(reader.pull(block, ratio))
    return np.concatenate(out), np.concatenate(places)


def test_the_same_pace_is_a_copy() -> None:
    sound = tone(9_600)
    out, places = read_all(sound, 1.0)
    assert np.array_equal(out, sound)
    assert np.array_equal(places, np.arange(9_600))


@pytest.mark.parametrize("ratio", [0.98, 0.9998, 1.0002, 1.003, 1.02])
def test_another_pace_keeps_a_tone_clean(ratio: float) -> None:
    out, places = read_all(tone(48_000, 3_000), ratio)
    meant = 0.5 * np.sin(2 * np.pi * 3_000 * places / 48_000)
    wrong = (out - meant)[64:]
    assert 10 * np.log10(np.mean(meant**2) / np.mean(wrong**2)) > 70
    assert len(out) == pytest.approx(48_000 / ratio, abs=1_000)


def test_a_change_of_pace_makes_no_step() -> None:
    reader = FractionalReader(48_000)
    reader.push(tone(48_000))
    out = np.concatenate([reader.pull(480, ratio) for ratio in (1.0, 1.001, 0.99, 1.0, 1.01, 1.0)])
    assert np.max(np.abs(np.diff(out))) < 0.5 * 2 * np.pi * 440 * 1.011 / 48_000


def test_a_stream_that_is_too_short_gives_what_it_has() -> None:
    reader = FractionalReader(4_800)
    reader.push(tone(500))
    assert len(reader.pull(960)) == 500
    assert len(reader.pull(960)) == 0
    assert reader.position == 500


def test_nobody_reads_so_the_oldest_is_dropped_and_counted() -> None:
    reader = FractionalReader(1_000)
    sound = tone(6_000)
    for start in range(0, 2_400, 600):
        reader.push(sound[start : start + 600])
    assert (reader.dropped_samples, reader.position, reader.waiting_samples) == (1_400, 1_400, 1_000)
    assert np.array_equal(reader.pull(100), sound[1_400:1_500])
    reader.push(sound[2_400:])
    assert (reader.end, reader.position) == (6_000, 5_000)
    assert np.array_equal(reader.pull(2_000), sound[5_000:])


def test_leaving_out_goes_on_behind_it() -> None:
    reader = FractionalReader(4_800)
    reader.push(tone(2_000))
    reader.skip(300)
    assert np.array_equal(reader.pull(100), tone(400)[300:])
    reader.skip(5_000)
    assert (reader.position, reader.waiting_samples) == (2_000, 0)


def test_a_ratio_far_from_one_is_refused() -> None:
    with pytest.raises(ValueError, match="ratio 2"):
        FractionalReader(100).pull(10, 2.0)


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700), st.floats(0.98, 1.02)), max_size=30))
def test_any_order_of_pushes_and_pulls_keeps_count(steps: list[tuple[int, int, float]]) -> None:
    reader = FractionalReader(1_000)
    pushed = 0
    for push, pull, ratio in steps:
        reader.push(np.ones(push, np.float32))
        pushed += push
        enough = reader.needed(pull, ratio) == 0
        before = reader.position
        out = reader.pull(pull, ratio)
        assert not enough or len(out) == pull
        assert reader.position == pytest.approx(before + len(out) * ratio)
        assert reader.end == pushed
        assert np.all(np.abs(out) < 1.2)
        assert 0 <= reader.waiting_samples <= 1_000
