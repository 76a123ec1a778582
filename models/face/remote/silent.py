"""Silent pictures: which were asked for, and which of them are still right. Pure but for the futures."""

import asyncio
from collections.abc import Callable
from typing import Final

from models.errors import EngineFailed
from models.face.remote.windows import IDLE_AHEAD
from models.face.remote.wire import Idle, MalformedMessage
from models.interfaces import Picture

MOST_UNDRAWN: Final = 16
"""Silent pictures that a service takes on at once."""


class SilentPictures:
    """Asks by `send` for the positions that are wanted, and for those after them before they are."""

    def __init__(self, send: Callable[[Idle], None]) -> None:
        self._send = send
        self._requests = 0
        self._undrawn: dict[int, asyncio.Future[Picture]] = {}
        """By request."""
        self._ahead: dict[int, asyncio.Future[Picture]] = {}
        """By position, the one that was wanted last and later ones."""

    def wanted(self, position: int) -> "asyncio.Future[Picture]":
        """The picture at `position`; cancelled when the connection is lost. Raises EngineFailed when too many wait."""
        picture = self._ahead.pop(position, None)
        if picture is None or picture.cancelled():
            if len(self._undrawn) >= MOST_UNDRAWN:
                raise EngineFailed("The face is asked for more pictures at once than it can draw.")
            picture = self._ask(position)
        following = range(position + 1, position + 1 + IDLE_AHEAD)
        self._ahead = {place: other for place, other in self._ahead.items() if place in following}
        if not picture.done():
            self._ahead[position] = picture  # one that is here is drawn again for whoever wants it again
        for place in following:
            if place not in self._ahead and len(self._undrawn) < MOST_UNDRAWN // 2:
                self._ahead[place] = self._ask(place)
        return picture

    def outdated(self) -> None:
        """The mouth moves: pictures that were asked for before continue another one."""
        self._ahead.clear()

    def expect(self, request: int) -> None:
        """A picture for `request` is here. Raises MalformedMessage when it was not asked for."""
        if request not in self._undrawn:
            raise MalformedMessage("it sends a picture that was not asked for")

    def came(self, request: int, picture: Picture) -> None:
        wanted = self._undrawn.pop(request, None)
        if wanted is not None:
            wanted.set_result(picture)

    def failed(self, request: int, sentence: str) -> None:
        """Raises MalformedMessage."""
        self.expect(request)
        wanted = self._undrawn.pop(request)
        self._ahead = {place: other for place, other in self._ahead.items() if other is not wanted}
        wanted.set_exception(EngineFailed(sentence))
        wanted.exception()  # seen: nobody may wait for one that was asked for ahead

    def lost(self) -> None:
        """Nothing that was asked for will come."""
        for picture in self._undrawn.values():
            picture.cancel()
        self._undrawn.clear()
        self._ahead.clear()

    def _ask(self, position: int) -> "asyncio.Future[Picture]":
        self._requests = (self._requests + 1) % 2**32
        picture: asyncio.Future[Picture] = asyncio.get_running_loop().create_future()
        self._undrawn[self._requests] = picture
        self._send(Idle(self._requests, position))
        return picture
