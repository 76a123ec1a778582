"""Opening and shutting without clicks."""

import numpy as np

from peer_local.playback.gate import FADE_SAMPLES, Gate

ONES = np.ones(480, np.float32)


def test_an_open_gate_changes_nothing() -> None:
    assert Gate().apply(ONES, 0) is ONES


def test_it_shuts_and_opens_by_ramps() -> None:
    gate = Gate()
    heard = np.concatenate([gate.apply(ONES, 481), gate.apply(ONES, 481), gate.apply(ONES, 100), gate.apply(ONES, 0)])
    assert np.max(np.abs(np.diff(heard))) <= 1.01 / FADE_SAMPLES
    assert np.all(heard[FADE_SAMPLES:1_060] == 0)
    assert np.all(heard[1_060 + FADE_SAMPLES :] == 1)


def test_it_turns_back_from_the_middle_of_a_ramp() -> None:
    gate = Gate()
    short = np.ones(100, np.float32)
    heard = np.concatenate([ONES, gate.apply(short, 101), gate.apply(ONES, 0)])
    assert np.max(np.abs(np.diff(heard))) <= 1.01 / FADE_SAMPLES
    assert not gate.shut
    assert heard[-1] == 1
