"""The machine's sound devices, and which of them a name means. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from peer_local.errors import DeviceError

Direction = Literal["output", "input"]
HOSTS = (
    "PulseAudio",
    "Core Audio",
    "Windows WASAPI",
    "Windows DirectSound",
    "MME",
    "ALSA",
    "JACK Audio Connection Kit",
)
"""Of several ways to one device the earlier is better: MME cuts names at 31 characters and adds 100 ms."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One direction of one device, as one host interface offers it."""

    index: int
    """PortAudio's number, until its list is read again."""
    name: str
    """What the system's settings show."""
    host: str
    """The interface: Windows WASAPI, MME, Core Audio, ALSA, PulseAudio …"""
    direction: Direction
    channels: int
    rate_hz: int
    """The device's own rate; others may do."""
    default: bool = False
    """Whether it is its host's default in this direction."""
    server_name: str | None = None
    """PulseAudio's own name for it."""

    def __str__(self) -> str:
        return f"{self.name} ({self.host})"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a sound server knows about a device that PortAudio lists under a technical name."""

    name: str
    server_name: str
    direction: Direction
    default: bool


class NoSuchDevice(DeviceError):
    """No device has the name that was asked for."""


def find(devices: Sequence[SoundDevice], wanted: str | None, direction: Direction) -> SoundDevice:
    """The device that `wanted` names: exactly, else the only one that it is part of, whatever the case. None: default.

    Of one device on several hosts the best host's is taken. Raises DeviceError, naming the candidates.
    """
    rest = [device for device in devices if device.direction == direction]
    if wanted is None:
        if defaults := _on_best_host([device for device in rest if device.default]):
            return defaults[0]
        raise DeviceError(f"This machine has no default sound {direction}; connect one or name one.")
    exact = [device for device in rest if wanted in (device.name, device.server_name, str(device))]
    lower = wanted.lower()
    part = [device for device in rest if lower in str(device).lower() or lower in (device.server_name or "").lower()]
    same = [device for device in part if lower in (device.name.lower(), (device.server_name or "").lower())]
    for matches in (exact, same, part):
        if found := _on_best_host(matches):
            if len(found) == 1:
                return found[0]
            raise DeviceError(f"{wanted!r} names several sound {direction}s; write one of: {_names(found)}.")
    there = f"there are: {_names(rest)}" if rest else "there is none at all"
    raise NoSuchDevice(f"No sound {direction} is named {wanted!r}; {there}.")


def rank(host: str) -> int:
    """The lower the better."""
    return HOSTS.index(host) if host in HOSTS else len(HOSTS)


def _on_best_host(devices: Sequence[SoundDevice]) -> list[SoundDevice]:
    best = min((rank(device.host) for device in devices), default=0)
    return [device for device in devices if rank(device.host) == best]


def _names(devices: Sequence[SoundDevice]) -> str:
    return "; ".join(dict.fromkeys(device.name for device in sorted(devices, key=lambda each: rank(each.host))))
