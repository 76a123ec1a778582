"""The silent clip of a photo repeats without a seam."""

from itertools import pairwise

import numpy as np
import pytest

from models.errors import AvatarError
from models.face.landmarks import FaceFinder
from models.face.mouth_shape import REST
from models.face.puppet.clip import idle_clip, loop_pose
from models.face.puppet.person_mask import create_mask
from models.settings import WeightsSettings
from tests.portraits import make_finder, smiling_photo

BEATS = 150
STEPS = {
    "yaw_deg": 1.0,
    "pitch_deg": 0.7,
    "roll_deg": 0.25,
    "shift_x": 0.3,
    "shift_y": 0.3,
    "breath": 0.06,
    "brows": 0.1,
}


def test_the_pose_of_a_loop_goes_on_from_its_end_to_its_beginning() -> None:
    for beats in (20, BEATS, 250):
        poses = [loop_pose(beat % beats, beats) for beat in range(beats + 1)]
        for before, after in pairwise(poses):
            assert all(abs(getattr(after, name) - getattr(before, name)) < bound for name, bound in STEPS.items())
            assert after.mouth == REST


def test_a_loop_has_whole_blinks_and_moves() -> None:
    poses = [loop_pose(beat, 250) for beat in range(250)]
    assert min(pose.lids for pose in poses) == 0
    assert np.ptp([pose.yaw_deg for pose in poses]) > 1
    assert poses[0].lids == poses[-1].lids == 1


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return make_finder()


@pytest.mark.weights
def test_the_pictures_keep_the_photos_shape_and_have_no_seam(finder: FaceFinder) -> None:
    photo = smiling_photo()[:401, :]
    mask = create_mask(WeightsSettings())
    pictures = [picture.astype(int) for picture in idle_clip(photo, finder, mask, longest_px=320, beats=BEATS)]
    assert len(pictures) == BEATS
    assert pictures[0].shape == (250, 320, 3)
    steps = [float(np.abs(after - before).mean()) for before, after in pairwise([*pictures, pictures[0]])]
    assert steps[-1] <= max(steps[:-1])
    assert 0 < np.mean(steps) < 1.5


@pytest.mark.weights
def test_a_photo_without_a_face_is_refused_at_once(finder: FaceFinder) -> None:
    with pytest.raises(AvatarError):
        idle_clip(np.full((200, 300, 3), 99, np.uint8), finder, create_mask(WeightsSettings()))
