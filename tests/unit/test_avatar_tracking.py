"""Following a face, and refusing what cannot become an avatar in one sentence that says what to do."""

import numpy as np
import pytest

from models.errors import AvatarError
from models.face.avatar.rules import Rules
from models.face.avatar.smoothing import filled, smooth
from models.face.avatar.tracking import Track, follow, measured, refuse_unfit
from models.interfaces import Image
from tests.recordings import DrawnFinder, drawn, mesh, recording_of

RULES = Rules(longest_gap_frames=4, few=0.1)


def swaying(count: int, face_px: float = 120) -> list[Image]:
    return [drawn((160 + 10 * np.sin(index / 6), 120, face_px)) for index in range(count)]


def track_of(**features: np.ndarray) -> Track:
    count = len(next(iter(features.values())))
    points = np.stack([mesh(100, 100, 80)] * count)
    usual = measured(
        points, np.ones(count, bool), np.full(count, 120, np.float32), np.zeros((count, 36, 64), np.float32)
    )
    values = {name: getattr(usual, name) for name in Track.__slots__} | features
    return Track(**values)


def test_a_moving_face_is_followed_below_the_pixel() -> None:
    frames = swaying(40)
    steps = []
    track = follow(recording_of(frames), DrawnFinder(), RULES, lambda: steps.append(1))
    wanted = 160 + 10 * np.sin(np.arange(40) / 6)
    found = track.points[:, 168, 0]
    assert np.abs(found - wanted).max() < 0.4
    assert track.found.all()
    assert len(steps) == len(track) == 40
    assert track.luma.min() > 200
    assert track.greys.shape == (40, 36, 64)


def test_the_whole_picture_is_searched_once_a_second() -> None:
    finder = DrawnFinder()
    follow(recording_of(swaying(60)), finder, RULES)
    assert finder.looked_around == 3


def test_a_face_that_is_hidden_for_a_moment_is_interpolated() -> None:
    frames = swaying(40)
    frames[20] = frames[21] = drawn()
    track = follow(recording_of(frames), DrawnFinder(), RULES)
    assert np.flatnonzero(~track.found).tolist() == [20, 21]
    assert np.abs(track.points[20:22, 168, 0] - (160 + 10 * np.sin(np.arange(20, 22) / 6))).max() < 1
    assert refuse_unfit("me.mp4", track, RULES) == ["The face in me.mp4 was lost in 2 frames, which are interpolated."]


def test_a_face_that_is_hidden_for_long_is_refused() -> None:
    frames = swaying(40)
    frames[20:26] = [drawn()] * 6
    with pytest.raises(AvatarError, match=r"The face in me\.mp4 is lost at 0\.8 s; keep it in the picture"):
        follow(recording_of(frames), DrawnFinder(), RULES)


def test_a_face_that_is_hidden_often_is_refused() -> None:
    frames = swaying(40)
    for start in (10, 20, 30):
        frames[start : start + 2] = [drawn()] * 2
    with pytest.raises(AvatarError, match=r"is lost in 15% of the frames, first at 0\.4 s"):
        follow(recording_of(frames), DrawnFinder(), RULES)


def test_a_recording_without_a_face_is_not_looked_through_to_its_end() -> None:
    finder = DrawnFinder()
    with pytest.raises(AvatarError, match=r"No face was found in me\.mp4"):
        follow(recording_of([drawn()] * 30), finder, RULES)
    assert finder.looked_around == RULES.longest_gap_frames + 1


def test_a_recording_without_a_face_is_refused() -> None:
    with pytest.raises(AvatarError, match=r"No face was found in me\.mp4"):
        follow(recording_of([drawn()] * 3), DrawnFinder(), RULES)


def test_a_second_person_is_refused_also_when_they_come_later() -> None:
    frames = swaying(40, face_px=80)
    frames[25:] = [drawn((100, 120, 80), (240, 120, 60))] * 15
    with pytest.raises(AvatarError, match=r"shows 2 faces at 1\.0 s; record yourself alone"):
        follow(recording_of(frames), DrawnFinder(), RULES)


def test_a_small_picture_of_a_face_on_the_wall_is_no_second_person() -> None:
    frames = [drawn((120, 120, 120), (280, 60, 40))] * 5
    assert len(follow(recording_of(frames), DrawnFinder(), RULES)) == 5


def test_a_face_that_jumps_is_a_cut() -> None:
    frames = [drawn((100, 120, 100))] * 10 + [drawn((200, 120, 100))] * 10
    with pytest.raises(AvatarError, match=r"me\.mp4 jumps at 0\.4 s; give one continuous recording"):
        follow(recording_of(frames), DrawnFinder(), RULES)


def test_another_scene_around_the_same_face_is_a_cut() -> None:
    frames = [drawn((160, 120, 100))] * 10 + [np.minimum(drawn((160, 120, 100)) + np.uint8(30), 255)] * 10
    with pytest.raises(AvatarError, match=r"me\.mp4 jumps at 0\.4 s"):
        follow(recording_of(frames), DrawnFinder(), RULES)


def test_a_face_that_is_turned_away_is_refused_with_its_angle() -> None:
    yaw = np.zeros(100, np.float32)
    yaw[50:70] = 34
    with pytest.raises(AvatarError, match=r"turned away for 20% of the time, most at 2\.0 s \(34° sideways, 0° up"):
        refuse_unfit("me.mp4", track_of(yaw_deg=yaw), Rules())
    yaw[52:] = 0
    assert refuse_unfit("me.mp4", track_of(yaw_deg=yaw), Rules()) == ["The face in me.mp4 is turned away at 2.0 s."]
    with pytest.raises(AvatarError, match="look at the camera"):
        refuse_unfit("me.mp4", track_of(pitch_deg=np.full(50, -25, np.float32)), Rules())


def test_an_open_mouth_is_refused_when_it_is_open_most_of_the_time() -> None:
    mouth = np.full(100, 0.02, np.float32)
    mouth[:60] = 0.3
    with pytest.raises(AvatarError, match="open for 60% of the time; record yourself silent"):
        refuse_unfit("me.mp4", track_of(mouth=mouth), Rules())
    mouth[:80] = 0.02
    mouth[80:90] = 0.3
    assert "open for 10% of the time" in refuse_unfit("me.mp4", track_of(mouth=mouth), Rules())[0]
    mouth[83:] = 0.02
    assert refuse_unfit("me.mp4", track_of(mouth=mouth), Rules()) == []


def test_a_dark_face_is_refused() -> None:
    with pytest.raises(AvatarError, match="too dark; put a lamp or a window in front of you"):
        refuse_unfit("me.mp4", track_of(luma=np.full(50, 30, np.float32)), Rules())


def test_who_gave_a_photo_is_not_told_to_record() -> None:
    track = track_of(mouth=np.full(50, 0.3, np.float32))
    with pytest.raises(AvatarError, match=r"The mouth in me\.jpg is open; take a photo with the lips closed"):
        refuse_unfit("me.jpg", track, Rules(), photo=True)


def test_pose_and_mouth_are_measured() -> None:
    points = np.stack(
        [
            mesh(100, 100, 80),
            mesh(100, 100, 80, yaw_deg=20),
            mesh(100, 100, 80, pitch_deg=-15),
            mesh(100, 100, 80, gap=0.3),
        ]
    )
    nothing = np.zeros(4, np.float32)
    track = measured(points, np.ones(4, bool), nothing, np.zeros((4, 36, 64), np.float32))
    assert track.yaw_deg.tolist() == pytest.approx([0, 20, 0, 0], abs=1)
    assert np.abs(track.pitch_deg).tolist() == pytest.approx([0, 0, 15, 0], abs=1)
    assert track.mouth.tolist() == pytest.approx([0.01, 0.01, 0.01, 0.3], abs=0.02)


def test_smoothing_keeps_a_parabola_and_halves_noise() -> None:
    places = np.arange(50.0)
    parabola = 3 + 2 * places - 0.1 * places**2
    assert np.abs(smooth(parabola, 9, 2) - parabola).max() < 1e-3
    noise = np.random.default_rng(0).standard_normal((400, 3))
    assert smooth(noise, 9, 2).std() < 0.55
    assert smooth(noise[:2], 9, 2).shape == (2, 3)
    assert np.abs(smooth(parabola[:4], 9, 2) - parabola[:4]).max() < 1e-3


def test_the_ends_of_a_loop_are_neighbours() -> None:
    circle = np.sin(2 * np.pi * np.arange(60) / 60 + 0.4) + np.random.default_rng(0).standard_normal(60) * 0.05
    turned = np.roll(circle, 23)
    assert np.allclose(np.roll(smooth(circle, 9, 2, loops=True), 23), smooth(turned, 9, 2, loops=True), atol=1e-6)


def test_gaps_are_filled_by_straight_lines_and_held_at_the_ends() -> None:
    known = np.array([False, True, False, False, True, False])
    values = np.array([[9], [1], [9], [9], [4], [9]], np.float32)
    assert filled(values, known)[:, 0].tolist() == [1, 1, 2, 3, 4, 4]
