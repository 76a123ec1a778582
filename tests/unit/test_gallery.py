import numpy as np
import pytest

from models.interfaces import Image
from peer_local.playback.gallery import CAPACITY, Gallery

BEGIN_S = 1_800_000_000.0


def picture(number: int) -> Image:
    return np.full((3, 2), number, np.uint8)


def number_at(gallery: Gallery, after_s: float) -> int | None:
    image = gallery.pick(BEGIN_S + after_s)
    return None if image is None else int(image[0, 0])


def hang(gallery: Gallery, *numbers: int) -> None:
    for number in numbers:
        gallery.put(picture(number), BEGIN_S + number * 0.04)


def test_the_picture_is_the_one_that_belongs_to_what_is_heard() -> None:
    gallery = Gallery()
    assert number_at(gallery, 0.0) is None
    hang(gallery, 1, 2, 3)
    heard_s = (0.0, 0.021, 0.05, 0.061, 0.1, 0.3)
    assert [number_at(gallery, after_s) for after_s in heard_s] == [None, 1, 1, 2, 3, 3]
    figures = gallery.figures()
    assert (figures.shown, figures.skipped, figures.late, figures.waiting) == (3, 0, 0, 0)
    assert gallery.last_media_s == BEGIN_S + 0.12


def test_it_says_since_when_the_same_picture_stands() -> None:
    now = [50.0]
    gallery = Gallery(now=lambda: now[0])
    assert gallery.last_new_s is None
    hang(gallery, 1, 2)
    number_at(gallery, 0.04)
    now[0] = 50.2
    number_at(gallery, 0.041)
    assert gallery.last_new_s == 50.0
    number_at(gallery, 0.08)
    assert gallery.last_new_s == 50.2


def test_pictures_may_come_in_any_order_but_never_after_a_later_one_was_shown() -> None:
    gallery = Gallery()
    hang(gallery, 3, 1, 2)
    assert number_at(gallery, 0.08) == 2
    hang(gallery, 1, 2)
    assert number_at(gallery, 0.08) == 2
    assert number_at(gallery, 0.12) == 3
    figures = gallery.figures()
    assert (figures.late, figures.skipped, figures.shown) == (2, 1, 2)


def test_it_keeps_a_bounded_number_of_the_newest() -> None:
    gallery = Gallery()
    hang(gallery, *range(CAPACITY + 10))
    assert gallery.figures().waiting == CAPACITY
    assert gallery.figures().dropped == 10
    assert number_at(gallery, 0.36) is None
    assert number_at(gallery, 0.4) == 10
    assert gallery.figures().waiting_s == pytest.approx((CAPACITY - 1) * 0.04, abs=1e-5)


@pytest.mark.parametrize("moved_s", [-1_000.0, 1_000.0])
def test_a_clock_that_was_set_takes_the_pictures_along(moved_s: float) -> None:
    gallery = Gallery()
    hang(gallery, 1, 2, 3)
    assert number_at(gallery, 0.08) == 2
    for number in (4, 5):
        gallery.put(picture(number), BEGIN_S + moved_s + number * 0.04)
    assert number_at(gallery, moved_s + 0.16) == 4
    assert number_at(gallery, moved_s + 0.2) == 5
    assert gallery.figures().waiting == 0


def test_a_new_connection_begins_with_an_empty_wall() -> None:
    gallery = Gallery()
    hang(gallery, 1, 2)
    number_at(gallery, 0.04)
    gallery.clear()
    assert number_at(gallery, 0.08) is None
    hang(gallery, 1)
    assert number_at(gallery, 0.04) == 1
