"""A machine that a test furnishes as it likes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from peer_local.devices.sound_devices import Direction, SoundDevice
from peer_local.doctor.machine import Reply
from peer_local.errors import DeviceError
from peer_local.settings import CameraSettings, Settings
from signaling import auth
from signaling.protocol import IceServer

T = TypeVar("T")

NOW_S = 1_700_000_000.0
ROOM = {"performer": True, "viewers": 0, "operator": False}
SECRET = "a secret of many letters"


def sound(name: str, direction: Direction, *, server_name: str | None = None, default: bool = False) -> SoundDevice:
    return SoundDevice(0, name, "PulseAudio", direction, 2, 48_000, default, server_name)


def settings(**sections: Any) -> Settings:
    """Settings without the environment."""
    return Settings.model_validate(sections)


def token(*, room: str = "main", role: Any = "operator", lifetime_s: float = 86_400.0) -> str:
    return auth.issue(SECRET, room=room, role=role, lifetime_s=lifetime_s, now_s=NOW_S)


class FakeMachine:
    """Everything is as it should be; tests take things away. A DeviceError in place of a value is raised."""

    def __init__(self, platform: str = "linux") -> None:
        self.platform = platform
        self.python = (3, 11, 7)
        self.core_count = 8
        self.avx2: bool | None = True
        self.memory: int | None = 16 << 30
        self.gpus = 0
        self.missing: set[str] = set()
        self.camera: str | DeviceError = "Understudy Camera"
        self.webcam: tuple[int, int] | DeviceError | None = (1280, 720)
        self.cameras: list[str] | None = ["Webcam"]
        self.devices: list[SoundDevice] | DeviceError = {
            "linux": [
                sound("Speakers", "output", server_name="alsa_output.pci", default=True),
                sound("Understudy (cable)", "output", server_name="understudy_microphone"),
                sound("Headset", "input", server_name="alsa_input.usb", default=True),
                sound("Monitor of Speakers", "input", server_name="alsa_output.pci.monitor"),
            ],
            "win32": [
                sound("Speakers", "output", default=True),
                sound("CABLE Input (VB-Audio Virtual Cable)", "output"),
                sound("Headset", "input", default=True),
            ],
            "darwin": [
                sound("BlackHole 2ch", "output"),
                sound("BlackHole 16ch", "input"),
                sound("Headset", "input", default=True),
            ],
        }[platform]
        self.sink: str | DeviceError = "alsa_output.pci"
        self.cable: bool | DeviceError = True
        self.created: int | DeviceError = 0
        self.fetched: list[str] | Exception = []
        self.loopback: str | None = None
        self.files: set[Path] = set()
        self.clock_s = NOW_S
        self.reply: Reply | Exception = Reply(
            200,
            {"status": "ok", "version": "0.1.0", "rooms": {"main": ROOM}},
            NOW_S,
            0.02,
        )
        self.ice: tuple[IceServer, ...] | Exception = ()
        self.joins = 0
        self.answers: dict[tuple[str, int], float] = {}
        self.connected: list[tuple[str, int]] = []
        self.hang: Callable[[], object] | None = None

    def now_s(self) -> float:
        return self.clock_s

    def cores(self) -> int:
        return self.core_count

    def has_avx2(self) -> bool | None:
        return self.avx2

    def memory_bytes(self) -> int | None:
        return self.memory

    def cuda_devices(self) -> int:
        return self.gpus

    def weights_problem(self, model: str, directory: Path) -> str | None:
        return "missing" if model in self.missing else None

    def fetch_weights(self, models: list[str], directory: Path) -> None:
        if isinstance(self.fetched, Exception):
            raise self.fetched
        self.fetched += models
        self.missing -= set(models)

    def open_camera(self, settings: CameraSettings) -> str:
        if self.hang:
            self.hang()  # as a driver may
        return _given(self.camera)

    def webcams(self) -> list[str] | None:
        return self.cameras

    def webcam_size_px(self, device: str, patience_s: float) -> tuple[int, int] | None:
        return _given(self.webcam)

    def sound_devices(self) -> list[SoundDevice]:
        return _given(self.devices)

    def default_sink(self) -> str:
        return _given(self.sink)

    def cable_exists(self) -> bool:
        return _given(self.cable)

    def create_cable(self) -> None:
        self.created = _given(self.created) + 1
        self.cable = True

    def can_record_loopback(self) -> str | None:
        return self.loopback

    def is_file(self, path: Path) -> bool:
        return path in self.files

    async def get(self, url: str, pin: str | None = None) -> Reply:
        return _given(self.reply)

    async def ice_servers(self, url: str, room: str, token: str, pin: str | None = None) -> tuple[IceServer, ...]:
        self.joins += 1
        return _given(self.ice)

    async def stun(self, host: str, port: int) -> float:
        if (host, port) not in self.answers:
            raise TimeoutError
        return self.answers[host, port]

    async def connects(self, host: str, port: int) -> float:
        self.connected.append((host, port))
        return await self.stun(host, port)


def _given(value: T | Exception) -> T:
    if isinstance(value, Exception):
        raise value
    return value
