"""One run: loads the engines that listen, opens the devices, shows the screen, and puts everything away again."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import cv2

from models import registry
from models.errors import ModelError
from peer_local.air import Devices
from peer_local.app import App, Hearing
from peer_local.devices.camera import VirtualCamera, open_camera
from peer_local.devices.choose import Sound
from peer_local.devices.paced import PacedOutput
from peer_local.devices.recorder import Recorder
from peer_local.devices.webcam import open_webcam
from peer_local.doctor.network import NO_TOKEN, read_token
from peer_local.errors import LocalError
from peer_local.interfaces import OpenSoundInput
from peer_local.listening.echo import echo_canceller
from peer_local.screen.keyboard import open_keyboard
from peer_local.screen.log_tail import LogTail
from peer_local.screen.plain import PlainLog
from peer_local.screen.screen import Screen, possible
from peer_local.settings import LocalSettings, Settings
from signaling import logs
from signaling.client import SignalingClient
from signaling.errors import BadToken, SignalingError

logger = logging.getLogger("peer_local")

FORESEEN = (LocalError, ModelError, SignalingError, ValueError, OSError)
"""What a person can do something about; each says in one sentence what."""
STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, a supervisor, and the terminal's window that closes: SIGHUP, on Windows SIGBREAK."""
HEARTBEAT_S = 4.0
"""A laptop changes its network: a dead socket to the service must be noticed within half of this again."""


def run(settings: Settings) -> int:
    """Run until told to stop; the exit status is 0 then, and 1 with one sentence when it cannot start or go on."""
    local = settings.local
    if local.token is None:
        return _refuse(NO_TOKEN, 2)
    token = local.token.get_secret_value()
    if problem := read_token(token, local.room, 0.0)[0]:  # whether it has expired, the service's clock decides
        return _refuse(_no_good(problem, local), 2)
    on_screen = local.view == "screen" or (local.view == "auto" and possible())
    log = LogTail() if on_screen else sys.stderr
    logs.setup(local.log_level, stream=log)
    # OpenMP threads that spin at a barrier take the cores from sound and pictures; read once, at loading.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    cv2.setNumThreads(1)  # pictures are small: more threads cost more than they save
    try:
        return asyncio.run(_run(settings, token, on_screen=on_screen))
    except (KeyboardInterrupt, asyncio.CancelledError):  # told to end before it was there
        return 0
    except FORESEEN as error:
        return _refuse(_sentence(error, token, local), 1)
    except BaseExceptionGroup as group:
        foreseen, rest = group.split(FORESEEN)
        if rest is not None or foreseen is None:
            raise
        return _refuse(_sentence(_first(foreseen), token, local), 1)
    finally:
        if isinstance(log, LogTail):
            log.release(sys.stderr)


async def _run(settings: Settings, token: str, *, on_screen: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    _when_told(task.cancel)
    async with AsyncExitStack() as stack:
        sound = Sound(settings.microphone, settings.ears)
        stack.push_async_callback(asyncio.to_thread, sound.close)
        open_ears = sound.ears()
        hearing = await load_hearing(settings, open_ears, stack) if open_ears is not None else None
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        local = settings.local
        wire = SignalingClient(local.signaling_url, local.room, token, pin=local.signaling_pin, heartbeat_s=HEARTBEAT_S)
        app = App(settings, wire=wire, devices=devices_of(settings, sound), tasks=tasks, hearing=hearing)
        _when_told(app.quit)
        keyboard = open_keyboard(key_by_key=on_screen)
        shown = Screen if on_screen else PlainLog
        showing = tasks.create_task(shown(app.view, app, app.quit, keyboard=keyboard).run(), name="screen")
        try:
            await app.run()
        finally:
            showing.cancel()
            await asyncio.wait((showing,))
    if app.replaced:
        return _refuse("Another operator has taken this room over; only one can be there.", 1)
    return 0


def devices_of(settings: Settings, sound: Sound) -> Devices:
    """How the devices that the settings ask for are opened."""
    camera = settings.camera
    size = (camera.width_px, camera.height_px, camera.fps)
    return Devices(
        sound_output=sound.output(),
        paced_output=PacedOutput,
        camera=lambda: open_camera(camera),
        reopen_camera=lambda: VirtualCamera(*size, device=camera.device),
        webcam=lambda avoid: open_webcam(
            camera.webcam, width_px=camera.width_px, height_px=camera.height_px, fps=camera.fps, avoid=avoid
        ),
        real_microphone=sound.real_microphone(),
        recorder=lambda file: Recorder(Path(file), *size),
    )


async def load_hearing(settings: Settings, open_input: OpenSoundInput, stack: AsyncExitStack) -> Hearing:
    """Load what listens, all at once. Raises ModelError."""

    async def make(kind: Any) -> Any:
        started_s = time.monotonic()
        engine = await asyncio.to_thread(lambda: registry.create(kind, settings))
        logger.info("engine_ready", extra={"kind": kind, "took_s": round(time.monotonic() - started_s, 1)})
        return engine

    vad, turn, asr = await asyncio.gather(make("vad"), make("turn"), make("asr"))
    stack.push_async_callback(turn.aclose)
    stack.push_async_callback(asr.aclose)
    canceller = echo_canceller(settings.ears.echo_cancellation, expected=settings.ears.source != "call")
    return Hearing(vad, turn, asr, settings.asr.language, open_input, canceller)


def _when_told(end: Callable[[], object]) -> None:
    """Call `end` on the loop at each of STOPS; what nohup has switched off stays so."""
    loop = asyncio.get_running_loop()
    for stop in STOPS:
        if signal.getsignal(stop) is signal.SIG_IGN:
            continue
        if sys.platform == "win32":
            signal.signal(stop, lambda *_: loop.call_soon_threadsafe(end))
        else:
            loop.add_signal_handler(stop, end)


def _refuse(reason: object, status: int) -> int:
    with suppress(OSError):  # the terminal is gone
        print(f"peer_local: {reason}", file=sys.stderr, flush=True)
    return status


def _sentence(error: BaseException, token: str, local: LocalSettings) -> object:
    """What a person reads of an error; that of a refused token is written for a viewer with a link."""
    if not isinstance(error, BadToken):
        return error
    return _no_good(read_token(token, local.room, time.time())[0] or "the service refuses it", local)


def _no_good(problem: str, local: LocalSettings) -> str:
    if local.connection is not None:
        remedy = "take the connection string that the deployment printed last, or make another one."
        return f"The token in UNDERSTUDY_LOCAL__CONNECTION is no good, {problem}; {remedy}"
    remedy = "make one with `python -m signaling token --role operator` on the machine of the service."
    return f"The token in UNDERSTUDY_LOCAL__TOKEN is no good, {problem}; {remedy}"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
