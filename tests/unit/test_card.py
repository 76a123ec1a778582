from itertools import pairwise

import numpy as np
import pytest

from models.interfaces import Image
from peer_local.on_air import card
from peer_local.on_air.card import FreezeSign, draw_card
from peer_local.on_air.framing import black, planes_of, size_of


def contrast(image: Image) -> float:
    return float(np.ptp(planes_of(image)[0].astype(int)))


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (160, 120), (1080, 1920)[::-1], (320, 1080)])
def test_the_card_fills_the_camera(size: tuple[int, int]) -> None:
    image = draw_card(*size, "Back in a moment", name="Ada Lovelace")
    assert size_of(image) == size
    assert 30 < planes_of(image)[0].mean() < 110, "calm: neither black nor bright"


@pytest.mark.parametrize("text", ["Back in a moment", "Повернуся за хвилинку", "x" * 60, "two words " * 6])
def test_the_text_lies_within_the_picture_in_the_middle(text: str) -> None:
    plain, written = draw_card(1280, 720, ""), draw_card(1280, 720, text)
    rows, columns = np.nonzero(np.abs(planes_of(plain)[0].astype(int) - planes_of(written)[0]) > 60)
    if not len(rows):
        pytest.skip("no font on this machine")
    assert columns.min() > 60 and columns.max() < 1220
    assert rows.min() > 180 and rows.max() < 540
    assert (columns.min() + columns.max()) / 2 == pytest.approx(640, abs=16)


def test_the_card_is_the_same_each_time() -> None:
    assert np.array_equal(draw_card(320, 180, "Back"), draw_card(320, 180, "Back"))


def test_without_fonts_there_is_still_a_card_and_a_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "_font", lambda text, size: None)
    assert contrast(draw_card(640, 360, "Back in a moment")) > 60
    sign = FreezeSign(640, 360)
    assert sign.on(draw_card(640, 360, ""), 0.0).shape == (540, 640)


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (160, 120)])
def test_the_sign_darkens_a_little_marks_one_place_and_pulses_softly(size: tuple[int, int]) -> None:
    picture = black(*size)
    picture[: size[1]] = 180
    kept = picture.copy()
    sign = FreezeSign(*size)
    shown = [sign.on(picture, number / 30) for number in range(60)]
    assert np.array_equal(picture, kept), "the picture itself is not changed"
    assert all(size_of(image) == size for image in shown)
    corner = planes_of(shown[0])[0][4, 4]
    assert 120 < corner < 170
    marked = planes_of(shown[0])[0] != corner
    assert 0.001 < marked.mean() < 0.05, "discreet"
    changes = [np.abs(one.astype(int) - other) for one, other in pairwise(shown)]
    assert 0 < max(change.max() for change in changes) < 40, "soft"
    assert np.array_equal(shown[0], sign.on(picture, 2.0)), "every two seconds"
