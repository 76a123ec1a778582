"""Lips and sound with every clock at its own pace: minutes of what tests/bench/simulated_hour.py simulates."""

import numpy as np
import pytest

from tests.bench.simulated_hour import Clocks, offsets


@pytest.mark.parametrize(
    "clocks",
    [
        Clocks(performer_ppm=0, device_ppm=0, device_noise_s=0, loss=0, jitter_s=0),
        Clocks(),
        Clocks(performer_ppm=-300, device_ppm=300, loss=0.05, jitter_s=0.1),
    ],
    ids=["ideal", "usual", "bad"],
)
def test_the_picture_stays_with_the_sound(clocks: Clocks) -> None:
    found = offsets(150.0, clocks)
    offsets_ms = (found[:, 0] - found[:, 1]) * 1_000
    assert len(found) > 100
    assert abs(offsets_ms.mean()) < 10
    assert np.percentile(np.abs(offsets_ms), 99) < 45
