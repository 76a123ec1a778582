"""Which photos will do, what is said of those that will not, and how they are framed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import AvatarError, EngineUnavailable
from models.face.landmark_table import CHEEK_RIGHT, CHIN, FACE_OVAL, FOREHEAD, LIPS_INNER_LOWER, LIPS_OUTER_LOWER
from models.face.landmarks import FaceFinder, FoundFace
from models.face.puppet.face import create
from models.face.puppet.person_mask import PersonMask, create_mask
from models.face.puppet.portrait import head_and_shoulders, make_portrait, only_face, read_photo
from models.interfaces import Image
from models.settings import EngineSettings, FaceSettings, WeightsSettings
from tests.portraits import jpeg_with_orientation, make_finder, portrait_of, smiling_photo

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return make_finder()


@pytest.fixture(scope="module")
def mask() -> PersonMask:
    return create_mask(WeightsSettings())


@pytest.fixture(scope="module")
def photo() -> Image:
    return smiling_photo()


class Sees(FaceFinder):
    """Finds the face that it was given."""

    def __init__(self, face: FoundFace) -> None:
        self._face = face

    def find(self, rgb: Image) -> list[FoundFace]:
        return [self._face]


def refusal(photo: Image, finder: FaceFinder) -> str:
    with pytest.raises(AvatarError) as caught:
        only_face(photo, finder)
    return str(caught.value)


def test_without_a_photo_the_puppet_says_what_to_set() -> None:
    with pytest.raises(EngineUnavailable, match=r"set UNDERSTUDY_FACE__PHOTO to one"):
        create(EngineSettings(face=FaceSettings(engine="puppet")))


def test_a_photo_that_will_not_do_is_refused_by_the_name_of_its_setting(tmp_path: Path, photo: Image) -> None:
    both = np.hstack([photo[:400, 20:420], photo[:400, 20:420]])
    assert cv2.imwrite(str(tmp_path / "both.png"), both)
    (tmp_path / "notes.txt").write_text("not a picture")
    for name, reason in (("both.png", "several faces"), ("notes.txt", "JPEG or PNG"), ("me.jpg", "cannot be read")):
        with pytest.raises(AvatarError, match=f"^UNDERSTUDY_FACE__PHOTO: .*{reason}"):
            create(EngineSettings(face=FaceSettings(engine="puppet", photo=tmp_path / name)))


def test_a_missing_file_and_a_file_that_is_no_picture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="cannot be read"):
        read_photo(tmp_path / "me.jpg")
    (tmp_path / "notes.jpg").write_text("not a picture")
    with pytest.raises(AvatarError, match="JPEG or PNG"):
        read_photo(tmp_path / "notes.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(AvatarError, match="JPEG or PNG"):
        read_photo(tmp_path / "empty.jpg")


def test_a_photo_taken_with_the_camera_on_its_side_is_upright(tmp_path: Path, photo: Image) -> None:
    lying = np.ascontiguousarray(np.rot90(photo[:, :400]))
    (tmp_path / "фото.jpg").write_bytes(jpeg_with_orientation(lying, 6))
    upright = read_photo(tmp_path / "фото.jpg")
    assert upright.shape == (512, 400, 3)
    assert np.abs(upright.astype(int) - photo[:, :400]).mean() < 5


def test_a_portrait_has_one_face(finder: FaceFinder, photo: Image) -> None:
    assert "No face" in refusal(np.full_like(photo, 140), finder)
    assert "several faces" in refusal(np.hstack((photo, photo)), finder)
    behind = photo.copy()
    small = cv2.resize(photo[60:200, 150:290], None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    behind[20:55, 400:435] = small
    only_face(behind, finder)


def test_a_small_face_is_refused_with_its_size(finder: FaceFinder, photo: Image) -> None:
    assert "px high" in refusal(cv2.resize(photo, (300, 300), interpolation=cv2.INTER_AREA), finder)


def test_a_face_turned_aside_a_tilted_head_and_a_gaping_mouth_are_refused(finder: FaceFinder, photo: Image) -> None:
    face = only_face(photo, finder)
    turned = face.points.copy()
    turned[:, 2] += 0.7 * turned[:, 0]
    assert "to the side" in refusal(photo, Sees(FoundFace(turned, 1.0)))
    tilted = face.points.copy()
    tilted[:, :2] = tilted[:, :2] @ np.array([[0.7, 0.7], [-0.7, 0.7]], np.float32)
    assert "tilted" in refusal(photo, Sees(FoundFace(tilted, 1.0)))
    gaping = face.points.copy()
    gaping[[*LIPS_INNER_LOWER[1:-1], *LIPS_OUTER_LOWER[1:-1]], 1] += 25
    assert "wide open" in refusal(photo, Sees(FoundFace(gaping, 1.0)))


def test_the_picture_shows_head_and_shoulders(finder: FaceFinder, photo: Image) -> None:
    face = only_face(photo, finder)
    left, top, width, height = head_and_shoulders(photo, face)
    assert width == height
    assert left >= 0
    assert top >= 0
    assert left + width <= 512
    assert 0.25 < (face.points[CHIN, 1] - face.points[FOREHEAD, 1]) / height < 0.5
    assert 0.4 < (face.points[list(FACE_OVAL), 0].mean() - left) / width < 0.6


def test_a_photo_that_is_hardly_larger_than_the_face_is_shown_whole(finder: FaceFinder, photo: Image) -> None:
    tight = cv2.resize(photo[40:210, 150:300], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    portrait = portrait_of(tight, finder, 256)
    assert portrait.pixels.shape == (256 + 2 * portrait.margin_px, 256 + 2 * portrait.margin_px, 3)
    inner = portrait.points[:, :2] - portrait.margin_px
    assert inner.min() > 0
    assert inner.max() < 256


def test_the_sheet_keeps_px_to_spare_and_its_points_stay_on_the_face(
    finder: FaceFinder, mask: PersonMask, photo: Image
) -> None:
    face = only_face(photo, finder)
    box = head_and_shoulders(photo, face)
    for size_px, scale in ((512, 1.0), (192, 1.35)):
        portrait = make_portrait(photo, face, mask, box, width_px=size_px, height_px=size_px)
        assert portrait.scale == scale
        again = finder.find(portrait.pixels)[0]
        apart = np.hypot(*(again.points - portrait.points)[:, :2].T)
        assert apart.mean() < 0.02 * portrait.pixels.shape[0]


def test_the_person_is_told_from_the_background(finder: FaceFinder, photo: Image) -> None:
    portrait = portrait_of(photo, finder, 320)
    face = portrait.points[:, :2].round().astype(int)
    assert portrait.person[face[:, 1], face[:, 0]].min() == 255
    assert portrait.person[: portrait.margin_px + 10, :60].max() < 30
    assert portrait.points[CHEEK_RIGHT, 0] < portrait.pixels.shape[1]
