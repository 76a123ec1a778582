"""What the service of a face lets performers do, and what it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import numpy as np
import pytest

from models.errors import EngineUnavailable
from models.face.remote.address import DESCRIPTION_PATH, HEALTH_PATH, SOCKET_PATH
from models.face.remote.place import Visitor
from models.face.remote.serve import listening_address, require_key, service_settings
from models.face.remote.silent import MOST_UNDRAWN
from models.face.remote.sitting import FaceStuck, Sitting
from models.face.remote.windows import AHEAD
from models.face.remote.wire import (
    VERSION,
    Ask,
    Cancel,
    End,
    FromService,
    Hello,
    Idle,
    IdlePicture,
    Message,
    More,
    Refused,
    Sound,
    Speak,
    SpokenPicture,
    Welcome,
    dump,
    parse,
)
from models.interfaces import Picture, Speech
from models.settings import FaceSettings
from models.worker import Worker
from tests.face_service import RunningService, performer
from tests.viewer import eventually
from tests.watched_face import WatchedFace, loud, seen

ME, SOMEBODY = bytes(16), bytes(range(16))
KEY = "open-sesame-to-tests"
HELLO = Hello(VERSION, ME)


class Socket:
    """A performer that says whatever a test wants."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.raw = socket

    async def say(self, *messages: Message | bytes) -> None:
        for message in messages:
            await self.raw.send_bytes(message if isinstance(message, bytes) else dump(message))

    async def hear(self) -> Message | None:
        """None at the end of the connection."""
        frame = await self.raw.receive(timeout=10)
        return parse(frame.data) if frame.type is aiohttp.WSMsgType.BINARY else None

    async def refused(self) -> str:
        """The sentence that ends the connection."""
        while not isinstance(message := await self.hear(), Refused):
            assert message is not None
        assert await self.hear() is None
        return message.sentence


@asynccontextmanager
async def connected(service: RunningService, **options: Any) -> AsyncIterator[Socket]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(service.url + SOCKET_PATH, timeout=aiohttp.ClientWSTimeout(ws_close=1), **options) as socket,
    ):
        yield Socket(socket)


async def is_usable(service: RunningService) -> None:
    async with performer(service) as face:
        assert seen((await face.idle(5)).i420) == (0.0, 5)


MISTAKES: dict[str, list[Message | bytes]] = {
    "no hello": [Idle(1, 1)],
    "garbage": [b"\x00\x01\x02"],
    "garbage after hello": [HELLO, b""],
    "two hellos": [HELLO, HELLO],
    "a service's words": [HELLO, Welcome(64, 64)],
    "sound that was not asked for": [HELLO, Speak(1), *[Sound(1, loud(0.5))] * 9],
    "sound after the end": [HELLO, Speak(1), End(1), Sound(1, loud(0.5))],
    "too many pictures at once": [HELLO, Speak(1), Ask(1, 0, AHEAD + 2, 0)],
    "pictures backwards": [HELLO, Speak(1), Ask(1, 3, 4, 0)],
    "sound that is none": [HELLO, Speak(1), Sound(1, Speech(np.full(10, np.nan, np.float32)))],
    "too many silent pictures": [HELLO, *(Idle(number, number) for number in range(MOST_UNDRAWN + 2))],
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_performer_that_cannot_be_understood_is_told_so_and_the_next_one_is_served(mistake: str) -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        watched.hold()
        async with connected(service) as socket:
            await socket.say(*MISTAKES[mistake])
            sentence = await asyncio.gather(socket.refused(), asyncio.sleep(0))
            watched.release()
        assert sentence[0].startswith("The performer cannot be understood: ") and sentence[0].endswith(".")
        await is_usable(service)


async def test_a_performer_of_another_version_is_told_which_one_is_spoken_here() -> None:
    with RunningService(WatchedFace) as service:
        async with connected(service) as socket:
            await socket.say(Hello(9, ME))
            assert "speaks version 1 and the performer 9" in await socket.refused()
        await is_usable(service)


async def test_one_that_says_nothing_and_one_that_writes_text_are_sent_away() -> None:
    with RunningService(WatchedFace, hello_s=0.1) as service:
        async with connected(service) as socket:
            assert "no hello came" in await socket.refused()
        async with connected(service) as socket:
            await socket.raw.send_str("hello")
            assert "text" in await socket.refused()
        await is_usable(service)


async def test_a_frame_that_is_far_too_long_is_not_even_read() -> None:
    with RunningService(WatchedFace) as service:
        async with connected(service) as socket:
            await socket.say(HELLO)
            assert isinstance(await socket.hear(), Welcome)
            with suppress(ConnectionError):
                await socket.say(bytes(16 << 20))
                assert await socket.hear() is None
        await is_usable(service)


async def test_one_that_does_not_take_its_pictures_is_cut_off() -> None:
    class Full:
        async def send_bytes(self, data: bytes) -> None:
            await asyncio.sleep(3_600)

    class Transport:
        aborted = 0

        def abort(self) -> None:
            self.aborted += 1

    transport = Transport()
    visitor = Visitor(Full(), transport, 0.01)  # type: ignore[arg-type]
    await visitor.send(Welcome(64, 64))
    assert transport.aborted == 1


async def test_what_is_said_about_an_answer_that_is_over_is_no_mistake() -> None:
    with RunningService(WatchedFace) as service:
        async with connected(service) as socket:
            await socket.say(HELLO, Speak(1), Cancel(1, 0), Ask(1, 0, 1, 0), Sound(1, loud(0.5)), End(1), Cancel(1, 0))
            await socket.say(Idle(7, 7))
            assert isinstance(await socket.hear(), Welcome)
            picture = await socket.hear()
            assert isinstance(picture, IdlePicture) and (picture.request, picture.position) == (7, 7)


async def test_a_picture_tells_which_beat_it_was_drawn_for() -> None:
    with RunningService(WatchedFace) as service:
        async with connected(service) as socket:
            await socket.say(HELLO, Speak(1), Sound(1, loud(0.1, 0.2, 0.3)), Ask(1, 0, 2, 50))
            assert isinstance(await socket.hear(), Welcome)
            assert await socket.hear() == More(1)
            drawn = [await socket.hear() for _ in range(2)]
            await socket.say(Ask(1, 2, 4, 80))
            drawn.append(await socket.hear())
            told = [(one.index, one.position) for one in drawn if isinstance(one, SpokenPicture)]
            assert told == [(0, 50), (1, 51), (2, 80)]


async def test_the_same_performer_takes_its_place_again_and_another_does_not() -> None:
    with RunningService(WatchedFace) as service:
        async with connected(service) as first, connected(service) as second, connected(service) as other:
            await first.say(HELLO)
            assert isinstance(await first.hear(), Welcome)
            await other.say(Hello(VERSION, SOMEBODY))
            assert "another performer" in await other.refused()
            await second.say(HELLO)
            assert isinstance(await second.hear(), Welcome)
            assert await first.hear() is None


async def test_neither_strangers_nor_web_pages_see_the_face_but_everybody_learns_that_it_is_well() -> None:
    with RunningService(WatchedFace, key=KEY) as service:
        bearer = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession() as session:

            async def status(path: str, **headers: str) -> int:
                async with session.get(service.url + path, headers=headers) as response:
                    return response.status

            assert await status(HEALTH_PATH) == 200
            for path in (DESCRIPTION_PATH, SOCKET_PATH):
                assert await status(path) == 401
                assert await status(path, Authorization="Bearer another") == 401
                assert await status(path, Authorization="Bearer ключ") == 401
                assert await status(path, Origin="http://127.0.0.1:8080", **bearer) == 403
            assert await status(DESCRIPTION_PATH, **bearer) == 200
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(service.url + SOCKET_PATH)


async def test_a_face_that_does_not_stop_is_unwell_and_says_so() -> None:
    class Stubborn(WatchedFace):
        async def speak(self, *arguments: Any) -> Any:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                await left.wait()
            yield

    async def nobody(message: FromService) -> None:
        return

    left = asyncio.Event()
    face, worker = Stubborn(), Worker("face-compress")
    with pytest.raises(FaceStuck, match="start its service anew"):
        async with Sitting(face, nobody, worker, stop_s=0.05) as sitting:
            await sitting.take(Speak(1))
            await sitting.take(Ask(1, 0, 1, 0))
            await asyncio.sleep(0)
            await sitting.take(Cancel(1, 0))
    left.set()
    for closing in (face, worker):
        await closing.aclose()


async def test_a_service_whose_face_hangs_is_unwell() -> None:
    now_s = 0.0
    drawing, go = asyncio.Event(), asyncio.Event()

    class Hanging(WatchedFace):
        async def idle(self, position: int) -> Picture:
            drawing.set()
            await go.wait()
            return await super().idle(position)

    sent: list[FromService] = []

    async def send(message: FromService) -> None:
        sent.append(message)
        drawing.clear()

    face, worker = Hanging(), Worker("face-compress")
    async with Sitting(face, send, worker, clock=lambda: now_s) as sitting:
        assert sitting.stuck_for_s() == 0
        await sitting.take(Idle(1, 1))
        await drawing.wait()
        now_s = 30.0
        assert sitting.stuck_for_s() == 30
        go.set()
        await eventually(lambda: bool(sent))
        assert sitting.stuck_for_s() == 0
    for closing in (face, worker):
        await closing.aclose()


async def test_a_service_is_well_again_when_whoever_it_hung_for_has_left() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched, stuck_s=0.0) as service:
        async with aiohttp.ClientSession() as session:

            async def health() -> int:
                async with session.get(service.url + HEALTH_PATH) as response:
                    return response.status

            async def becomes(status: int) -> None:
                async with asyncio.timeout(10):
                    while await health() != status:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)

            watched.hold()
            async with connected(service) as socket:
                await socket.say(HELLO, Idle(1, 1))
                await becomes(503)
                await socket.say(b"")
                watched.release()
                assert await socket.refused()
            await becomes(200)


def test_a_face_that_others_can_reach_needs_a_key_that_they_cannot_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = FaceSettings.model_validate({"key": KEY}).key
    require_key(None, "127.0.0.1")
    require_key(secret, "0.0.0.0")
    for key in (None, FaceSettings.model_validate({"key": "short"}).key):
        with pytest.raises(EngineUnavailable, match=r"16 characters or more in UNDERSTUDY_FACE__KEY"):
            require_key(key, "0.0.0.0")


def test_it_listens_where_the_performer_looks_for_it() -> None:
    there = FaceSettings(url="http://192.168.1.20:9000/")
    assert listening_address(FaceSettings(), None, None) == ("127.0.0.1", 8003)
    assert listening_address(there, None, None) == ("192.168.1.20", 9000)
    assert listening_address(there, "0.0.0.0", 8003) == ("0.0.0.0", 8003)
    with pytest.raises(EngineUnavailable, match="--host and --port"):
        listening_address(FaceSettings(url="https://gpu.example"), None, None)
    with pytest.raises(EngineUnavailable, match="up to 65535"):
        listening_address(FaceSettings(url="http://127.0.0.1:99999"), None, None)


def test_what_a_performer_calls_remote_is_drawn_by_the_best_face_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_FACE__ENGINE", "remote")
    monkeypatch.setenv("UNDERSTUDY_FACE__SIZE_PX", "256")
    assert (service_settings().face.engine, service_settings().face.size_px) == ("auto", 256)
    assert service_settings("puppet").face.engine == "puppet"
    monkeypatch.setenv("UNDERSTUDY_FACE__FALLBACKS", "host")
    assert service_settings().face.fallbacks == ()
    monkeypatch.setenv("UNDERSTUDY_FACE__ENGINE", "host")
    assert service_settings().face.engine == "host"
    monkeypatch.setenv("UNDERSTUDY_FACE__SIZE_PX", "7")
    with pytest.raises(EngineUnavailable, match=r"^UNDERSTUDY_FACE__SIZE_PX: "):
        service_settings()
