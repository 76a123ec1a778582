"""The line along which the lips of a photo part, and whether they are parted in it already."""

import cv2
import numpy as np
import pytest

from models.face.host.drawing import HostPainter
from models.face.landmarks import FaceFinder
from models.face.mouth_shape import MouthShape
from models.face.pose import Pose
from models.face.puppet.lips import MouthLines
from models.face.puppet.painter import PuppetPainter
from models.interfaces import Image
from tests.portraits import make_finder, portrait_of, smiling_photo

pytestmark = pytest.mark.weights

SIZE_PX = 384
LIGHTS = {"day": (1.0, 1.0, 1.0), "dusk": (0.4, 0.4, 0.4), "lamp": (1.0, 0.8, 0.5), "window": (0.75, 0.9, 1.0)}


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return make_finder()


@pytest.fixture(scope="module")
def host() -> HostPainter:
    return HostPainter(640)


def photo(host: HostPainter, opening: float) -> Image:
    pose = Pose(smile=0.2, mouth=MouthShape(opening=opening))
    return np.ascontiguousarray(host.rgba(pose)[..., :3])


def lit(photo: Image, light: str) -> Image:
    return np.asarray(np.clip(photo * np.array(LIGHTS[light], np.float32), 0, 255), np.uint8)


@pytest.mark.parametrize("light", LIGHTS)
def test_a_smile_with_teeth_and_hardly_parted_lips_are_told_from_a_shut_mouth(
    finder: FaceFinder, host: HostPainter, light: str
) -> None:
    lines = MouthLines(portrait_of(lit(smiling_photo(), light), finder, SIZE_PX))
    assert lines.parted
    assert lines.gap > 0.1
    hardly = MouthLines(portrait_of(lit(photo(host, 0.15), light), finder, SIZE_PX))
    assert hardly.parted
    assert 0.01 < hardly.gap < 0.09
    shut = MouthLines(portrait_of(lit(photo(host, 0.0), light), finder, SIZE_PX))
    assert not shut.parted
    assert shut.gap == 0


def test_shut_lips_part_along_the_dark_line_between_them(finder: FaceFinder, host: HostPainter) -> None:
    portrait = portrait_of(photo(host, 0.0), finder, SIZE_PX)
    lines = MouthLines(portrait)
    a = np.linspace(-0.6, 0.6, 25, dtype=np.float32) * lines.half_width
    grey = cv2.cvtColor(portrait.pixels, cv2.COLOR_RGB2GRAY)

    def luma(off_px: float) -> float:
        places = lines.frame.back(np.stack((a, lines.upper.at(a) + off_px), axis=-1))
        return float(cv2.remap(grey, places[None], None, cv2.INTER_LINEAR).mean())

    assert luma(0) < luma(-3) - 5
    assert luma(0) < luma(3) - 15


def test_no_teeth_stay_on_the_lower_lip_of_a_photo_with_hardly_parted_lips(
    finder: FaceFinder, host: HostPainter
) -> None:
    portrait = portrait_of(photo(host, 0.15), finder, SIZE_PX)
    painter, lines = PuppetPainter(portrait), MouthLines(portrait)
    picture = painter.rgb(Pose(mouth=MouthShape(press=1.0), engaged=1.0))
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    a = np.linspace(-0.6, 0.6, 40, dtype=np.float32) * lines.half_width
    b = (lines.upper.at(a) + lines.lower.at(a)) / 2 + np.arange(-3, 4, dtype=np.float32)[:, None]
    places = lines.frame.back(np.stack(np.broadcast_arrays(a[None], b), axis=-1))
    seen = cv2.remap(lab, (places - portrait.margin_px) / portrait.scale, None, cv2.INTER_LINEAR)[..., 1]
    assert seen.min() > lab[SIZE_PX // 2 : SIZE_PX // 2 + 20, SIZE_PX // 2 - 60 : SIZE_PX // 2 - 40, 1].mean()
