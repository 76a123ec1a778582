"""The real webcam, kept open so that it can take over within one frame."""

import logging
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from models.interfaces import Image
from peer_local.devices.camera import CAMERA_LABEL
from peer_local.errors import DeviceError
from peer_local.on_air.framing import from_bgr, size_of

logger = logging.getLogger(__name__)

STALE_S = 1.0
"""Older than this a picture is not the present any more."""
REOPEN_S = 3.0
WARM_UP_S = 2.0
"""For so long after the start black pictures are taken for a sensor that warms up, and later for a covered lens."""
_DARK_LUMA = 20.0
_CLOSE_TIMEOUT_S = 2.0
_FAILURES_IN_A_ROW = 5
"""Some drivers drop single pictures; after so many the webcam is opened anew."""
_LISTING = Path("/sys/class/video4linux")
_APIS = {"Windows": cv2.CAP_DSHOW, "Darwin": cv2.CAP_AVFOUNDATION, "Linux": cv2.CAP_V4L2}


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool: ...  # OpenCV's name

    def read(self) -> tuple[bool, Any]:
        """A picture, uint8 [height, width, 3] in BGR; may block for as long as the driver likes."""
        ...

    def release(self) -> None: ...


class Webcam:
    """A PictureInput that comes back by itself: unplugged, busy, slow or black it has no picture, and is tried again.

    Everything happens on a thread of its own. `read` of a driver that hangs cannot be ended: the thread is a daemon,
    `close` waits for it for a bounded time and leaves it behind if it must. Budget: 0.3 ms per picture of 1280x720
    besides the driver's decoding.
    """

    def __init__(
        self,
        open_capture: Callable[[], Capture],
        *,
        name: str = "webcam",
        now: Callable[[], float] = time.monotonic,
        reopen_s: float = REOPEN_S,
    ) -> None:
        self.name = name
        self._open_capture = open_capture
        self._now = now
        self._reopen_s = reopen_s
        self._stopping = threading.Event()
        self._latest: tuple[Image, float] | None = None
        self._lost = False
        self.losses = 0
        """Times that the webcam could not be opened or stopped giving pictures, counted once until it is back."""
        self._thread = threading.Thread(target=self._run, name="webcam", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether pictures come."""
        return self.latest() is not None

    def latest(self) -> Image | None:
        """The newest picture, I420 of the webcam's own size; None before the first and when none came for 1 s."""
        latest = self._latest
        if latest is None or self._now() - latest[1] > STALE_S:
            return None
        return latest[0]

    def close(self) -> None:
        """Let go of the webcam."""
        self._stopping.set()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            logger.warning("webcam_did_not_stop")
        self._latest = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            reason = self._watch()
            if self._stopping.is_set():
                return
            if not self._lost:
                self._lost = True
                self.losses += 1
                logger.warning("webcam_lost", extra={"webcam": self.name, "reason": reason})
            self._stopping.wait(self._reopen_s)

    def _watch(self) -> str:
        """Take pictures until there are no more; why they ended."""
        try:
            capture = self._open_capture()
        except Exception as error:
            return str(error) if isinstance(error, DeviceError) else type(error).__name__
        try:
            if not capture.isOpened():
                return "not found, or used by another program"
            return self._read(capture)
        except Exception as error:
            return type(error).__name__
        finally:
            capture.release()

    def _read(self, capture: Capture) -> str:
        opened_s = self._now()
        failures = 0
        while not self._stopping.is_set():
            good, bgr = capture.read()
            if not good or bgr is None:
                failures += 1
                if failures >= _FAILURES_IN_A_ROW:
                    return "no pictures"
                self._stopping.wait(0.02)
                continue
            failures = 0
            image = from_bgr(np.asarray(bgr, np.uint8))
            height_px = size_of(image)[1]
            now_s = self._now()
            if now_s - opened_s < WARM_UP_S and float(image[:height_px:8, ::8].mean()) < _DARK_LUMA:
                continue
            self._latest = (image, now_s)
            if self._lost:
                self._lost = False
                logger.info("webcam_back", extra={"webcam": self.name})
        return "closed"


def open_webcam(
    device: str | None, *, width_px: int, height_px: int, fps: int, avoid: str | None = None
) -> Webcam | None:
    """The webcam with this number, path or name (on Linux part of it, as the system lists it); None without `device`.

    It is asked for the given size and rate and may give others. `avoid` is the virtual camera, which must never show
    itself. A webcam that is away at the moment is no error. Raises DeviceError for a name on a system without names.
    """
    if device is None:
        return None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # or it writes into the screen on each attempt
    _require_findable(device)

    def open_capture() -> Capture:
        place = _place(device)
        if _is_virtual(place) or (avoid is not None and place in (avoid, _number_of(avoid))):
            raise DeviceError(f"{device} is the virtual camera itself: choose the real webcam.")
        return _open_capture(place, width_px, height_px, fps)

    return Webcam(open_capture, name=device)


def _open_capture(place: int | str, width_px: int, height_px: int, fps: int) -> Capture:
    system = platform.system()
    capture = cv2.VideoCapture(place, _APIS.get(system, cv2.CAP_ANY) if _is_device(place) else cv2.CAP_ANY)
    if _is_device(place):
        if system != "Darwin":  # uncompressed, most webcams give 10 pictures a second at this size
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width_px)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height_px)
        capture.set(cv2.CAP_PROP_FPS, fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    made: Capture = capture
    return made


def _is_device(place: int | str) -> bool:
    return isinstance(place, int) or place.startswith("/dev/")


def _number_of(path: str) -> int | None:
    number = path.removeprefix("/dev/video")
    return int(number) if number != path and number.isdigit() else None


def _is_virtual(place: int | str, listing: Path = _LISTING) -> bool:
    """Whether it is a v4l2loopback device: ours, or one with the driver's own label."""
    number = place if isinstance(place, int) else _number_of(place)
    name = _text(listing / f"video{number}" / "name")
    return name == CAMERA_LABEL or name.startswith("Dummy video device")


def _require_findable(device: str) -> None:
    is_name = not device.isdigit() and "/" not in device and "\\" not in device
    if is_name and platform.system() != "Linux":
        raise DeviceError(
            f"Webcams have no names for this program here: say its number instead of {device}, from 0 on."
        )


def _place(device: str, listing: Path = _LISTING) -> int | str:
    """What OpenCV opens. Raises DeviceError when no webcam has this name."""
    if device.isdigit():
        return int(device)
    if "/" in device or "\\" in device:
        return device
    found = [
        node.name
        for node in sorted(listing.glob("video*"), key=lambda node: (len(node.name), node.name))
        if device.casefold() in _text(node / "name").casefold()
    ]
    if not found:
        raise DeviceError(f"There is no webcam called {device}: plug it in or choose another.")
    return f"/dev/{found[0]}"


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
