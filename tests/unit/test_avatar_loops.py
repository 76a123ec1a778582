"""The endless film: it comes round without a jump, and does not repeat soon where there is enough footage."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.avatar.blending import between
from models.face.avatar.film import FADE_FRAMES, Plan, round_about
from models.face.avatar.likeness import pose_distances
from models.face.avatar.loops import plan
from models.face.avatar.recording import to_i420, to_rgb
from models.face.avatar.tracking import Track, measured
from models.face.avatar.turning import eased_places
from models.interfaces import Image
from tests.recordings import drawn, mesh

FACE_PX = 100.0
Floats = NDArray[np.float32]


def track(x: NDArray[np.floating], gap: NDArray[np.floating] | float = 0.01) -> Track:
    """A face that moves sideways to `x`."""
    gaps = np.broadcast_to(gap, x.shape)
    points = np.stack([mesh(150 + float(at), 120, FACE_PX, gap=float(wide)) for at, wide in zip(x, gaps, strict=True)])
    count = len(x)
    greys = np.repeat(x.astype(np.float32)[:, None, None] / 10 + 100, 36, axis=1).repeat(64, axis=2)
    return measured(points, np.ones(count, bool), np.full(count, 120, np.float32), greys)


def wave(count: int, period: float, height: float = 6.0) -> NDArray[np.floating]:
    return np.asarray(height * np.sin(2 * np.pi * np.arange(count) / period))


def shown(planned: Plan, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Where the face is at each position of the schedule."""
    mixes = [planned.frames[frame] for frame in planned.schedule]
    return np.array([x[mix.first] * (1 - mix.weight) + x[mix.second] * mix.weight for mix in mixes])


def steps(places: NDArray[np.floating]) -> NDArray[np.floating]:
    """From each position to the next one, also from the last to the first."""
    return np.abs(np.diff(places, append=places[:1]))


def test_a_movement_that_returns_becomes_one_loop() -> None:
    x = wave(110, 80)
    planned = plan([track(x)], FACE_PX)
    assert planned.kind == "loop"
    assert len(planned.schedule) == pytest.approx(80, abs=2)
    assert len(planned.frames) == len(planned.schedule)
    assert steps(shown(planned, x)).max() <= 1.1 * np.abs(np.diff(x)).max()
    assert planned.seam_distance < 0.012


def test_the_seam_is_no_larger_than_ordinary_changes_with_two_periods_that_never_meet() -> None:
    x = wave(300, 83, 5) + wave(300, 37, 2)
    planned = plan([track(x)], FACE_PX)
    assert planned.kind in ("loop", "mixture")
    assert steps(shown(planned, x)).max() <= 1.25 * np.abs(np.diff(x)).max()


def test_fades_are_frames_of_their_own_and_few() -> None:
    planned = plan([track(wave(300, 75))], FACE_PX)
    mixed = [mix for mix in planned.frames if mix.weight > 0]
    assert len(mixed) % FADE_FRAMES == 0
    assert len(mixed) <= 0.5 * len(planned.frames)
    weights = [mix.weight for mix in mixed[:FADE_FRAMES]]
    assert weights == sorted(weights)
    assert 0 < weights[0] < 0.1
    assert 0.9 < weights[-1] < 1


def test_several_visits_are_mixed_so_that_no_part_comes_again_at_once() -> None:
    random = np.random.default_rng(2)
    # Every excursion starts and ends at rest, and no two are alike.
    parts = [np.sin(np.linspace(0, np.pi, 60)) ** 2 * height for height in random.uniform(-8, 8, 7)]
    x = np.concatenate([np.zeros(15), *parts, np.zeros(15)])
    planned = plan([track(x)], FACE_PX)
    assert planned.kind == "mixture"
    assert len(planned.schedule) >= 1_500
    assert len(planned.schedule) > 3 * len(planned.frames)
    places = shown(planned, x)
    assert steps(places).max() <= 1.25 * np.abs(np.diff(x)).max()
    # A repetition would make the film equal to itself some seconds later.
    for lag in range(50, 700):
        assert np.abs(places - np.roll(places, lag)).mean() > 0.3


def test_the_same_recording_gives_the_same_film() -> None:
    x = wave(300, 75) + np.linspace(0, 0.2, 300)
    assert np.array_equal(plan([track(x)], FACE_PX).schedule, plan([track(x)], FACE_PX).schedule)
    assert plan([track(x)], FACE_PX).frames == plan([track(x)], FACE_PX).frames


def test_several_clips_are_joined_where_they_share_a_pose() -> None:
    clips = [wave(140, 100, 6), wave(150, 60, -5), wave(130, 110, 3)]
    x = np.concatenate(clips)
    planned = plan([track(clip) for clip in clips], FACE_PX)
    used = {next(clip for clip in range(3) if mix.first < sum(map(len, clips[: clip + 1]))) for mix in planned.frames}
    assert used == {0, 1, 2}
    assert planned.kind == "mixture"
    assert planned.left_out == ()
    assert steps(shown(planned, x)).max() <= 1.25 * np.abs(np.diff(clips[1])).max()


def test_a_fade_never_reaches_into_another_clip() -> None:
    clips = [wave(140, 100, 6), wave(150, 60, -5)]
    planned = plan([track(clip) for clip in clips], FACE_PX)
    seams = [planned.schedule[seam : seam + FADE_FRAMES] for seam in planned.seams]
    for seam in seams:
        mixes = [planned.frames[frame] for frame in seam]
        for one, other in pairwise(mixes):
            assert (other.first - one.first, other.second - one.second) == (1, 1)
        assert (mixes[0].first < 140) == (mixes[-1].first < 140)
        assert (mixes[0].second < 140) == (mixes[-1].second < 140)


def test_a_clip_in_another_pose_is_left_out_and_named() -> None:
    planned = plan([track(wave(120, 80)), track(wave(120, 80) + 60)], FACE_PX)
    assert planned.left_out == (1,)
    assert max(mix.first for mix in planned.frames) < 120


def test_what_never_returns_runs_forth_and_back_and_turns_slowly() -> None:
    x = np.linspace(0, 60, 120)
    planned = plan([track(x)], FACE_PX)
    assert planned.kind == "ping-pong"
    places = shown(planned, x)
    speed = np.diff(places, append=places[:1])
    assert np.abs(speed).max() <= 1.05 * (x[1] - x[0])
    turns = np.flatnonzero(np.sign(speed[:-1]) * np.sign(speed[1:]) < 0)
    assert len(turns) <= 2
    # From full speed one way to full speed the other: no step of the speed as large as without slowing down.
    assert np.abs(np.diff(speed, append=speed[:1])).max() <= 0.5 * (x[1] - x[0]) + 1e-6
    assert len({planned.frames[frame] for frame in planned.schedule}) == len(planned.frames)


def test_eased_places_begin_and_end_at_rest() -> None:
    places = np.array(eased_places(10, 60))
    assert (places[0], places[-1]) == (10, 60)
    assert np.diff(places).min() >= 0
    assert np.diff(places).max() == pytest.approx(1)
    assert np.diff(places)[[0, -1]].max() < 0.05
    assert eased_places(3, 5)[-1] == pytest.approx(5)


def test_distance_tells_a_blink_and_an_open_mouth_from_rest() -> None:
    still = np.zeros(60)
    gap = np.full(60, 0.01)
    gap[30:] = 0.3
    distance = pose_distances([track(still, gap)], FACE_PX)
    assert distance[0, 10] < 1e-4
    assert distance[0, 40] > 0.002
    assert np.allclose(distance, distance.T, atol=1e-5)


def test_a_loop_that_is_given_is_played_as_it_is() -> None:
    planned = round_about(5)
    assert planned.schedule.tolist() == [0, 1, 2, 3, 4]
    assert (planned.kind, round_about(1).kind) == ("loop", "still")


def blurred(x: float) -> Image:
    return to_i420(drawn((x, 120, 100)))


def test_a_faded_frame_moves_edges_and_does_not_double_them() -> None:
    halfway = to_rgb(between(blurred(150), blurred(156), 0.5)).astype(int)
    wanted = drawn((153, 120, 100)).astype(int)
    doubled = (drawn((150, 120, 100)).astype(int) + drawn((156, 120, 100))) // 2
    assert np.abs(halfway - wanted).mean() < 0.4 * np.abs(doubled - wanted).mean()


def test_a_fade_of_weight_nothing_is_the_frame_itself() -> None:
    assert np.array_equal(between(blurred(150), blurred(156), 0.0), blurred(150))
