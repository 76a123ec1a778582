"""The service of a face in a thread of its own, as `python -m models.face serve` runs it, and who uses it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Self

from aiohttp import web
from pydantic import SecretStr

from models.face.remote.face import RemoteFace, create
from models.face.remote.service import FaceService
from models.interfaces import Face, Image, Speech
from models.settings import EngineSettings, FaceSettings

PATIENCE_S = 30.0


class RunningService:
    """`with RunningService(make_face) as service:`; the face is made and used in the service's thread."""

    def __init__(self, make: Callable[[], Face], *, key: str | None = None, port: int = 0, **options: Any) -> None:
        self._make = make
        self._key = None if key is None else SecretStr(key)
        self._options = options
        self._ready = threading.Event()
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **changes: Any) -> FaceSettings:
        """What a performer needs to use it; it waits for no start, and long for pictures."""
        return FaceSettings.model_validate(
            {
                "engine": "remote",
                "url": self.url,
                "key": self._key,
                "start_wait_s": 10,
                "picture_timeout_s": PATIENCE_S,
                **changes,
            }
        )

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="face service", daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it in order."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(PATIENCE_S)

    def kill(self) -> None:
        """Reset every connection and listen no more."""
        self._loop.call_soon_threadsafe(self._abort)
        self.stop()

    def call(self, function: Callable[[], object]) -> None:
        """Run `function` in the service's thread."""
        self._loop.call_soon_threadsafe(function)

    def _abort(self) -> None:
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            face = self._make()
            stack.push_async_callback(face.aclose)
            service = FaceService(face, engine="test", key=self._key, **self._options)
            self._runner = web.AppRunner(service.application(), access_log=None, shutdown_timeout=0.1)
            stack.push_async_callback(self._runner.cleanup)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
            self.port = self._runner.addresses[0][1]
            self._ready.set()
            await self._stopped.wait()


@asynccontextmanager
async def performer(service: RunningService, **changes: object) -> AsyncIterator[RemoteFace]:
    face = await asyncio.to_thread(create, EngineSettings(face=service.settings(**changes)))
    try:
        yield face
    finally:
        await face.aclose()


async def pieces(*said: Speech) -> AsyncIterator[Speech]:
    for piece in said:
        yield piece


class Shown:
    """What a face has drawn: each picture is shown at the next position."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.pictures: list[Image] = []

    async def idle(self, face: Face, count: int) -> None:
        for _ in range(count):
            self.pictures.append((await face.idle(self.position)).i420)
            self.position += 1

    async def speak(self, face: Face, speech: AsyncIterator[Speech], *, most: int = 10_000) -> None:
        async with aclosing(face.speak(speech, lambda: self.position)) as stream:
            taken = 0
            async for picture in stream:
                self.pictures.append(picture.i420)
                self.position += 1
                taken += 1
                if taken == most:
                    return
