"""Runs Fish Speech's server until it ends or we are told to, and says when it is ready to be used.

It listens once its model is compiled and has said a first sentence. With a voice chosen, a first clause is spoken in it
before we call it ready, so that the recording is encoded and no caller waits for that.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

from models.errors import EngineFailed, EngineUnavailable
from models.settings import FishSpeechSettings
from models.stopping import stop_signals
from models.tts.fish_api import FishSpeechApi, listening

WARM_UP_TEXT: Final = "Let me see, one moment please."
_START_S: Final = 600.0
"""Loading takes a minute, compiling another; slow disks more."""
_FIRST_CLAUSE_S: Final = 120.0
_PROBE_S: Final = 0.5
_STOP_S: Final = 10.0


async def serve(
    arguments: list[str],
    environment: dict[str, str],
    settings: FishSpeechSettings,
    *,
    say: Callable[[str], None],
    start_s: float = _START_S,
) -> int:
    """Run the server; returns its exit code. Raises EngineUnavailable when it does not start listening."""
    if listening(settings.url):
        raise EngineUnavailable(f"Something listens at {settings.url} already; stop it or choose another port.")
    directory = settings.server.dir.expanduser()
    _make(directory / "references")
    async with _process(arguments, environment, directory) as process, stop_signals() as stopped:
        ended = asyncio.create_task(process.wait(), name="fish_server_ended")
        starting = asyncio.create_task(_ready(settings, start_s), name="fish_server_starting")
        told = asyncio.create_task(stopped.wait(), name="fish_server_told")
        tasks = {ended, starting, told}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                say(starting.result())
                await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            return 0 if told.done() else ended.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _ready(settings: FishSpeechSettings, start_s: float) -> str:
    """Wait until the server listens and has spoken; returns what to tell. Raises EngineUnavailable."""
    try:
        async with asyncio.timeout(start_s):
            while True:
                if await asyncio.to_thread(listening, settings.url):
                    break
                await asyncio.sleep(_PROBE_S)
    except TimeoutError:
        raise EngineUnavailable(f"The voice server did not start within {start_s:.0f} s; its log says why.") from None
    api = FishSpeechApi(settings.model_copy(update={"first_sound_timeout_s": _FIRST_CLAUSE_S}))
    try:
        if settings.reference is None or settings.reference not in await api.references():
            return f"The voice server is ready at {settings.url}; add a voice: `python -m models.tts references add`."
        async with aclosing(api.speech(WARM_UP_TEXT)) as parts:
            async for _ in parts:
                pass
    except EngineFailed as error:
        raise EngineUnavailable(f"The voice server started and does not speak: {error}") from None
    finally:
        await api.aclose()
    return f"The voice server is ready at {settings.url} and speaks as {settings.reference}."


@asynccontextmanager
async def _process(
    arguments: list[str], environment: dict[str, str], directory: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The running server; at the end it is asked to stop, then made to."""
    try:
        process = await asyncio.create_subprocess_exec(*arguments, env=environment, cwd=directory)
    except OSError as error:
        raise EngineUnavailable(f"Fish Speech's server cannot be started: {error.strerror}.") from None
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineUnavailable(f"{directory} cannot be made: {error.strerror}.") from None
