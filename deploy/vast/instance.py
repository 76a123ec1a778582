"""What Vast.ai says of one rented instance."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ENDED = frozenset(("exited", "offline", "unknown", "stopped", "deleting", "destroyed"))
"""States out of which nothing comes that was meant to start."""
TROUBLE = ("error", "failed", "denied", "no space", "not found", "unauthorized")
"""What the message of a start that cannot succeed contains."""

HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:-]*")

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One row of the account's instances."""

    id: int
    label: str = ""
    status: str | None = None
    """What it does: None before the host has begun, then loading, running; stopped, exited, offline."""
    intended: str = ""
    """What it was told to do: running or stopped."""
    message: str = ""
    """What the host says about it, such as the layer of the image that it fetches."""
    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    """`8443/tcp` → the port outside."""
    usd_per_hour: float = 0.0
    disk_usd_per_hour: float = 0.0
    """What it costs while it is stopped."""
    began_s: float = 0.0
    """Seconds since 1970."""
    gpu: str = ""
    place: str = ""
    machine: int = 0
    ssh_host: str = ""
    ssh_port: int = 0

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Instance | None":
        """A row of the API's answer, or None for one without a number."""
        number = row.get("id")
        if not isinstance(number, int) or isinstance(number, bool):
            return None
        status = row.get("actual_status")
        return cls(
            id=number,
            label=_text(row, "label"),
            status=status.strip().lower() if isinstance(status, str) and status.strip() else None,
            intended=_text(row, "intended_status"),
            message=" ".join(_text(row, "status_msg").split()),
            address=_host(row, "public_ipaddr"),
            ports=_ports(row.get("ports")),
            usd_per_hour=_number(row, "dph_total"),
            disk_usd_per_hour=_number(row, "storage_total_cost"),
            began_s=_number(row, "start_date"),
            gpu=_text(row, "gpu_name"),
            place=_text(row, "geolocation"),
            machine=int(_number(row, "machine_id")),
            ssh_host=_host(row, "ssh_host"),
            ssh_port=int(_number(row, "ssh_port")),
        )

    def outside(self, port: int, protocol: Protocol = "tcp") -> int | None:
        """The port by which a port of the container is reached, once it is."""
        return self.ports.get(f"{port}/{protocol}")

    @property
    def hopeless(self) -> str | None:
        """Why it will not start any more, one sentence; None while it may."""
        if self.status in ENDED:
            return f"the host says that it is {self.status}{f': {self.message}' if self.message else ''}"
        if self.status != "running" and any(word in self.message.lower() for word in TROUBLE):
            return f"the host cannot start it: {self.message}"
        return None


def _ports(found: object) -> dict[str, int]:
    """`{"8443/tcp": [{"HostIp": …, "HostPort": "33526"}]}`, of which IPv4's entry is the first."""
    ports: dict[str, int] = {}
    for name, places in found.items() if isinstance(found, Mapping) else ():
        for place in places if isinstance(places, list) else ():
            outside = str(place.get("HostPort", "")) if isinstance(place, Mapping) else ""
            if outside.isdigit() and isinstance(name, str):
                ports.setdefault(name, int(outside))
    return ports


def _text(row: Mapping[str, Any], name: str) -> str:
    """What can be shown: nothing that a terminal obeys."""
    value = row.get(name)
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else " " for character in value).strip()


def _host(row: Mapping[str, Any], name: str) -> str:
    """A name or an address; it goes into files and commands, so that nothing else counts."""
    text = _text(row, name)
    return text if HOST.fullmatch(text) else ""


def _number(row: Mapping[str, Any], name: str) -> float:
    """A number, also one that is written as text; 0 for what is none."""
    value = row.get(name)
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0
