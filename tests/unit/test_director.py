"""The director's decisions tick by tick, in simulated time."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from models.interfaces import Image
from peer_local.interfaces import Who
from peer_local.on_air.director import Director, Scenes, Showing
from peer_local.on_air.framing import black, size_of
from peer_local.settings import StandIn

TICK_S = 1 / 30
SIZE = (64, 48)
CARD, WEBCAM, LIVE, DARKER = 60, 100, 180, 40


def grey(luma: int, size: tuple[int, int] = SIZE) -> Image:
    image = black(*size)
    image[: size[1]] = luma
    return image


def luma(image: Image) -> float:
    assert size_of(image) == SIZE
    return float(image[:48, 32].mean())


@dataclass
class World:
    """25 live pictures a second while they flow; every tick is noted."""

    stand_in: Sequence[StandIn] = ("webcam", "card", "freeze")
    who: Who = "double"
    flowing: bool = True
    connected: bool = True
    webcam_on: bool = False
    live_size: tuple[int, int] = SIZE
    live_error: Exception | None = None
    at_s: float = 0.0
    seen: list[float] = field(default_factory=list)
    showings: list[Showing] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._number = -1
        self._picture: Image | None = None
        self._webcam = grey(WEBCAM)
        scenes = Scenes(
            live=self._live,
            connected=lambda: self.connected,
            webcam=lambda: self._webcam if self.webcam_on else None,
            card=grey(CARD),
            freeze=lambda image, at_s: np.maximum(image, DARKER) - DARKER,
        )
        self.director = Director(scenes, width_px=64, height_px=48, stand_in=self.stand_in, who=self.who)

    def _live(self, at_s: float) -> Image | None:
        if self.live_error is not None:
            raise self.live_error
        number = int(at_s * 25 + 1e-6)
        if self.flowing and number != self._number:
            self._number, self._picture = number, grey(LIVE, self.live_size)
        return self._picture

    def run(self, seconds: float) -> "World":
        for _ in range(round(seconds / TICK_S)):
            self.seen.append(luma(self.director.picture(self.at_s)))
            self.showings.append(self.director.showing)
            self.at_s += TICK_S
        return self

    def since(self, ticks: int) -> list[float]:
        return self.seen[ticks:]


def steps(seen: Sequence[float]) -> float:
    return float(np.abs(np.diff(seen)).max())


def test_before_the_first_picture_a_stand_in_is_shown_at_once() -> None:
    world = World(flowing=False).run(0.5)
    assert world.seen == [CARD] * 15
    assert set(world.showings) == {"card"}


def test_the_double_appears_by_a_dissolve() -> None:
    world = World().run(1)
    assert world.seen[0] == CARD and world.seen[-1] == LIVE
    assert steps(world.seen) < 30, "no jump"
    assert world.director.losses == 0


def test_a_short_stall_holds_the_last_picture() -> None:
    world = World().run(1)
    world.flowing = False
    world.run(0.36)
    world.flowing = True
    world.run(1)
    assert set(world.seen[30:]) == {LIVE}
    assert world.director.losses == 0


def test_a_long_stall_dissolves_to_the_stand_in_and_returns_without_a_jump() -> None:
    world = World().run(1)
    world.flowing = False
    world.run(2)
    lost = world.showings.index("card", 30) - 30
    assert 11 <= lost <= 14, "after 400 ms"
    assert world.seen[-1] == CARD
    world.flowing = True
    world.run(1)
    back = world.showings.index("double", 90) - 90
    assert back <= 8, "200 ms of steady pictures"
    assert world.seen[-1] == LIVE
    assert steps(world.seen) < 30
    assert world.director.losses == 1


def test_a_lost_link_is_acted_on_at_once() -> None:
    world = World().run(1)
    world.connected = False
    world.run(1)
    assert world.showings[30] == "card" and world.seen[-1] == CARD
    assert steps(world.seen) < 30


def test_a_trickle_of_pictures_does_not_flicker() -> None:
    world = World().run(1)
    for _ in range(10):
        world.flowing = False
        world.run(0.7)
        world.flowing = True
        world.run(TICK_S)
    assert world.director.losses == 1
    assert set(world.showings[60:]) == {"card"}


@pytest.mark.parametrize(
    ("stand_in", "webcam_on", "expected"),
    [
        (("webcam", "card", "freeze"), True, "webcam"),
        (("webcam", "card", "freeze"), False, "card"),
        (("webcam", "freeze", "card"), False, "freeze"),
        (("freeze", "webcam"), True, "freeze"),
        (("card", "webcam"), True, "card"),
        (("webcam",), False, "card"),
        ((), True, "card"),
    ],
)
def test_the_first_stand_in_that_can_be_shown(
    stand_in: tuple[StandIn, ...], webcam_on: bool, expected: Showing
) -> None:
    world = World(stand_in=stand_in, webcam_on=webcam_on).run(1)
    world.connected = False
    world.run(1)
    assert world.showings[-1] == expected
    assert world.seen[-1] == {"webcam": WEBCAM, "card": CARD, "freeze": LIVE - DARKER}[expected]
    assert steps(world.seen) < 30


def test_nothing_to_freeze_before_the_first_picture() -> None:
    assert World(stand_in=("freeze", "card"), flowing=False).run(0.1).showings[-1] == "card"


def test_a_webcam_that_is_unplugged_as_stand_in_gives_way_to_the_card_and_comes_back() -> None:
    world = World(flowing=False, webcam_on=True).run(0.5)
    world.webcam_on = False
    world.run(0.5)
    assert world.showings[-1] == "card"
    world.webcam_on = True
    world.run(0.5)
    assert world.showings[-1] == "webcam"
    assert steps(world.seen) < 30


@pytest.mark.parametrize(
    ("first", "then", "webcam_on", "expected", "value"),
    [
        ("double", "self", True, "webcam", WEBCAM),
        ("double", "self", False, "card", CARD),
        ("double", "nobody", True, "black", 16),
        ("self", "double", True, "double", LIVE),
        ("self", "nobody", True, "black", 16),
        ("nobody", "double", False, "double", LIVE),
        ("nobody", "self", True, "webcam", WEBCAM),
    ],
)
def test_a_takeover_cuts_within_one_picture(
    first: Who, then: Who, webcam_on: bool, expected: Showing, value: float
) -> None:
    world = World(who=first, webcam_on=webcam_on).run(1)
    world.director.switch(then)
    world.run(0.5)
    assert set(world.seen[30:]) == {value}
    assert set(world.showings[30:]) == {expected}
    assert world.director.losses == 0


def test_the_kill_switch_cuts_in_the_middle_of_a_dissolve() -> None:
    world = World().run(1)
    world.connected = False
    world.run(0.1)
    world.director.switch("nobody")
    world.run(0.2)
    assert set(world.seen[33:]) == {16.0}


def test_a_change_in_the_middle_of_a_dissolve_goes_on_from_what_is_seen() -> None:
    world = World().run(1)
    world.connected = False
    world.run(0.13)
    world.webcam_on = True
    world.run(0.13)
    world.connected = True
    world.run(1)
    assert steps(world.seen) < 30
    assert world.seen[-1] == LIVE


def test_takeover_without_webcam_waits_on_the_card() -> None:
    world = World(who="self").run(0.5)
    assert set(world.seen) == {CARD}
    world.webcam_on = True
    world.run(0.5)
    assert world.seen[-1] == WEBCAM


def test_pictures_of_another_size_after_a_reconnect_fit_too() -> None:
    world = World().run(1)
    world.live_size = (128, 96)
    world.run(1)
    world.live_size = (34, 62)
    world.run(1)
    assert set(world.seen[30:]) == {LIVE}


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyError("gone")])
def test_an_error_of_a_source_is_counted_and_the_camera_goes_on(error: Exception) -> None:
    world = World().run(1)
    world.live_error = error
    world.run(1)
    assert world.showings[-1] == "card"
    assert world.director.failures == 30
    world.live_error = None
    world.run(1)
    assert world.showings[-1] == "double"


def test_a_picture_that_is_none_is_no_picture() -> None:
    world = World().run(1)
    world.live_size = (0, 0)
    world.run(1)
    assert world.showings[-1] == "card" and world.director.failures > 0


def test_nothing_that_was_shown_is_ever_changed() -> None:
    world = World()
    kept: list[tuple[Image, Image]] = []
    for number in range(120):
        world.connected = number % 40 < 30
        image = world.director.picture(world.at_s)
        kept.append((image, image.copy()))
        world.at_s += TICK_S
    assert all(np.array_equal(image, copy) for image, copy in kept)
