"""How long packets wait, for what the network does."""

import numpy as np
import pytest

from peer_local.playback.jitter import JitterEstimator


class Arrivals:
    """Packets every 20 ms through a network; its clock need not be the sender's."""

    def __init__(self, sender_ppm: float = 0.0) -> None:
        self.estimator = JitterEstimator(40, 200)
        self._random = np.random.default_rng(4)
        self._index = 0
        self._rate = 1 + sender_ppm * 1e-6

    def come(self, seconds: float, jitter_ms: float = 0.0, way_ms: float = 50.0) -> None:
        for _ in range(round(seconds * 50)):
            delay_s = (way_ms + self._random.uniform(0, jitter_ms)) / 1_000
            self.estimator.observe(self._index * 960, self._index * 0.02 / self._rate + delay_s)
            self._index += 1


def test_a_calm_network_gets_the_shortest_delay() -> None:
    arrivals = Arrivals()
    assert arrivals.estimator.target_ms == 40
    assert arrivals.estimator.base_s is None
    arrivals.come(10, jitter_ms=5)
    assert arrivals.estimator.target_ms == 40
    assert arrivals.estimator.base_s == pytest.approx(0.05, abs=0.001)


def test_jitter_is_answered_within_a_second_and_forgotten_within_five() -> None:
    arrivals = Arrivals()
    arrivals.come(10)
    arrivals.come(1, jitter_ms=50)
    assert 50 < arrivals.estimator.target_ms < 70
    arrivals.come(9, jitter_ms=50)
    assert 60 < arrivals.estimator.target_ms < 70
    arrivals.come(5)
    assert arrivals.estimator.target_ms == 40


def test_the_target_stays_within_its_bounds() -> None:
    arrivals = Arrivals()
    arrivals.come(10, jitter_ms=400)
    assert 190 < arrivals.estimator.target_ms <= 200


def test_a_stall_is_not_jitter() -> None:
    arrivals = Arrivals()
    arrivals.come(10)
    for late in range(50, 0, -1):
        arrivals.come(0.02, way_ms=50 + 20 * late)
    arrivals.come(0.1)
    assert arrivals.estimator.target_ms < 120
    arrivals.come(5)
    assert arrivals.estimator.target_ms == 40


@pytest.mark.parametrize("sender_ppm", [-300, 300])
def test_a_clock_that_runs_differently_is_not_jitter(sender_ppm: float) -> None:
    arrivals = Arrivals(sender_ppm)
    arrivals.come(600)
    assert arrivals.estimator.jitter_ms < 5
    assert arrivals.estimator.target_ms == 40


def test_a_longer_way_becomes_the_new_measure() -> None:
    arrivals = Arrivals()
    arrivals.come(10)
    arrivals.come(11, way_ms=130)
    assert arrivals.estimator.target_ms == 40
    assert arrivals.estimator.base_s == pytest.approx(0.13, abs=0.001)


def test_another_sender_is_measured_afresh() -> None:
    arrivals = Arrivals()
    arrivals.come(5, jitter_ms=80)
    arrivals.estimator.reset()
    assert arrivals.estimator.base_s is None
    assert arrivals.estimator.target_ms == 40
