import random

import pytest

from peer_local.interfaces import SenderReport
from peer_local.playback.sender_clock import CLOCK_HZ, Kind, SenderClock

AUDIO_0, VIDEO_0 = 3_000_000_000, 7_000
"""Timestamps of the moment at which both tracks began."""
EPOCH_S = 1_800_000_000.0


def report(kind: Kind, after_s: float, *, epoch_s: float = EPOCH_S, error_s: float = 0.0) -> SenderReport:
    origin = AUDIO_0 if kind == "audio" else VIDEO_0
    return SenderReport(origin + round(after_s * CLOCK_HZ[kind]), epoch_s + after_s + error_s)


def media_s(clock: SenderClock, kind: Kind, after_s: float) -> float:
    """What the clock takes a track's timestamp for, `after_s` after the beginning, counted from EPOCH_S."""
    found_s = clock.media_s(kind, (AUDIO_0 if kind == "audio" else VIDEO_0) + after_s * CLOCK_HZ[kind])
    assert found_s is not None
    return found_s - EPOCH_S


def test_nothing_is_known_before_the_first_packet() -> None:
    clock = SenderClock()
    assert clock.media_s("audio", 1) is None
    assert clock.timestamp("video", 1.0) is None


def test_both_tracks_are_taken_to_begin_together_until_a_report_comes() -> None:
    clock = SenderClock()
    clock.begin("audio", AUDIO_0)
    clock.begin("video", VIDEO_0)
    clock.begin("video", VIDEO_0 + 90_000)
    assert clock.media_s("audio", AUDIO_0 + 48_000) == clock.media_s("video", VIDEO_0 + 90_000) == 1.0
    assert not clock.figures().settled


def test_reports_of_both_tracks_join_them_in_the_performers_time() -> None:
    clock = SenderClock()
    clock.note("audio", report("audio", 0.3))
    clock.note("video", report("video", 0.7))
    assert media_s(clock, "audio", 2.0) == pytest.approx(2.0, abs=1e-6)
    assert media_s(clock, "video", 2.0) == pytest.approx(2.0, abs=1e-6)
    assert clock.timestamp("video", EPOCH_S + 2.0) == pytest.approx(VIDEO_0 + 180_000, abs=0.1)
    assert clock.figures().settled


def test_a_track_without_a_report_keeps_its_place_beside_the_other() -> None:
    clock = SenderClock()
    clock.begin("audio", AUDIO_0)
    clock.begin("video", VIDEO_0)
    clock.note("audio", report("audio", 0.3))
    assert media_s(clock, "video", 2.0) == pytest.approx(2.0, abs=1e-6)


def test_a_picture_that_starts_late_is_late_only_until_its_report() -> None:
    clock = SenderClock()
    clock.begin("audio", AUDIO_0)
    clock.begin("video", VIDEO_0 + 13_500)
    assert media_s(clock, "video", 1.0) + EPOCH_S == pytest.approx(0.85)
    clock.note("audio", report("audio", 0.3))
    clock.note("video", report("video", 0.4))
    assert media_s(clock, "video", 1.0) == pytest.approx(media_s(clock, "audio", 1.0), abs=1e-6)


def test_a_report_may_come_before_the_first_packet() -> None:
    clock = SenderClock()
    clock.note("audio", report("audio", 0.0))
    clock.begin("video", VIDEO_0)
    assert clock.media_s("video", VIDEO_0) is None
    clock.begin("audio", AUDIO_0)
    assert media_s(clock, "video", 1.0) == pytest.approx(1.0, abs=1e-6)


def test_noise_of_a_foreign_sender_is_not_followed() -> None:
    clock = SenderClock()
    noise = random.Random(1)
    for second in range(30):
        late_s = 0.2 if second % 7 == 3 else noise.uniform(0.003, 0.009)
        clock.note("video", report("video", second, error_s=late_s))
        if second > 5:
            assert 0.003 <= media_s(clock, "video", second) - second <= 0.009
    assert clock.figures().rebases == 0


@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_of_drift_does_not_add_up(ppm: int) -> None:
    clock = SenderClock()
    worst_s = 0.0
    for second in range(3_600):
        after_s = second * (1 + ppm / 1e6)
        clock.note("audio", SenderReport(AUDIO_0 + second * 48_000, EPOCH_S + after_s))
        worst_s = max(worst_s, abs(media_s(clock, "audio", second) - after_s))
    assert worst_s < 0.001
    assert clock.figures().rebases == 0


def test_a_sender_whose_wall_clock_is_set_moves_both_tracks_together() -> None:
    clock = SenderClock()
    for second in range(5):
        clock.note("audio", report("audio", second))
        clock.note("video", report("video", second))
    clock.note("audio", report("audio", 5.0, epoch_s=EPOCH_S + 30))
    assert media_s(clock, "audio", 5.0) == pytest.approx(35.0, abs=1e-6)
    assert media_s(clock, "video", 5.0) == pytest.approx(35.0, abs=1e-6)
    clock.note("video", report("video", 5.0, epoch_s=EPOCH_S + 30))
    assert media_s(clock, "video", 6.0) == pytest.approx(36.0, abs=1e-6)
    assert clock.figures().rebases == 1


def test_a_track_that_begins_anew_does_not_tear_the_other_along_for_long() -> None:
    clock = SenderClock()
    for second in range(5):
        clock.note("audio", report("audio", second))
        clock.note("video", report("video", second))
    clock.note("video", SenderReport(500, EPOCH_S + 5))
    clock.note("audio", report("audio", 5.5))
    assert media_s(clock, "audio", 6.0) == pytest.approx(6.0, abs=1e-6)
    assert clock.media_s("video", 500) == EPOCH_S + 5
