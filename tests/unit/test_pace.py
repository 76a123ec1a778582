"""How fast to play."""

from itertools import pairwise

import pytest

from peer_local.playback.pace import FASTEST, Drift, Pace, PullTimes


def test_a_buffer_near_its_target_is_left_alone() -> None:
    pace = Pace()
    assert {pace.follow(surplus_s, 0.01) for surplus_s in (0.0, 0.005, -0.005)} == {1.0}


@pytest.mark.parametrize("surplus_s", [0.08, -0.08])
def test_a_surplus_goes_smoothly_and_inaudibly(surplus_s: float) -> None:
    pace, ratios = Pace(), [1.0]
    for _ in range(3_000):
        ratios.append(pace.follow(surplus_s, 0.01))
        surplus_s -= (ratios[-1] - 1) * 0.01
    assert abs(surplus_s) < 0.0015
    assert max(abs(ratio - 1) for ratio in ratios) == pytest.approx(FASTEST)
    assert max(abs(after - before) for before, after in pairwise(ratios)) <= 0.000201
    assert ratios[-1] == 1.0


def test_the_earliest_pull_counts_and_is_forgotten_in_time() -> None:
    pulls = PullTimes(window_s=1.0)
    pulls.note(10.0, 0)
    assert pulls.note(10.02, 480) == 10.0
    assert pulls.note(10.01, 960) == pytest.approx(9.99)
    assert pulls.note(11.5, 48_000) == pytest.approx(10.5)


def test_drift_is_the_slope_over_time() -> None:
    drift = Drift()
    for second in range(100):
        assert drift.ppm == 0 or second >= 20
        drift.note(second, 0.5 + second * 150e-6)
    assert drift.ppm == pytest.approx(150)
    drift.reset()
    assert drift.ppm == 0
