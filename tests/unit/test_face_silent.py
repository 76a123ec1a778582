"""Which silent pictures a performer asks a face's service for."""

import asyncio

import numpy as np
import pytest

from models.errors import EngineFailed
from models.face.remote.silent import MOST_UNDRAWN, SilentPictures
from models.face.remote.windows import IDLE_AHEAD
from models.face.remote.wire import Idle, MalformedMessage
from models.interfaces import Picture

PICTURE = Picture(np.zeros((3, 2), np.uint8))


class Asked:
    def __init__(self) -> None:
        self.requests: list[Idle] = []
        self.silent = SilentPictures(self.requests.append)

    @property
    def positions(self) -> list[int]:
        return [request.position for request in self.requests]

    def draw(self, count: int = 1_000) -> None:
        for request in self.requests[:count]:
            self.silent.expect(request.request)
            self.silent.came(request.request, PICTURE)
        del self.requests[:count]


async def test_a_picture_and_the_ones_after_it_are_asked_for_once() -> None:
    asked = Asked()
    asked.silent.wanted(5)
    assert asked.positions == [5, 6, 7]
    asked.silent.wanted(5)
    assert asked.positions == [5, 6, 7]
    asked.draw()
    assert asked.silent.wanted(6).done()
    assert asked.positions == [8]


async def test_a_picture_that_was_shown_is_drawn_again_for_whoever_wants_it_again() -> None:
    asked = Asked()
    asked.silent.wanted(5)
    asked.draw()
    assert asked.silent.wanted(6).done()
    asked.draw()
    assert not asked.silent.wanted(6).done()
    assert asked.positions == [6]


async def test_a_jump_forgets_what_was_ahead() -> None:
    asked = Asked()
    asked.silent.wanted(5)
    asked.draw()
    asked.silent.wanted(90)
    assert asked.positions == [90, 91, 92]
    asked.draw()
    asked.silent.wanted(6)
    assert asked.positions == [6, 7, 8]


async def test_what_was_drawn_before_the_mouth_moved_is_drawn_anew() -> None:
    asked = Asked()
    asked.silent.wanted(5)
    asked.draw()
    asked.silent.outdated()
    assert not asked.silent.wanted(6).done()
    assert asked.positions == [6, 7, 8]


async def test_whoever_waits_is_told_when_the_connection_is_lost_and_asks_anew_afterwards() -> None:
    asked = Asked()
    waiting = asked.silent.wanted(5)
    asked.silent.lost()
    assert waiting.cancelled()
    asked.requests.clear()
    assert not asked.silent.wanted(6).cancelled()
    assert asked.positions == [6, 7, 8]


async def test_a_connection_that_is_lost_while_it_is_asked_leaves_nothing_behind() -> None:
    asked: list[Idle] = []

    def send(request: Idle) -> None:
        asked.append(request)
        if len(asked) == 2:
            silent.lost()

    silent = SilentPictures(send)
    assert silent.wanted(5).cancelled()
    assert not silent.wanted(6).cancelled()


async def test_a_failure_reaches_who_waits_and_nobody_else() -> None:
    asked = Asked()
    waiting = asked.silent.wanted(5)
    for request in asked.requests:
        asked.silent.failed(request.request, "The face has the hiccups.")
    with pytest.raises(EngineFailed, match="hiccups"):
        await waiting
    asked.requests.clear()
    asked.silent.wanted(6)
    assert asked.positions == [6, 7, 8]


async def test_only_what_was_asked_for_may_come() -> None:
    asked = Asked()
    with pytest.raises(MalformedMessage):
        asked.silent.expect(1)
    with pytest.raises(MalformedMessage):
        asked.silent.failed(1, "no")
    asked.silent.came(1, PICTURE)  # of a connection that was lost while it was unpacked


async def test_no_more_is_asked_for_than_a_service_takes_on() -> None:
    asked = Asked()
    pictures: list[asyncio.Future[Picture]] = []
    with pytest.raises(EngineFailed, match="at once"):
        for position in range(0, 10_000, 100):
            pictures.append(asked.silent.wanted(position))
    assert len(asked.requests) == MOST_UNDRAWN
    assert len(pictures) > MOST_UNDRAWN // (1 + IDLE_AHEAD)
    assert not any(picture.done() for picture in pictures)
