"""The edges of a clause that comes in pieces: no hole before it, its own pause after it, no click."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.interfaces import SPEECH_RATE_HZ, Samples
from models.tts.clause import pause_samples
from models.tts.edges import LEAD_SAMPLES, RELEASE_SAMPLES, ClauseEdges

MS = SPEECH_RATE_HZ // 1_000
PAUSE = pause_samples("Here we are.")


def hum(ms: int, level: float = 0.15) -> Samples:
    return (level * np.sin(2 * np.pi * 180 * np.arange(ms * MS) / SPEECH_RATE_HZ)).astype(np.float32)


def hiss(ms: int) -> Samples:
    """A quiet room, -60 dB."""
    return np.random.default_rng(ms).normal(0, 0.001, ms * MS).astype(np.float32)


def trimmed(sound: Samples, cuts: list[int] | None = None, pause: int = PAUSE) -> Samples:
    edges = ClauseEdges(pause)
    parts = [edges.push(part) for part in np.split(sound, sorted(cuts or []))]
    return np.concatenate([*parts, edges.finish()])


@pytest.mark.parametrize(("before_ms", "after_ms"), [(0, 0), (500, 700), (30, 100), (2_000, 0)])
def test_a_clause_begins_at_once_and_ends_with_the_pause_of_its_punctuation(before_ms: int, after_ms: int) -> None:
    result = trimmed(np.concatenate((hiss(before_ms), hum(400), hiss(after_ms))))
    lead = min(before_ms * MS, LEAD_SAMPLES)
    assert len(result) == pytest.approx(lead + 400 * MS + RELEASE_SAMPLES + PAUSE, abs=5 * MS)
    assert np.abs(result).max() == pytest.approx(0.15, rel=0.01)


def test_silence_inside_a_clause_stays() -> None:
    sound = np.concatenate((hum(300), hiss(900), hum(300)))
    result = trimmed(sound)
    assert np.array_equal(result[10 * MS : len(sound) - 10 * MS], sound[10 * MS : -10 * MS])


@given(st.lists(st.integers(0, 70_000), max_size=12))
def test_where_the_stream_is_cut_makes_no_difference(cuts: list[int]) -> None:
    sound = np.concatenate((hiss(130), hum(200), hiss(500), hum(301), hiss(333)))
    assert np.array_equal(trimmed(sound, cuts), trimmed(sound))


def test_a_clause_that_breaks_off_loud_ends_without_a_click() -> None:
    joined = np.concatenate([trimmed(hum(333)), trimmed(hum(333))])
    assert np.abs(np.diff(joined)).max() < 0.012


def test_what_is_sounding_is_not_waited_for() -> None:
    edges = ClauseEdges(PAUSE)
    given_out = sum(len(edges.push(hum(20))) for _ in range(10))
    assert given_out >= 190 * MS


def test_silence_is_no_clause() -> None:
    assert len(trimmed(hiss(3_000))) == 0
    assert len(trimmed(hum(0))) == 0
