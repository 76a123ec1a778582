"""How the host moves when nothing is said, and what speech adds."""

from dataclasses import fields
from itertools import pairwise

from models.face.motion import Expression, breath, lids, pose_at
from models.face.mouth_shape import REST, MouthShape
from models.interfaces import BEATS_PER_SECOND

FOUR_MINUTES = range(240 * BEATS_PER_SECOND)


def blinks() -> list[int]:
    """The positions where eyes begin to close."""
    return [position for position in FOUR_MINUTES if lids(position) < 1 <= lids(position - 1)]


def test_blinks_two_to_six_seconds_apart_some_of_them_double() -> None:
    starts = blinks()
    gaps = [after - before for before, after in pairwise(starts)]
    single = [gap for gap in gaps if gap > BEATS_PER_SECOND]
    assert 40 <= len(starts) <= 90
    assert min(single) >= 40
    assert max(gaps) <= 6 * BEATS_PER_SECOND
    assert any(gap < 12 for gap in gaps)


def test_each_blink_shuts_the_eyes_for_a_moment() -> None:
    for start in blinks()[:10]:
        openness = [lids(start + beat) for beat in range(8)]
        assert min(openness) < 0.05
        assert 3 <= sum(value < 1 for value in openness[:5]) <= 5


def test_gaze_is_mostly_on_the_camera_and_returns_to_it() -> None:
    gaze = [abs(pose_at(position, Expression()).gaze_x) for position in FOUR_MINUTES]
    away = [value > 0.33 for value in gaze]
    assert sum(away) < 0.25 * len(away)
    longest = run = 0
    for value in away:
        run = run + 1 if value else 0
        longest = max(longest, run)
    assert 4 < longest <= 2 * BEATS_PER_SECOND


def test_movement_is_continuous_in_the_position() -> None:
    bounds = {
        "yaw_deg": 1.0,
        "pitch_deg": 0.7,
        "roll_deg": 0.25,
        "shift_x": 0.2,
        "shift_y": 0.2,
        "breath": 0.06,
        "brows": 0.1,
    }
    for position in range(1_000):
        before, after = pose_at(position, Expression()), pose_at(position + 1, Expression())
        for name, bound in bounds.items():
            assert abs(getattr(after, name) - getattr(before, name)) < bound, (position, name)


def test_head_stays_within_what_looks_natural() -> None:
    for position in FOUR_MINUTES:
        pose = pose_at(position, Expression())
        assert abs(pose.yaw_deg) < 9
        assert abs(pose.pitch_deg) < 5
        assert abs(pose.roll_deg) < 4


def test_the_same_position_gives_the_same_pose() -> None:
    assert pose_at(1_234, Expression()) == pose_at(1_234, Expression())
    assert {field.name for field in fields(pose_at(0, Expression()))} >= {"mouth", "lids"}


def test_chest_fills_and_empties() -> None:
    values = [breath(position) for position in range(200)]
    assert min(values) < 0.02
    assert max(values) > 0.98


def test_a_nod_swings_out_and_back_without_a_jump() -> None:
    expression = Expression().speaking(REST, nod=1.0, brows=1.0)
    nods, brows = [expression.nod], [expression.brows]
    for _ in range(40):
        expression = expression.silent()
        nods.append(expression.nod)
        brows.append(expression.brows)
    assert 0.8 < max(nods) < 1.1
    assert abs(nods[-1]) < 0.01
    assert abs(brows[-1]) < 0.01
    assert max(abs(a - b) for a, b in pairwise(nods)) < 0.5


def test_mouth_closes_within_four_silent_pictures() -> None:
    expression = Expression(MouthShape(opening=0.9, width=0.8, rounding=0.5))
    openings = []
    for _ in range(4):
        expression = expression.silent()
        openings.append(expression.mouth.opening)
    assert openings == sorted(openings, reverse=True)
    assert openings[0] > 0.3
    assert expression.mouth == REST


def test_a_face_stays_engaged_through_short_pauses_and_relaxes_in_silence() -> None:
    expression = Expression()
    for _ in range(4):
        expression = expression.speaking(MouthShape(opening=0.4))
    assert expression.engaged == 1
    for _ in range(8):
        expression = expression.speaking(REST)
    assert expression.engaged > 0.7
    for _ in range(BEATS_PER_SECOND):
        expression = expression.silent()
    assert expression.engaged == 0
