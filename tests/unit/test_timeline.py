"""Which media time a sample has."""

import pytest

from peer_local.playback.timeline import Stretch, Timeline


def test_samples_have_the_timestamps_of_what_they_are_read_from() -> None:
    timeline = Timeline()
    assert timeline.timestamp(0) is None
    timeline.decoded(Stretch(0, 5_000, 1.0))
    timeline.decoded(Stretch(960, 5_960, 0.0))
    timeline.decoded(Stretch(1_200, 5_960, 1.0))
    timeline.played(100, 0, 1.0)
    timeline.played(1_300, 1_200, 1.01)
    assert timeline.timestamp(99) is None
    assert timeline.timestamp(150.5) == 5_050.5
    assert timeline.timestamp(1_200) == 5_960
    assert timeline.timestamp(1_400) == pytest.approx(6_061)


def test_a_timestamp_is_found_where_it_is_first_reached() -> None:
    timeline = Timeline()
    timeline.decoded(Stretch(0, 5_000, 1.0))
    timeline.decoded(Stretch(960, 5_960, 0.0))
    timeline.decoded(Stretch(1_200, 7_000, 1.0))
    assert timeline.position_of(5_100, 0, 480) == 100
    assert timeline.position_of(5_960, 480, 1_440) == 960
    assert timeline.position_of(6_500, 960, 1_440) == 1_200
    assert timeline.position_of(4_000, 480, 960) == 480
    assert timeline.position_of(9_000, 960, 1_440) == 1_440
