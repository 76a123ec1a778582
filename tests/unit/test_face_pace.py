import math

from models.face.musetalk.pace import MARGIN_S, PATIENCE_S, Pace


def given(pace: Pace, *moments_s: float) -> Pace:
    for moment_s in moments_s:
        pace.ordered += 1
        pace.give(moment_s)
    return pace


def test_the_first_picture_waits_for_no_other() -> None:
    assert Pace().batch(10.0) == 1


def test_pictures_are_due_one_after_the_other_from_the_first_on() -> None:
    pace = given(Pace(), 10.0, 10.0, 10.0)
    assert round(pace.due_s(10.0), 3) == 10.12


def test_with_time_in_hand_pictures_are_made_by_four() -> None:
    pace = given(Pace(), *[10.0] * 5)
    assert pace.batch(10.0) == 4
    assert pace.batch(10.1) == 2


def test_after_a_stall_the_next_picture_is_due_one_beat_after_the_last() -> None:
    pace = given(Pace(), 10.0, 12.0)
    assert round(pace.due_s(12.0), 3) == 12.04


def test_a_picture_that_is_due_still_waits_a_moment_for_the_sound_that_just_begins_to_come() -> None:
    pace = given(Pace(), 10.0)
    assert pace.hurry_s(20.0, heard_s=20.0) == 20.0 + PATIENCE_S
    assert pace.hurry_s(20.0, heard_s=19.0) == 20.0 - MARGIN_S


def test_what_the_engine_holds_up_is_counted_and_what_the_sound_does_is_not() -> None:
    pace = given(Pace(), 10.0, 10.05)
    assert round(pace.held_up_s, 3) == 0.01
    pace.resume(15.0)
    given(pace, 15.02)
    assert round(pace.held_up_s, 3) == 0.03


def test_a_picture_is_waited_for_until_it_is_due_and_as_long_as_patience_lasts() -> None:
    assert Pace().wait_until_s(1.0) == math.inf
    pace = given(Pace(), 10.0)
    assert round(pace.wait_until_s(1.0), 3) == 11.04
    given(pace, 10.74)
    assert round(pace.wait_until_s(1.0), 3) == 10.78 + 0.3
    given(pace, 12.0)
    assert round(pace.wait_until_s(1.0), 3) == 12.04
