"""One answer at the performer's end: the sound that goes to the service, and the pictures that come back."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from models.errors import EngineFailed
from models.face.remote.windows import Window
from models.face.remote.wire import End, FromPerformer, MalformedMessage, Sound
from models.interfaces import Picture, Speech

LOOK_AGAIN_S: Final = 0.02
"""Half a beat: how often the position is looked at while a picture is waited for, because the sound may come late."""


class Answer:
    """What was said about answer `number` so far; `send` says more."""

    def __init__(self, number: int, send: Callable[[FromPerformer], None]) -> None:
        self.number = number
        self.over = False
        self._send = send
        self._window = Window(number)
        self._pictures: deque[Picture] = deque()  # bounded by the window
        self._error: EngineFailed | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Semaphore(1)
        self._waiting_pieces = 0
        """Pieces of sound that the face of the service has not taken yet."""

    async def feed(self, speech: AsyncIterator[Speech]) -> None:
        """Send `speech`, one piece ahead of what the face has taken. Raises what `speech` raises, and EngineFailed."""
        try:
            while True:
                await self._room.acquire()
                piece = await anext(speech, None)
                if piece is None:
                    self._send(End(self.number))
                    self._window.ended = True
                    return
                self._waiting_pieces += 1
                try:
                    self._send(Sound(self.number, piece))
                except ValueError as error:
                    raise EngineFailed(f"The face's service cannot be sent this: {error}.") from None
                self._window.sent_samples += len(piece.samples)
        finally:
            self._changed.set()

    async def next(
        self, feeding: "asyncio.Task[None]", position: Callable[[], int], *, patience_s: float
    ) -> Picture | None:
        """The next picture, None after the last. Raises EngineFailed, what `feeding` raised, and TimeoutError when the
        service has the sound for a picture and does not send it for `patience_s`."""
        now_s = asyncio.get_running_loop().time
        due_s: float | None = None
        while True:
            if not self.over and (ask := self._window.ask(position())) is not None:
                self._send(ask)
            if self._pictures:
                self._window.given += 1
                return self._pictures.popleft()
            if self._error is not None:
                raise self._error
            if self.over:
                return None
            if feeding.done() and self._window.given >= self._window.whole_beats:
                feeding.result()
            due_s = (due_s or now_s()) if self._window.due else None
            if due_s is not None and now_s() - due_s > patience_s:
                raise TimeoutError
            self._changed.clear()
            await _set(self._changed, LOOK_AGAIN_S)

    def expects(self, index: int) -> bool:
        """Whether picture `index` is on its way. Raises MalformedMessage when it was not asked for."""
        if not self.over and not self._window.expects(index):
            raise MalformedMessage("it sends a picture that was not asked for")
        return not self.over

    def came(self, picture: Picture) -> None:
        if not self.over:
            self._window.came += 1
            self._pictures.append(picture)
            self._changed.set()

    def more(self) -> None:
        """The face took a piece of sound. Raises MalformedMessage."""
        if not self._waiting_pieces:
            raise MalformedMessage("it asks for more sound than there is")
        self._waiting_pieces -= 1
        self._room.release()

    def end(self, error: EngineFailed | None = None) -> None:
        """Nothing more comes from the service."""
        if not self.over:
            self.over = True
            self._error = error
            self._changed.set()


async def _set(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
