"""The virtual camera: what call applications list beside the real ones."""

import logging
import platform
from typing import Any

from models.interfaces import Image
from peer_local.errors import DeviceError
from peer_local.settings import CameraSettings

logger = logging.getLogger(__name__)

CAMERA_LABEL = "Understudy Camera"
MODPROBE = f'sudo modprobe v4l2loopback devices=1 exclusive_caps=1 card_label="{CAMERA_LABEL}"'
_HOW_TO_HAVE_ONE = {
    "Linux": f"There is no virtual camera: install v4l2loopback-dkms, run `{MODPROBE}` and start again.",
    "Windows": "There is no virtual camera: install OBS Studio, press Start Virtual Camera in it once, close it and "
    "start again.",
    "Darwin": "There is no virtual camera: install OBS Studio, press Start Virtual Camera in it once, allow its "
    "extension in System Settings, close it and start again.",
}


class VirtualCamera:
    """A PictureOutput over pyvirtualcam, I420 at one size and rate; paced by whoever calls `show`.

    Budget of `show` at 1280x720: a copy of 1.4 MB into the driver, under 1 ms.
    """

    def __init__(
        self, width_px: int, height_px: int, fps: int, *, device: str | None = None, backend: str | None = None
    ) -> None:
        """Open `device`, or the first there is; `backend` is one of pyvirtualcam's, any by default.

        Raises DeviceError.
        """
        pyvirtualcam = _pyvirtualcam()
        if backend is not None and backend not in pyvirtualcam.camera.BACKENDS:
            raise DeviceError(f"There is no virtual camera of the kind {backend} on this system: choose another kind.")
        try:
            self._camera = pyvirtualcam.Camera(
                width_px, height_px, fps, fmt=pyvirtualcam.PixelFormat.I420, device=device, backend=backend
            )
        except Exception as error:
            raise DeviceError(_sentence(str(error), device, f"{width_px}x{height_px}")) from error
        self._name = str(self._camera.device)
        self._closed = False

    @property
    def name(self) -> str:
        """The device's name, as call applications list it, or its path."""
        return self._name

    def show(self, image: Image, at_s: float) -> None:
        """Show `image` now. Raises DeviceError when the device is gone."""
        if self._closed:
            raise DeviceError(f"The virtual camera {self._name} is closed: start again.")
        try:
            self._camera.send(image)
        except Exception as error:
            raise DeviceError(f"The virtual camera {self._name} is gone ({error}): start its driver again.") from error

    def close(self) -> None:
        """Give the device back; closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._camera.close()


def open_camera(settings: CameraSettings, *, backend: str | None = None) -> VirtualCamera | None:
    """The camera that the settings ask for; None when they ask for none, or leave it open and there is none.

    Raises DeviceError when a virtual camera is asked for and cannot be had.
    """
    if settings.kind == "none":
        return None
    try:
        return VirtualCamera(
            settings.width_px, settings.height_px, settings.fps, device=settings.device, backend=backend
        )
    except DeviceError as error:
        if settings.kind == "virtual":
            raise
        logger.warning("no_virtual_camera", extra={"reason": str(error)})
        return None


def _pyvirtualcam() -> Any:
    try:
        import pyvirtualcam
        import pyvirtualcam.camera
    except (ImportError, OSError, ValueError) as error:  # ValueError: a macOS release that it cannot read
        raise DeviceError(
            f"pyvirtualcam does not work on this system ({error}): set UNDERSTUDY_CAMERA__KIND=none."
        ) from error
    return pyvirtualcam


def _sentence(reason: str, device: str | None, size: str) -> str:
    """What to do about pyvirtualcam's `reason`, which has a line per backend that was tried."""
    system = platform.system()
    reason = "; ".join(line.strip().rstrip(".") for line in reason.splitlines() if line.strip())
    lower = reason.lower()
    if any(word in lower for word in ("busy", "in use", "already")):
        return f"Another program feeds the virtual camera: end it and start again ({reason})."
    if any(word in lower for word in ("permission", "denied")):
        return f"The virtual camera may not be used: add yourself to the group video ({reason})."
    if any(word in lower for word in ("format", "size", "resolution", "width", "unsupported", "configured")):
        return f"The virtual camera refuses {size}: load it anew or choose another size ({reason})."
    if device is not None:
        return f"There is no virtual camera {device}: choose another with UNDERSTUDY_CAMERA__DEVICE ({reason})."
    return _HOW_TO_HAVE_ONE.get(system, _HOW_TO_HAVE_ONE["Linux"])
