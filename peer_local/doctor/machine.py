"""The doctor's one seam: everything that is asked of the machine and the network.

Methods without `async` may block for seconds and are called on threads. DeviceError and OSError are answers.
"""

import ctypes
import os
import platform as platform_module
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from peer_local.devices.sound_devices import SoundDevice
from peer_local.settings import CameraSettings
from signaling.protocol import IceServer


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the signaling service over HTTP."""

    status: int
    body: Mapping[str, Any] | None
    date_s: float | None
    """Its clock in the middle of the exchange, Unix time; known to half a second."""
    round_trip_s: float


class Machine(Protocol):
    @property
    def platform(self) -> str:
        """linux, win32 or darwin."""
        ...

    @property
    def python(self) -> tuple[int, int, int]: ...

    def now_s(self) -> float:
        """Unix time."""
        ...

    def cores(self) -> int: ...

    def has_avx2(self) -> bool | None:
        """None on processors of another family, which have something like it."""
        ...

    def memory_bytes(self) -> int | None: ...

    def cuda_devices(self) -> int: ...

    def weights_problem(self, model: str, directory: Path) -> str | None:
        """None when they are whole."""
        ...

    def fetch_weights(self, models: list[str], directory: Path) -> None:
        """Raises WeightsError."""
        ...

    def open_camera(self, settings: CameraSettings) -> str:
        """Open the virtual camera, close it, and return its name. Raises DeviceError."""
        ...

    def webcams(self) -> list[str] | None:
        """Names of the real webcams; None where they cannot be listed without opening them."""
        ...

    def webcam_size_px(self, device: str, patience_s: float) -> tuple[int, int] | None:
        """Width and height of the webcam's pictures; None when none came. Raises DeviceError."""
        ...

    def sound_devices(self) -> list[SoundDevice]:
        """Raises DeviceError."""
        ...

    def default_sink(self) -> str:
        """PulseAudio's name of the default output, "" without one. Raises DeviceError."""
        ...

    def cable_exists(self) -> bool:
        """Whether the virtual microphone is on PulseAudio or PipeWire. Raises DeviceError."""
        ...

    def create_cable(self) -> None:
        """Raises DeviceError."""
        ...

    def can_record_loopback(self) -> str | None:
        """Windows: None when the system's own sound can be recorded, else why not."""
        ...

    def is_file(self, path: Path) -> bool: ...

    async def get(self, url: str, pin: str | None = None) -> Reply:
        """Raises OSError or TimeoutError, WrongCertificate where `pin` or an authority does not vouch for it."""
        ...

    async def ice_servers(self, url: str, room: str, token: str, pin: str | None = None) -> tuple[IceServer, ...]:
        """Join the room, leave it, and return what the welcome names. Raises SignalingError, TimeoutError."""
        ...

    async def stun(self, host: str, port: int) -> float:
        """Round trip of a STUN binding request over UDP, in s. Raises OSError, TimeoutError."""
        ...

    async def connects(self, host: str, port: int) -> float:
        """Seconds that a TCP connection takes. Raises OSError, TimeoutError."""
        ...


class ThisMachine:
    """The Machine that the program runs on. Heavy libraries are loaded when they are asked about."""

    platform = sys.platform
    python = sys.version_info[:3]

    def now_s(self) -> float:
        return time.time()

    def cores(self) -> int:
        if sys.platform == "linux":
            return len(os.sched_getaffinity(0))
        else:
            return os.cpu_count() or 1

    def has_avx2(self) -> bool | None:
        if platform_module.machine().lower() not in ("x86_64", "amd64"):
            return None
        if sys.platform == "win32":
            return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(40))  # PF_AVX2_INSTRUCTIONS_AVAILABLE
        if sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.leaf7_features"]
            return "AVX2" in subprocess.run(command, capture_output=True, text=True, timeout=2).stdout
        return " avx2 " in f"{Path('/proc/cpuinfo').read_text().partition('flags')[2].partition(chr(10))[0]} "

    def memory_bytes(self) -> int | None:
        if sys.platform == "win32":
            return _windows_memory_bytes()
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def cuda_devices(self) -> int:
        import ctranslate2

        return int(ctranslate2.get_cuda_device_count())

    def weights_problem(self, model: str, directory: Path) -> str | None:
        from models.errors import WeightsError
        from models.weights import locate

        try:
            locate(model, directory)
        except WeightsError as error:
            return str(error)
        return None

    def fetch_weights(self, models: list[str], directory: Path) -> None:
        from models.weights import fetch

        fetch(models, directory)

    def open_camera(self, settings: CameraSettings) -> str:
        from peer_local.devices.camera import VirtualCamera

        camera = VirtualCamera(settings.width_px, settings.height_px, settings.fps, device=settings.device)
        try:
            return camera.name
        finally:
            camera.close()

    def webcams(self) -> list[str] | None:
        if sys.platform != "linux":
            return None
        found = Path("/sys/class/video4linux").glob("video*/name")  # those of v4l2loopback are virtual
        return [name.read_text().strip() for name in found if "/devices/virtual/" not in str(name.resolve())]

    def webcam_size_px(self, device: str, patience_s: float) -> tuple[int, int] | None:
        from peer_local.devices.webcam import open_webcam

        webcam = open_webcam(device, width_px=640, height_px=480, fps=30)
        if webcam is None:
            return None
        try:
            until_s = time.monotonic() + patience_s
            while (image := webcam.latest()) is None:
                if time.monotonic() > until_s:
                    return None
                time.sleep(0.05)
            return image.shape[1], image.shape[0] * 2 // 3
        finally:
            webcam.close()

    def sound_devices(self) -> list[SoundDevice]:
        from peer_local.devices.choose import list_devices

        return list_devices()

    def default_sink(self) -> str:
        from peer_local.devices.pulse import PulseServer

        return PulseServer().default_sink()

    def cable_exists(self) -> bool:
        from peer_local.devices.pulse import PulseServer, VirtualMicrophone

        return VirtualMicrophone(PulseServer()).exists()

    def create_cable(self) -> None:
        from peer_local.devices.pulse import PulseServer, VirtualMicrophone

        VirtualMicrophone(PulseServer()).create()

    def can_record_loopback(self) -> str | None:
        from peer_local.devices.wasapi import load_soundcard

        try:
            load_soundcard()
        except Exception as error:
            return str(error)
        return None

    def is_file(self, path: Path) -> bool:
        return path.is_file()

    async def get(self, url: str, pin: str | None = None) -> Reply:
        from peer_local.doctor import wire

        return await wire.get(url, pin)

    async def ice_servers(self, url: str, room: str, token: str, pin: str | None = None) -> tuple[IceServer, ...]:
        from peer_local.doctor import wire

        return await wire.ice_servers(url, room, token, pin)

    async def stun(self, host: str, port: int) -> float:
        from peer_local.doctor import stun

        return await stun.round_trip_s(host, port)

    async def connects(self, host: str, port: int) -> float:
        from peer_local.doctor import wire

        return await wire.connect_s(host, port)


def _windows_memory_bytes() -> int | None:
    """What GlobalMemoryStatusEx calls ullTotalPhys: the second 64-bit word of its answer."""
    answer = (ctypes.c_uint64 * 8)()
    ctypes.memmove(answer, ctypes.byref(ctypes.c_uint32(64)), 4)  # dwLength
    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009  # only there on Windows
    return answer[1] if kernel.GlobalMemoryStatusEx(ctypes.byref(answer)) else None
