"""One performer at the service of a face: what it asks for is drawn, compressed and sent, and nothing else.

    reader ──► silent positions (bounded) ──► face.idle ───┐
           ──► the answer: sound, what is asked for ──► face.speak ──► compress ──► the performer

The reader takes messages in their order: after a Cancel the next message waits until the face has stopped, one step at
most, so that what is drawn then continues what was seen.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from models.errors import EngineFailed
from models.face.remote.picture import compress
from models.face.remote.silent import MOST_UNDRAWN
from models.face.remote.windows import Asked
from models.face.remote.wire import (
    AnswerFailed,
    Ask,
    Cancel,
    Done,
    End,
    FromService,
    Idle,
    IdleFailed,
    IdlePicture,
    MalformedMessage,
    Message,
    More,
    Sound,
    Speak,
    SpokenPicture,
)
from models.interfaces import Face, Picture, Speech
from models.worker import Worker

logger = logging.getLogger(__name__)

STOP_S: Final = 5.0
"""Within which a face stops; its steps take 80 ms at most."""
_STUCK: Final = "The face does not stop drawing; start its service anew."
_UNFORESEEN: Final = "The face's service could not draw; see its log."

Send = Callable[[FromService], Awaitable[None]]


class FaceStuck(Exception):
    """The face does not stop, and draws for nobody any more."""


class Sitting:
    """`take` each message of the performer, in order, within `async with`."""

    def __init__(
        self,
        face: Face,
        send: Send,
        worker: Worker,
        *,
        stop_s: float = STOP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._face = face
        self._send = send
        self._worker = worker
        self._stop_s = stop_s
        self._clock = clock
        self._since_s: float | None = None
        self._silent: asyncio.Queue[Idle] = asyncio.Queue(MOST_UNDRAWN)
        self._answer: _Answer | None = None
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Sitting":
        self._drawing = asyncio.create_task(self._draw_silent(), name="silent pictures")
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._drawing is not None
        tasks = {self._drawing} if self._answer is None else {self._drawing, self._answer.task}
        for task in tasks:
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=self._stop_s)
        if left:
            raise FaceStuck(_STUCK)

    def stuck_for_s(self) -> float:
        """For how long a silent picture has been drawn that takes 20 ms."""
        return 0.0 if self._since_s is None else self._clock() - self._since_s

    async def take(self, message: Message) -> None:
        """Raises MalformedMessage for what makes no sense, and FaceStuck."""
        match message:
            case Idle():
                try:
                    self._silent.put_nowait(message)
                except asyncio.QueueFull:
                    raise MalformedMessage(f"more than {MOST_UNDRAWN} silent pictures are asked for at once") from None
            case Speak(answer=number):
                await self._stop(None)
                self._answer = _Answer(number, self._face, self._send, self._compressed)
            case Cancel(answer=number, position=position):
                if self._answer is not None and self._answer.number == number:
                    await self._stop(position)
            case Sound(answer=number) | End(answer=number) | Ask(answer=number):
                # What was said about an answer that has ended meanwhile is no mistake.
                if self._answer is not None and self._answer.number == number:
                    self._answer.take(message)
            case _:
                raise MalformedMessage("a performer does not say this at this point")

    async def _stop(self, position: int | None) -> None:
        """End the answer that is drawn; what comes next is shown at `position`."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if position is not None:
            answer.asked.over(position)
        answer.task.cancel()
        done, _ = await asyncio.wait({answer.task}, timeout=self._stop_s)
        if not done:
            raise FaceStuck(_STUCK)

    async def _draw_silent(self) -> None:
        while True:
            wanted = await self._silent.get()
            self._since_s = self._clock()
            try:
                picture = await self._face.idle(wanted.position)
                data = await self._compressed(picture)
            except EngineFailed as error:
                await self._send(IdleFailed(wanted.request, str(error)))
            except Exception:
                logger.exception("idle_picture_failed")
                await self._send(IdleFailed(wanted.request, _UNFORESEEN))
            else:
                await self._send(IdlePicture(wanted.request, wanted.position, data))
            self._since_s = None

    async def _compressed(self, picture: Picture) -> bytes:
        return await self._worker.call(lambda: compress(picture.i420))


class _Answer:
    """Draws one answer as far as it is asked for, in a task of its own."""

    def __init__(self, number: int, face: Face, send: Send, compressed: Callable[[Picture], Awaitable[bytes]]) -> None:
        self.number = number
        self.asked = Asked()
        self._face = face
        self._send = send
        self._compressed = compressed
        self._changed = asyncio.Event()
        self._sound: asyncio.Queue[Speech | None] = asyncio.Queue(2)
        self._ended = False
        self._drawn_for = 0
        self.task = asyncio.create_task(self._draw(), name="spoken pictures")

    def take(self, message: Sound | End | Ask) -> None:
        """Raises MalformedMessage."""
        if isinstance(message, Ask):
            if not self.asked.update(message):
                raise MalformedMessage("what is asked for of an answer goes back or too far ahead")
            self._changed.set()
            return
        if self._ended or (isinstance(message, Sound) and self._sound.qsize() > 0):
            raise MalformedMessage("more sound comes than was asked for")
        self._ended = isinstance(message, End)
        self._sound.put_nowait(message.speech if isinstance(message, Sound) else None)

    async def _draw(self) -> None:
        try:
            await self._draw_all()
        except EngineFailed as error:
            await self._send(AnswerFailed(self.number, str(error)))
        except Exception:
            logger.exception("spoken_picture_failed")
            await self._send(AnswerFailed(self.number, _UNFORESEEN))

    async def _draw_all(self) -> None:
        async with (
            aclosing(self._speech()) as speech,
            aclosing(self._face.speak(speech, self._position)) as pictures,
        ):
            while True:
                while not self.asked.wanted:
                    self._changed.clear()
                    await self._changed.wait()
                self._position()
                picture = await anext(pictures, None)
                if picture is None:
                    break
                index, drawn_for = self.asked.made, self._drawn_for
                self.asked.made += 1
                data = await self._compressed(picture)
                await self._send(SpokenPicture(self.number, index, drawn_for, data))
        await self._send(Done(self.number))

    def _position(self) -> int:
        self._drawn_for = self.asked.position()
        return self._drawn_for

    async def _speech(self) -> AsyncGenerator[Speech, None]:
        while (piece := await self._sound.get()) is not None:
            await self._send(More(self.number))
            yield piece
