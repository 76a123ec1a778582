import numpy as np
import pytest

from models.interfaces import Image
from peer_local.on_air.framing import Framer, black, darken, dissolve, fit, from_bgr, planes_of, size_of


def plain(width_px: int, height_px: int, y: int, u: int, v: int) -> Image:
    image = np.zeros((height_px * 3 // 2, width_px), np.uint8)
    for plane, value in zip(planes_of(image), (y, u, v), strict=True):
        plane[:] = value
    return image


def disc(width_px: int, height_px: int) -> Image:
    """A white disc in the middle of black, half as large as the shorter side."""
    image = black(width_px, height_px)
    rows, columns = np.mgrid[:height_px, :width_px]
    radius = min(width_px, height_px) / 4
    inside = np.hypot(rows - (height_px - 1) / 2, columns - (width_px - 1) / 2) < radius
    image[:height_px][inside] = 235
    return image


def extent(image: Image) -> tuple[int, int, float, float]:
    """Width and height of what is white, and its middle."""
    luma = planes_of(image)[0]
    rows, columns = np.nonzero(luma > 150)  # brighter than any bar
    return np.ptp(columns) + 1, np.ptp(rows) + 1, columns.mean(), rows.mean()


SIZES = [(640, 640), (512, 512), (640, 480), (1920, 1080), (720, 1280), (1280, 720), (322, 182), (1278, 720), (256, 16)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["letterbox", "crop"])
@pytest.mark.parametrize("camera", [(1280, 720), (640, 480), (160, 120), (722, 482)])
def test_every_picture_gets_the_cameras_size(size: tuple[int, int], how: str, camera: tuple[int, int]) -> None:
    framed = fit(plain(*size, 180, 90, 200), *camera, how)  # type: ignore[arg-type]
    assert size_of(framed) == camera
    y, u, v = (plane[plane.shape[0] // 2, plane.shape[1] // 2] for plane in planes_of(framed))
    assert (y, u, v) == (180, 90, 200)


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) > 100])
@pytest.mark.parametrize("how", ["letterbox", "crop"])
def test_a_disc_stays_round_and_in_the_middle(size: tuple[int, int], how: str) -> None:
    wide, high, x, y = extent(fit(disc(*size), 1280, 720, how))  # type: ignore[arg-type]
    scale = (min if how == "letterbox" else max)(1280 / size[0], 720 / size[1])
    diameter = min(size) / 2 * scale
    if diameter < 700:
        assert (wide, high) == (pytest.approx(diameter, abs=6), pytest.approx(diameter, abs=6))
    assert (x, y) == (pytest.approx(639.5, abs=2), pytest.approx(359.5, abs=2))


def test_a_letterbox_has_dark_bars_of_the_pictures_own_colour() -> None:
    framed = fit(plain(640, 640, 180, 90, 200), 1280, 720, "letterbox")
    y, u, v = planes_of(framed)
    assert (y[:, 280:1000] == 180).all() and (y[:, :280] == 106).all() and (y[:, 1000:] == 106).all()
    for chroma, value, paler in ((u, 90, 107), (v, 200, 168)):
        assert (chroma[:, 140:500] == value).all() and (chroma[:, :140] == paler).all()


def test_a_letterboxs_bars_show_no_detail_of_the_picture() -> None:
    image = plain(640, 640, 40, 128, 128)
    image[:640, ::8] = 220
    luma = planes_of(fit(image, 1280, 720, "letterbox"))[0]
    assert np.ptp(luma[:, :280].astype(int)) < 8 < np.ptp(luma[:, 280:1000].astype(int))


def test_a_crop_fills_the_camera() -> None:
    y, u, _ = planes_of(fit(plain(640, 640, 180, 90, 200), 1280, 720, "crop"))
    assert (y == 180).all() and (u == 90).all()


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = disc(1280, 720)
    assert fit(image, 1280, 720) is image


def test_dissolve_begins_and_ends_exactly() -> None:
    before, after = plain(64, 48, 50, 100, 150), plain(64, 48, 150, 200, 50)
    assert dissolve(before, after, 0) is before
    assert dissolve(before, after, 1) is after
    assert np.array_equal(dissolve(before, after, 0.5), plain(64, 48, 100, 150, 100))


def test_darkening_ends_in_black_and_keeps_the_hue() -> None:
    image = plain(64, 48, 216, 28, 228)
    assert np.array_equal(darken(image, 0), image)
    assert np.array_equal(darken(image, 1), black(64, 48))
    assert np.array_equal(darken(image, 0.5), plain(64, 48, 116, 78, 178))


def test_a_webcams_odd_size_loses_its_last_row_and_column() -> None:
    assert size_of(from_bgr(np.zeros((481, 641, 3), np.uint8))) == (640, 480)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((720, 1280, 3), np.uint8),
        np.zeros((720, 1280), np.uint8)[:719],
        np.zeros((720, 1281), np.uint8),
        np.zeros((0, 0), np.uint8),
        np.zeros((72, 64), np.float32),
    ],
)
def test_what_is_no_i420_is_refused(image: Image) -> None:
    with pytest.raises(ValueError):
        fit(image, 1280, 720)


def test_a_picture_that_is_shown_again_is_not_scaled_again() -> None:
    framer = Framer(128, 96)
    image = disc(64, 64)
    first = framer.fit(image)
    assert framer.fit(image) is first
    assert framer.fit(image.copy()) is not first
