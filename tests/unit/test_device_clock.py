"""When a sample is heard, from what a device reports."""

import numpy as np
import pytest

from peer_local.playback.device_clock import DeviceClock


def play(clock: DeviceClock, seconds: float, *, begin_s: float = 0.0, ppm: float = 0.0, noise_s: float = 0.0) -> float:
    """Returns when the next sample is really heard."""
    random = np.random.default_rng(6)
    first = clock.samples
    next_s = begin_s
    for _ in range(round(seconds * 100)):
        clock.note(480, next_s + noise_s * float(random.uniform(-1, 1)))
        next_s = begin_s + (clock.samples - first) / 48_000 / (1 + ppm * 1e-6)
    return next_s


def test_nothing_is_known_before_the_first_report() -> None:
    clock = DeviceClock()
    assert clock.sample_at(1.0) is None
    assert clock.heard_s(1) is None


@pytest.mark.parametrize("ppm", [-300, 0, 300])
def test_noise_of_the_reports_is_filtered_and_another_rate_is_learnt(ppm: float) -> None:
    clock = DeviceClock()
    next_s = play(clock, 20, begin_s=5.0, ppm=ppm, noise_s=0.008)
    assert clock.heard_s(clock.samples) == pytest.approx(next_s, abs=0.001)
    assert clock.sample_at(next_s - 0.1) == pytest.approx(clock.samples - 4_800, abs=48)
    assert clock.interruptions == 0


def test_a_single_wild_report_moves_nothing() -> None:
    clock = DeviceClock()
    next_s = play(clock, 5)
    clock.note(480, next_s + 3)
    assert clock.heard_s(clock.samples) == pytest.approx(next_s + 0.01, abs=1e-4)


def test_an_interruption_is_believed_soon() -> None:
    clock = DeviceClock()
    next_s = play(clock, 5)
    again_s = play(clock, 0.1, begin_s=next_s + 3)
    assert clock.heard_s(clock.samples) == pytest.approx(again_s, abs=1e-4)
    assert clock.interruptions == 1
