"""The puppet's pictures: the photo at rest, lips that part and meet, eyes that shut, a room that stays."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from models.face.landmark_table import (
    BROW_LEFT_UPPER,
    CHEEK_LEFT,
    CHEEK_RIGHT,
    CHIN,
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    FOREHEAD,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_UPPER,
    NOSE_TIP,
)
from models.face.landmarks import FaceFinder, FoundFace
from models.face.mouth_shape import MouthShape
from models.face.pose import Pose
from models.face.puppet.lips import MouthLines
from models.face.puppet.painter import PuppetPainter
from models.face.puppet.portrait import Portrait
from models.interfaces import Image
from tests.portraits import aperture, eye_opening, host_photo, make_finder, portrait_of, smiling_photo

pytestmark = pytest.mark.weights

SIZE_PX = 384
AH = MouthShape(opening=0.78)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return make_finder()


@pytest.fixture(scope="module")
def host(finder: FaceFinder) -> Portrait:
    return portrait_of(host_photo(), finder, SIZE_PX)


@pytest.fixture(scope="module")
def shut(host: Portrait) -> PuppetPainter:
    """A person who was photographed with a shut mouth."""
    return PuppetPainter(host)


@pytest.fixture(scope="module")
def smile(finder: FaceFinder) -> Portrait:
    return portrait_of(smiling_photo(), finder, SIZE_PX)


@pytest.fixture(scope="module")
def smiling(smile: Portrait) -> PuppetPainter:
    """A person who was photographed with a smile that shows teeth."""
    return PuppetPainter(smile)


def seen(painter: PuppetPainter, finder: FaceFinder, pose: Pose) -> FoundFace:
    (face,) = finder.find(painter.rgb(pose))
    return face


def saying(painter: PuppetPainter, finder: FaceFinder, **shape: float) -> FoundFace:
    return seen(painter, finder, Pose(mouth=MouthShape(**shape), engaged=1.0))


def mouth_width(face: FoundFace) -> float:
    return float(np.hypot(*(face.points[LIPS_INNER_UPPER[-1]] - face.points[LIPS_INNER_UPPER[0]])[:2]))


def around_mouth(picture: Image, portrait: Portrait) -> Image:
    points = portrait.points[[*LIPS_OUTER_UPPER, CHIN], :2] / portrait.scale - portrait.margin_px / portrait.scale
    left, top = points.min(axis=0).astype(int) - 6
    right, bottom = points.max(axis=0).astype(int) + 6
    return picture[top:bottom, left:right]


def test_the_mouth_at_rest_is_the_photos_own(smiling: PuppetPainter, smile: Portrait) -> None:
    assert smile.scale == 1.0
    margin = smile.margin_px
    photo = smile.pixels[margin : margin + SIZE_PX, margin : margin + SIZE_PX]
    assert np.array_equal(around_mouth(smiling.rgb(Pose()), smile), around_mouth(photo, smile))


def test_after_speech_the_picture_is_the_one_before_it(shut: PuppetPainter, smiling: PuppetPainter) -> None:
    for painter in (shut, smiling):
        before = painter.rgb(Pose())
        painter.rgb(Pose(mouth=AH, lids=0.3, brows=1.0, gaze_x=0.5))
        assert np.array_equal(painter.rgb(Pose()), before)


def test_the_wider_the_jaw_the_further_the_lips_are_apart(
    shut: PuppetPainter, smiling: PuppetPainter, finder: FaceFinder
) -> None:
    for painter, least in ((shut, 0.15), (smiling, 0.04)):
        gaps = [aperture(saying(painter, finder, opening=opening)) for opening in (0.2, 0.5, 0.9)]
        assert gaps[0] < gaps[1] < gaps[2]
        assert gaps[2] - gaps[0] > least


def test_lips_meet_for_m_b_and_p(shut: PuppetPainter, smiling: PuppetPainter, finder: FaceFinder) -> None:
    rest = aperture(seen(shut, finder, Pose()))
    assert aperture(saying(shut, finder, press=1.0)) <= rest + 0.005
    assert aperture(saying(shut, finder, opening=0.8, press=1.0)) <= rest + 0.005
    smiles = aperture(seen(smiling, finder, Pose()))
    assert aperture(saying(smiling, finder, press=1.0)) < 0.75 * smiles


def test_no_teeth_are_left_between_the_lips_of_a_smile_that_says_m(smiling: PuppetPainter, smile: Portrait) -> None:
    lines = MouthLines(smile)
    a = np.linspace(-0.6, 0.6, 60, dtype=np.float32) * lines.half_width
    middle = lines.frame.back(np.stack((a, (lines.upper.at(a) + lines.lower.at(a)) / 2), axis=-1)) - smile.margin_px

    def redness(mouth: MouthShape) -> float:
        picture = smiling.rgb(Pose(mouth=mouth, engaged=1.0))
        lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
        return float(cv2.remap(lab, middle[None].astype(np.float32), None, cv2.INTER_LINEAR)[..., 1].mean())

    teeth, lips = redness(MouthShape()), redness(MouthShape(press=1.0))
    own = cv2.cvtColor(smiling.rgb(Pose()), cv2.COLOR_RGB2LAB)
    assert lips > teeth - 1
    assert lips > cv2.remap(own, middle[None].astype(np.float32), None, cv2.INTER_LINEAR)[..., 1].mean() + 4


def test_round_vowels_narrow_the_mouth_and_spread_ones_widen_it(shut: PuppetPainter, finder: FaceFinder) -> None:
    rest = mouth_width(seen(shut, finder, Pose()))
    assert mouth_width(saying(shut, finder, opening=0.2, rounding=0.9)) < 0.85 * rest
    spread, narrow = (mouth_width(saying(shut, finder, opening=0.2, width=width)) for width in (0.9, -0.6))
    assert spread > 1.05 * narrow


def test_the_chin_goes_down_with_the_jaw_and_the_forehead_does_not(shut: PuppetPainter, finder: FaceFinder) -> None:
    rest, open_ = seen(shut, finder, Pose()), saying(shut, finder, opening=0.9)
    assert open_.points[CHIN, 1] > rest.points[CHIN, 1] + 5
    assert abs(open_.points[FOREHEAD, 1] - rest.points[FOREHEAD, 1]) < 2.5


def test_an_open_mouth_is_dark_with_teeth(shut: PuppetPainter, host: Portrait, finder: FaceFinder) -> None:
    face = saying(shut, finder, opening=0.9)
    picture = cv2.cvtColor(shut.rgb(Pose(mouth=MouthShape(opening=0.9))), cv2.COLOR_RGB2GRAY)
    hull = cv2.convexHull(face.points[[*LIPS_INNER_UPPER, *LIPS_INNER_LOWER], :2].round().astype(np.int32))
    inside = cv2.fillConvexPoly(np.zeros_like(picture), hull, 255) > 0
    cheek = float(np.median(picture[inside.shape[0] // 3 : inside.shape[0] // 2, 150:220]))
    assert np.percentile(picture[inside], 10) < 0.3 * cheek
    assert np.percentile(picture[inside], 92) > 0.6 * cheek


def test_a_blink_shuts_the_eyes(smiling: PuppetPainter, smile: Portrait, finder: FaceFinder) -> None:
    openings = [eye_opening(seen(smiling, finder, Pose(lids=lids))) for lids in (1.0, 0.5, 0.0)]
    assert openings[0] > openings[1] > openings[2]
    eye = smile.points[[*EYE_LEFT_UPPER, *EYE_LEFT_LOWER], :2] - smile.margin_px
    left, top = eye.min(axis=0).round().astype(int)
    right, bottom = eye.max(axis=0).round().astype(int)
    middle = slice(top + 2, (top + bottom) // 2 + 1), slice((3 * left + right) // 4, (left + 3 * right) // 4)
    open_, closed = (
        cv2.cvtColor(smiling.rgb(Pose(lids=lids)), cv2.COLOR_RGB2GRAY)[middle].astype(float) for lids in (1.0, 0.0)
    )
    assert closed.std() < 0.4 * open_.std()
    assert closed.mean() > open_.mean() + 20


def test_brows_rise(shut: PuppetPainter, finder: FaceFinder) -> None:
    rest, raised = (seen(shut, finder, Pose(brows=brows)).points for brows in (0.0, 1.0))
    assert (rest - raised)[list(BROW_LEFT_UPPER), 1].mean() > 2


def test_the_nose_travels_further_than_the_outline_when_the_head_turns(shut: PuppetPainter, finder: FaceFinder) -> None:
    left, right = (seen(shut, finder, Pose(yaw_deg=yaw)).points for yaw in (-6.0, 6.0))
    moved = right - left
    assert moved[NOSE_TIP, 0] > 5
    assert moved[NOSE_TIP, 0] > 2 * moved[[CHEEK_LEFT, CHEEK_RIGHT], 0].max()


def test_the_room_stays_where_it_is(shut: PuppetPainter) -> None:
    poses = [Pose(yaw_deg=yaw, roll_deg=-yaw / 3, shift_x=yaw / 3, breath=abs(yaw) / 8, mouth=AH) for yaw in (-8, 0, 8)]
    pictures = [shut.rgb(pose) for pose in poses]
    for picture in pictures[1:]:
        assert np.array_equal(picture[:100, :70], pictures[0][:100, :70])
        assert np.array_equal(picture[:200, -60:], pictures[0][:200, -60:])


def test_one_step_of_movement_is_one_step_in_the_picture(smiling: PuppetPainter) -> None:
    opening = [smiling.rgb(Pose(mouth=MouthShape(opening=step / 40))).astype(int) for step in range(12)]
    changes = [float(np.abs(after - before).mean()) for before, after in pairwise(opening)]
    assert max(changes) < 4 * float(np.median(changes)) + 0.1


def test_nothing_tears(shut: PuppetPainter, host: Portrait) -> None:
    """No px of an extreme pose is far from every colour that the photo has around it."""
    margin = host.margin_px
    photo = host.pixels[margin:-margin, margin:-margin]
    photo = cv2.resize(photo, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    reach = np.ones((41, 41), np.uint8)
    low, high = cv2.erode(photo, reach).astype(int) - 40, cv2.dilate(photo, reach).astype(int) + 40
    picture = shut.rgb(Pose(yaw_deg=9, pitch_deg=-5, roll_deg=4, shift_x=4, breath=1.0)).astype(int)
    assert ((picture < low) | (picture > high)).mean() < 1e-4


def test_i420_is_the_same_picture_in_limited_range(shut: PuppetPainter) -> None:
    i420 = shut.i420(Pose(mouth=AH))
    assert i420.shape == (SIZE_PX * 3 // 2, SIZE_PX)
    assert i420.dtype == np.uint8
    back = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420).astype(int)
    assert np.abs(back - shut.rgb(Pose(mouth=AH))).mean() < 3
