"""What a performer makes of a face's service that dies, hangs, or talks nonsense."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from models.errors import EngineFailed, EngineUnavailable
from models.face.counter import read_counter
from models.face.remote.address import DESCRIPTION_PATH, SOCKET_PATH, Address, described
from models.face.remote.face import RemoteFace, create
from models.face.remote.picture import compress
from models.face.remote.wire import (
    VERSION,
    Done,
    Hello,
    Idle,
    IdlePicture,
    Message,
    More,
    Refused,
    SpokenPicture,
    Welcome,
    dump,
    parse,
)
from models.interfaces import Speech
from models.settings import EngineSettings, FaceSettings
from tests.face_service import RunningService, Shown, performer, pieces
from tests.fish_server import FishServer
from tests.language_server import free_port
from tests.processes import stop
from tests.viewer import eventually
from tests.watched_face import SIZE_PX, WatchedFace, loud, seen

KEY = "open-sesame-to-tests"


async def endless() -> AsyncIterator[Speech]:
    while True:
        yield loud(*[0.5] * 10)


async def well_again(face: RemoteFace) -> None:
    """Return when the face draws again."""
    async with asyncio.timeout(20):
        while isinstance((await asyncio.gather(face.idle(500), return_exceptions=True))[0], EngineFailed):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("end", [RunningService.kill, RunningService.stop])
async def test_a_service_that_ends_amid_an_answer_is_one_sentence_and_its_successor_is_used(
    end: Callable[[RunningService], None],
) -> None:
    with RunningService(WatchedFace, key=KEY) as service:
        async with performer(service) as face:
            async with aclosing(face.speak(endless(), lambda: 0)) as stream:
                await anext(stream)
                await asyncio.to_thread(end, service)
                with pytest.raises(EngineFailed) as caught:
                    async for _ in stream:
                        pass
            message = str(caught.value)
            assert message.startswith(f"The face's service at 127.0.0.1:{service.port} ") and message.endswith(".")
            assert KEY not in message
            with pytest.raises(EngineFailed):
                await face.idle(0)
            with pytest.raises(EngineFailed):
                await anext(face.speak(endless(), lambda: 0))
            with RunningService(WatchedFace, key=KEY, port=service.port):
                await well_again(face)
                shown = Shown(10)
                await shown.speak(face, pieces(loud(0.5, 0.5)))
                assert [seen(picture) for picture in shown.pictures] == [(0.5, 10), (0.5, 11)]


@asynccontextmanager
async def program(port: int, *, key: str | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m models.face serve` with the counter."""
    environment = {**os.environ, "UNDERSTUDY_FACE__URL": f"http://127.0.0.1:{port}", "UNDERSTUDY_FACE__SIZE_PX": "128"}
    if key is not None:
        environment["UNDERSTUDY_FACE__KEY"] = key
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "models.face", "serve", "--engine", "counter"),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
        await stop(process, 10)


async def test_the_program_is_waited_for_draws_hangs_and_ends_when_it_is_told_to() -> None:
    port = free_port()
    settings = FaceSettings.model_validate(
        {"engine": "remote", "url": f"http://127.0.0.1:{port}", "key": KEY, "picture_timeout_s": 0.3}
    )
    async with program(port, key=KEY) as process:
        face = await asyncio.to_thread(create, EngineSettings(face=settings))
        try:
            assert read_counter((await face.idle(3)).i420) == (3, False)
            stream = face.speak(endless(), lambda: 7)
            assert read_counter((await anext(stream)).i420) == (7, True)
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(EngineFailed, match=r"has drawn nothing for 0\.3 s"):
                async for _ in stream:
                    pass
            with pytest.raises(EngineFailed):
                await face.idle(8)
            process.send_signal(signal.SIGCONT)
            await well_again(face)
        finally:
            await face.aclose()
        process.terminate()
        assert await process.wait() == 0


_SLOW = """
import sys, time
from models import registry
def made(*_):
    print("being made", flush=True)
    time.sleep(600)
registry.create = made
from models.face.__main__ import main
sys.exit(main(["serve", "--engine", "counter", "--port", "0"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_service_whose_face_is_still_being_made_ends_when_it_is_told_to(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SLOW, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"being made\n"
        process.send_signal(number)
        async with asyncio.timeout(10):
            await process.wait()
    finally:
        await stop(process, 0.0)


async def test_a_silent_picture_that_does_not_come_is_given_up() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        async with performer(service, picture_timeout_s=0.2) as face:
            await face.idle(0)
            watched.hold()
            with pytest.raises(EngineFailed, match="has drawn nothing"):
                await face.idle(70)
            watched.release()
            await well_again(face)


async def test_a_performer_whose_connection_broke_takes_its_own_place_again() -> None:
    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            await face.idle(0)
            face._link.drop("is dropped by this test.")
            with pytest.raises(EngineFailed, match=r"is dropped by this test\."):
                await face.idle(1)
            await well_again(face)


async def test_a_closed_face_draws_nothing_and_its_answer_just_ends() -> None:
    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            stream = face.speak(endless(), lambda: 0)
            await anext(stream)
            await face.aclose()
            assert len([picture async for picture in stream]) <= 3
            with pytest.raises(EngineFailed, match="closed"):
                await face.idle(0)


Script = Callable[[web.WebSocketResponse, Message], Awaitable[None]]


@asynccontextmanager
async def nonsense(
    script: Script | None = None, *, description: dict[str, Any] | None = None
) -> AsyncIterator[FaceSettings]:
    """A service that answers each message as `script` says."""

    async def describe(request: web.Request) -> web.Response:
        plain = {"version": VERSION, "width_px": SIZE_PX, "height_px": SIZE_PX, "engine": "false", "busy": False}
        return web.json_response(plain | (description or {}))

    async def sit(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        async for frame in socket:
            if script is not None:
                await script(socket, parse(frame.data))
        return socket

    application = web.Application()
    application.add_routes([web.get(DESCRIPTION_PATH, describe), web.get(SOCKET_PATH, sit)])
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield FaceSettings(engine="remote", url=f"http://127.0.0.1:{runner.addresses[0][1]}", start_wait_s=0)


BLACK = compress(WatchedFace.BLACK)
WELCOME = dump(Welcome(SIZE_PX, SIZE_PX))
NONSENSE: dict[str, dict[type[Message], bytes | str]] = {
    "bytes": {Hello: WELCOME, Idle: b"\xff\xfe"},
    "text": {Hello: WELCOME, Idle: "hello"},
    "nothing": {Hello: WELCOME, Idle: b""},
    "a performer's words": {Hello: WELCOME, Idle: dump(Idle(1, 1))},
    "no welcome": {Hello: dump(Done(1))},
    "two welcomes": {Hello: WELCOME, Idle: WELCOME},
    "no picture": {Hello: WELCOME, Idle: dump(IdlePicture(1, 0, b"\xff\xd8\xff\xe0 jpeg"))},
    "a picture of another size": {Hello: WELCOME, Idle: dump(IdlePicture(1, 0, compress(WatchedFace.BLACK[:, :32])))},
    "a picture that nobody wants": {Hello: WELCOME, Idle: dump(IdlePicture(77, 0, BLACK))},
}


@pytest.mark.parametrize("what", NONSENSE)
async def test_nonsense_ends_the_connection_with_one_sentence(what: str) -> None:
    said = NONSENSE[what]

    async def script(socket: web.WebSocketResponse, message: Message) -> None:
        answer = said.get(type(message))
        if isinstance(answer, bytes):
            await socket.send_bytes(answer)
        elif answer is not None:
            await socket.send_str(answer)

    async with nonsense(script) as settings:
        face = await asyncio.to_thread(create, EngineSettings(face=settings))
        try:
            with pytest.raises(EngineFailed, match=r"cannot be understood \(.+\); install the same release there\.$"):
                await face.idle(0)
        finally:
            await face.aclose()


@pytest.mark.parametrize(
    "answer",
    [SpokenPicture(1, 5, 0, BLACK), SpokenPicture(1, 0, 0, b"nothing"), More(1)],
    ids=lambda one: str(one)[:20],
)
async def test_nonsense_amid_an_answer_ends_it_with_one_sentence(answer: Message) -> None:
    async def script(socket: web.WebSocketResponse, message: Message) -> None:
        if isinstance(message, Hello):
            await socket.send_bytes(WELCOME)
        elif not isinstance(message, Idle):
            for _ in range(4):
                await socket.send_bytes(dump(answer))

    async with nonsense(script) as settings:
        face = await asyncio.to_thread(create, EngineSettings(face=settings))
        try:
            with pytest.raises(EngineFailed, match=r"cannot be understood"):
                await Shown().speak(face, endless())
        finally:
            await face.aclose()


async def test_what_a_service_says_when_it_refuses_reaches_the_user() -> None:
    async def script(socket: web.WebSocketResponse, message: Message) -> None:
        await socket.send_bytes(dump(Refused("The face is asleep.")))

    async with nonsense(script) as settings:
        face = await asyncio.to_thread(create, EngineSettings(face=settings))
        try:
            with pytest.raises(EngineFailed, match=r"says: The face is asleep\.$"):
                await face.idle(0)
        finally:
            await face.aclose()


async def test_a_service_that_never_says_welcome_is_given_up() -> None:
    async with nonsense() as settings:
        hasty = settings.model_copy(update={"connect_timeout_s": 0.2})
        face = await asyncio.to_thread(create, EngineSettings(face=hasty))
        try:
            with pytest.raises(EngineFailed, match="does not say what it draws"):
                await face.idle(0)
        finally:
            await face.aclose()


async def test_a_service_that_draws_another_size_now_wants_the_performer_to_start_anew() -> None:
    async def script(socket: web.WebSocketResponse, message: Message) -> None:
        await socket.send_bytes(dump(Welcome(640, 480)))

    async with nonsense(script) as settings:
        face = await asyncio.to_thread(create, EngineSettings(face=settings))
        try:
            with pytest.raises(EngineFailed, match=r"draws 640x480 px now and not 64x64; start the performer anew\.$"):
                await face.idle(0)
        finally:
            await face.aclose()


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ({"version": 2}, r"speaks version 2, not 1; install the same release there\."),
        ({"width_px": 63}, "no service of a face"),
        ({"width_px": 10**6}, "no service of a face"),
        ({"width_px": "wide"}, "no service of a face"),
    ],
)
async def test_a_start_names_what_is_wrong_with_a_service(description: dict[str, Any], sentence: str) -> None:
    async with nonsense(description=description) as settings:
        with pytest.raises(EngineUnavailable, match=sentence):
            await asyncio.to_thread(create, EngineSettings(face=settings))


async def test_a_wrong_key_and_another_kind_of_server_are_named_at_the_start() -> None:
    with RunningService(WatchedFace, key=KEY) as service:
        for key in (None, "another-key"):
            with pytest.raises(EngineUnavailable, match="refuses the key; set UNDERSTUDY_FACE__KEY"):
                await asyncio.to_thread(create, EngineSettings(face=service.settings(key=key)))
        async with performer(service) as face:
            await face.idle(0)
    with FishServer() as voice:
        settings = FaceSettings(engine="remote", url=voice.url, start_wait_s=0)
        with pytest.raises(EngineUnavailable, match=r"\(404\) is no service of a face; check UNDERSTUDY"):
            await asyncio.to_thread(create, EngineSettings(face=settings))


def test_a_service_that_still_starts_is_waited_for_as_long_as_the_settings_say() -> None:
    now_s, slept = 0.0, 0

    def sleep(seconds: float) -> None:
        nonlocal now_s, slept
        now_s += seconds
        slept += 1

    with pytest.raises(EngineUnavailable, match=r"does not answer; start it with `python -m models\.face serve`"):
        described(Address(f"http://127.0.0.1:{free_port()}"), wait_s=3, timeout_s=1, clock=lambda: now_s, sleep=sleep)
    assert 3 <= now_s < 4 and slept > 3


async def test_without_a_service_each_call_fails_at_once_and_the_search_goes_on_slowly() -> None:
    paused: list[float] = []
    forever = asyncio.Event()

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 8:
            await forever.wait()

    settings = FaceSettings(engine="remote", url=f"http://127.0.0.1:{free_port()}")
    face = RemoteFace(Address.of(settings), settings, width_px=64, height_px=64, sleep=sleep)
    try:
        with pytest.raises(EngineFailed, match=r"cannot be reached; start it with `python -m models\.face serve`\.$"):
            await face.idle(0)
        await eventually(lambda: len(paused) == 8)
        with pytest.raises(EngineFailed):
            await face.idle(1)
        assert paused == sorted(paused) and paused[-1] == 1.0
    finally:
        await face.aclose()
