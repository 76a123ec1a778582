"""Raw sound off a wire, cut anywhere."""

from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Samples
from models.tts.pcm import FISH_RATE_HZ, PcmReader
from tests.fish_server import tones, wav

SOUND = tones("one two")


def read(data: bytes, cuts: list[int] | None = None) -> Samples:
    reader = PcmReader()
    edges = [0, *sorted(cuts or []), len(data)]
    parts = [reader.read(data[start:end]) for start, end in pairwise(edges)]
    return np.concatenate([*parts, reader.finish()])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, len(SOUND)), max_size=8), st.booleans())
def test_the_sound_is_the_same_however_it_is_cut(cuts: list[int], header: bool) -> None:
    whole = read(SOUND)
    assert np.array_equal(read(wav(SOUND) if header else SOUND, cuts), whole)


def test_a_stream_is_resampled_as_well_as_the_whole_at_once() -> None:
    time_s = np.arange(FISH_RATE_HZ) / FISH_RATE_HZ
    sound = 0.2 * np.sin(2 * np.pi * np.array([[100], [5_000], [19_000]]) * time_s).sum(axis=0)
    data = (sound * 32_767).astype("<i2").tobytes()
    streamed = read(data, list(range(999, len(data), 999)))
    expected = soxr.resample(
        np.frombuffer(data, "<i2").astype(np.float32) / 32_768, FISH_RATE_HZ, SPEECH_RATE_HZ, "VHQ"
    )
    assert len(streamed) == SPEECH_RATE_HZ
    middle = slice(2_000, -2_000)
    error = streamed[middle] - expected[middle]
    assert 10 * np.log10(np.mean(expected[middle] ** 2) / np.mean(error**2)) > 80


def test_tags_after_the_sound_of_a_file_are_no_sound() -> None:
    assert len(read(wav(SOUND) + b"LIST" + b"\x7f" * 5_000)) == len(read(SOUND))


def test_a_header_that_promises_nothing_or_everything_is_that_of_a_stream() -> None:
    header = wav(b"")
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\xff\x7f"):
        assert len(read(header[:-4] + size + SOUND)) == len(read(SOUND))


def test_another_rate_in_the_header_is_used_and_another_format_refused() -> None:
    assert len(read(wav(SOUND, rate_hz=22_050))) == pytest.approx(2 * len(read(SOUND)), abs=2)
    assert len(read(wav(SOUND, rate_hz=48_000))) == len(SOUND) // 2
    with pytest.raises(EngineFailed, match="mono"):
        read(wav(SOUND, channels=2))


def test_sound_that_begins_like_a_header_is_still_sound() -> None:
    assert len(read(b"RI" + SOUND)) == pytest.approx(len(read(SOUND)), abs=3)
    assert len(read(b"RIFF" + SOUND)) == pytest.approx(len(read(SOUND)), abs=3)
    assert len(read(b"R")) == len(read(b"")) == 0


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert np.array_equal(read(SOUND + b"\1"), read(SOUND))
