"""The face that a service draws: in another process, or on another machine's GPU.

    speak   Speech… ──► Sound… ───────► the service's face ──► SpokenPicture… ──► Picture…
                        Ask: AHEAD pictures are on their way while one is waited for
    idle    position ─► Idle, and the next IDLE_AHEAD positions ─► IdlePicture ──► Picture

Whoever plays the pictures waits for no round trip, and yet nothing is drawn that was not asked for: when nobody takes
pictures the service stops after AHEAD of them. Without a service every call fails at once, until it is there again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

from models.errors import EngineFailed
from models.face.remote.address import Address, described
from models.face.remote.answer import Answer
from models.face.remote.link import Link
from models.face.remote.picture import expand
from models.face.remote.silent import SilentPictures
from models.face.remote.wire import (
    AnswerFailed,
    Cancel,
    Done,
    FromService,
    IdleFailed,
    IdlePicture,
    MalformedMessage,
    More,
    Speak,
    SpokenPicture,
)
from models.interfaces import Picture, Speech
from models.settings import EngineSettings, FaceSettings
from models.worker import Worker

logger = logging.getLogger(__name__)


def create(settings: EngineSettings) -> "RemoteFace":
    """The face of the service at `settings.face.url`; waits `start_wait_s` for one that still starts.

    Raises EngineUnavailable with what to do. Blocks: call it from a thread.
    """
    face = settings.face
    address = Address.of(face)
    if address.exposes_face:
        logger.warning("face_unencrypted")
    found = described(address, wait_s=face.start_wait_s, timeout_s=face.connect_timeout_s)
    logger.info("face_found", extra={"engine": found.engine})
    return RemoteFace(address, face, width_px=found.width_px, height_px=found.height_px)


class RemoteFace:
    """`Face` of pictures of this size. Make it anywhere, use it on one event loop, close it there."""

    def __init__(
        self,
        address: Address,
        settings: FaceSettings,
        *,
        width_px: int,
        height_px: int,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._width_px = width_px
        self._height_px = height_px
        self._patience_s = settings.picture_timeout_s
        self._link = Link(
            address, self, size_px=(width_px, height_px), connect_s=settings.connect_timeout_s, sleep=sleep
        )
        self._silent = SilentPictures(self._link.send)
        self._worker = Worker("face-remote")
        self._answers = 0
        self._answer: Answer | None = None
        self._unwanted_pictures = 0
        self._closed = False

    @property
    def width_px(self) -> int:
        return self._width_px

    @property
    def height_px(self) -> int:
        return self._height_px

    async def idle(self, position: int) -> Picture:
        """The silent face at `position`. Raises EngineFailed, at once while there is no service."""
        await self._ready()
        wanted = self._silent.wanted(position)
        await asyncio.wait((wanted,), timeout=self._patience_s)
        if not wanted.done():
            self._give_up()
        if wanted.cancelled():
            raise self._failure()
        return wanted.result()

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        """Yield a picture per 40 ms as they come; a last, partial beat counts whole. Ends when another answer begins.

        An error of `speech` is raised after the pictures of the whole beats before it.
        """
        await self._ready()
        answer = self._begin(position())
        feeding = asyncio.create_task(answer.feed(speech), name="speech for the remote face")
        try:
            while True:
                try:
                    picture = await answer.next(feeding, position, patience_s=self._patience_s)
                except TimeoutError:
                    self._give_up()
                    raise self._failure() from None
                if picture is None:
                    return
                self._silent.outdated()
                yield picture
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            self._leave(answer, position())

    def counters(self) -> Mapping[str, tuple[str, Callable[[], int]]]:
        """For the metrics."""
        return {
            "face_connections": ("Connections to the face's service so far", lambda: self._link.connections),
            "unwanted_pictures": ("Pictures that came after their answer was over", lambda: self._unwanted_pictures),
        }

    async def aclose(self) -> None:
        self._closed = True
        await self._link.aclose()
        await self._worker.aclose()

    async def received(self, message: FromService) -> None:
        """Take in what the service says. Raises MalformedMessage and MalformedPicture."""
        match message:
            case IdlePicture(request=request, data=data):
                self._silent.expect(request)
                self._silent.came(request, await self._expanded(data))
            case IdleFailed(request=request, sentence=sentence):
                self._silent.failed(request, sentence)
            case SpokenPicture() | More() | Done() | AnswerFailed():
                if self._answer is None or self._answer.number != message.answer:
                    self._unwanted_pictures += isinstance(message, SpokenPicture)
                else:
                    await self._answered(self._answer, message)
            case _:
                raise MalformedMessage("it says what nobody asked")

    def lost(self) -> None:
        """The connection is gone: nothing that was asked for will come."""
        self._silent.lost()
        if self._answer is not None:
            self._answer.end(None if self._closed else self._link.failure())

    async def _answered(self, answer: Answer, message: SpokenPicture | More | Done | AnswerFailed) -> None:
        match message:
            case SpokenPicture(index=index, data=data):
                if answer.expects(index):
                    answer.came(await self._expanded(data))
            case More():
                answer.more()
            case Done():
                answer.end()
            case AnswerFailed(sentence=sentence):
                answer.end(EngineFailed(sentence))

    def _begin(self, position: int) -> Answer:
        if self._answer is not None:
            self._answer.end()
            self._leave(self._answer, position)
        self._answers = (self._answers + 1) % 2**32
        self._answer = Answer(self._answers, self._link.send)
        self._link.send(Speak(self._answers))
        return self._answer

    def _leave(self, answer: Answer, position: int) -> None:
        """Nobody takes more of `answer`. What the service has drawn of it, and nobody has seen, is forgotten there."""
        if self._answer is answer:
            self._answer = None
            self._silent.outdated()
            self._link.send(Cancel(answer.number, position))
            answer.end()

    async def _expanded(self, data: bytes) -> Picture:
        width_px, height_px = self._width_px, self._height_px
        return Picture(await self._worker.call(lambda: expand(data, width_px=width_px, height_px=height_px)))

    async def _ready(self) -> None:
        if not self._closed:
            await self._link.ready()
        if self._closed:
            raise self._failure()

    def _give_up(self) -> None:
        self._link.drop(f"has drawn nothing for {self._patience_s:g} s; look at its log.")

    def _failure(self) -> EngineFailed:
        if self._closed:
            return EngineFailed("The face is closed; create a new one to go on drawing.")
        return self._link.failure()
