"""Faces are found where they are, and followed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import WeightsCorrupt
from models.face.host.drawing import HostPainter
from models.face.landmark_table import (
    CHIN,
    EYE_LEFT_UPPER,
    EYE_RIGHT_UPPER,
    FACE_OVAL,
    FOREHEAD,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    MESH_POINTS,
    NOSE_TIP,
)
from models.face.landmarks import FaceFinder, FoundFace, create_finder
from models.face.mouth_shape import MouthShape
from models.face.pose import Pose
from models.interfaces import Image
from models.settings import WeightsSettings
from models.weights import locate

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return create_finder(WeightsSettings())


@pytest.fixture(scope="module")
def photo() -> Image:
    """A portrait of 512x512 px; the face is about 107 px high."""
    path = locate("test-photo", WeightsSettings().dir) / "astronaut.png"
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)


def farthest_px(one: FoundFace, other: FoundFace) -> float:
    return float(np.abs(one.points[:, :2] - other.points[:, :2]).max())


def test_the_face_of_a_photo_is_found_at_its_place(finder: FaceFinder, photo: Image) -> None:
    (face,) = finder.find(photo)
    assert face.points.shape == (MESH_POINTS, 3)
    assert face.points.dtype == np.float32
    assert face.score > 0.9
    assert np.abs(face.points[NOSE_TIP, :2] - (223, 131)).max() < 4
    middles = [
        face.points[list(line)].mean(axis=0) for line in (EYE_LEFT_UPPER, EYE_RIGHT_UPPER, LIPS_INNER_UPPER, FACE_OVAL)
    ]
    for found, (x, y) in zip(middles, ((204, 104), (246, 106), (223, 144), (224, 124)), strict=True):
        assert np.abs(found[:2] - (x, y)).max() < 4


def test_the_nose_is_nearer_than_the_outline(finder: FaceFinder, photo: Image) -> None:
    (face,) = finder.find(photo)
    assert face.points[NOSE_TIP, 2] < face.points[list(FACE_OVAL), 2].min()


def test_a_followed_face_is_the_one_that_was_found(finder: FaceFinder, photo: Image) -> None:
    (face,) = finder.find(photo)
    followed = finder.follow(photo, face)
    assert followed is not None
    assert farthest_px(followed, face) < 2.5
    moved = np.roll(photo, (5, -4), axis=(0, 1))
    again = finder.follow(moved, face)
    assert again is not None
    assert np.abs(again.points[:, :2] - face.points[:, :2] - (-4, 5)).mean() < 1.5


@pytest.mark.parametrize("angle_deg", [-25, 25])
def test_a_tilted_head_is_found_with_its_points_in_place(finder: FaceFinder, photo: Image, angle_deg: int) -> None:
    (upright,) = finder.find(photo)
    matrix = cv2.getRotationMatrix2D((224, 130), angle_deg, 1.0)
    tilted = np.asarray(cv2.warpAffine(photo, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    (face,) = finder.find(tilted)
    expected = upright.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    apart = np.hypot(*(face.points[:, :2] - expected).T)
    assert apart.mean() < 2
    assert apart.max() < 6


def test_noise_and_an_empty_wall_have_no_face(finder: FaceFinder) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    assert finder.find(noise) == []
    assert finder.find(np.full((300, 400, 3), 128, np.uint8)) == []


def test_a_face_that_has_gone_is_lost(finder: FaceFinder, photo: Image) -> None:
    (face,) = finder.find(photo)
    assert finder.follow(np.full_like(photo, 90), face) is None


def test_two_faces_side_by_side_are_two_and_the_larger_comes_first(finder: FaceFinder, photo: Image) -> None:
    small = np.full_like(photo, 120)
    small[:384, :384] = cv2.resize(photo, (384, 384), interpolation=cv2.INTER_AREA)
    for pictures, large_first in (((small, photo), False), ((photo, small), True)):
        faces = finder.find(np.hstack(pictures))
        assert len(faces) == 2
        assert faces[0].size_px > 1.2 * faces[1].size_px
        assert bool(faces[0].points[NOSE_TIP, 0] < 512) is large_first


def test_a_small_face_in_a_large_photo_is_found(finder: FaceFinder, photo: Image) -> None:
    wide = np.full((1_200, 2_000, 3), 130, np.uint8)
    wide[600:1_112, 1_400:1_912] = photo
    (face,) = finder.find(wide)
    assert np.abs(face.points[NOSE_TIP, :2] - (1_400 + 223, 600 + 131)).max() < 4


def test_the_illustrated_host_has_a_face_and_its_open_mouth_is_open(finder: FaceFinder) -> None:
    painter = HostPainter(512)
    gaps = []
    for opening in (0.0, 0.8):
        picture = np.ascontiguousarray(painter.rgba(Pose(mouth=MouthShape(opening=opening)))[..., :3])
        (face,) = finder.find(picture)
        upper, lower = (face.points[list(line), 1].mean() for line in (LIPS_INNER_UPPER, LIPS_INNER_LOWER))
        gaps.append((lower - upper) / (face.points[CHIN, 1] - face.points[FOREHEAD, 1]))
        assert face.points[list(LIPS_OUTER_LOWER), 1].max() < face.points[CHIN, 1]
    assert gaps[0] < 0.02
    assert gaps[1] > 0.05


def test_a_damaged_file_says_what_to_fetch(tmp_path: Path) -> None:
    broken = tmp_path / "face.tflite"
    broken.write_bytes(b"no network")
    with pytest.raises(WeightsCorrupt, match="face-landmarks"):
        FaceFinder(broken, broken)
