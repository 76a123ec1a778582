"""Settings of the machine itself: where it keeps what it made, its ports, and when it goes off."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from signaling.settings import Section

Port = Annotated[int, Field(ge=1, le=65_535)]


class MachineSettings(Section):
    dir: Path = Field(default_factory=lambda: default_directory())
    """Certificate, keys, generated configuration, logs: everything that a second start finds again."""
    services: Annotated[tuple[str, ...] | None, NoDecode] = None
    """Some of language, voice, face: what a GPU computes here, in the environment with commas. By default all three
    where there is a GPU, else none."""
    signaling_port: Port = 8443
    """TCP, TLS: what the laptop connects to."""
    turn_port: Port = 3478
    """TCP: the way of media where UDP is blocked."""
    media_ports: Annotated[tuple[Port, ...], NoDecode] = ()
    """UDP, in the environment with commas. None means any free port: a machine without port mapping."""
    public_address: str | None = None
    """What others call this machine; by default the rental's PUBLIC_IPADDR, else the address of its main interface."""
    metrics_port: Port = 9101
    """TCP, on loopback: the performer tells the watchdog who is connected."""
    room: str = "main"
    tls_certificate: SecretStr | None = None
    """PEM in base64, made where the pin has to be known before the machine is; by default made here."""
    tls_key: SecretStr | None = None
    start_minutes: float = Field(default=120.0, ge=0)
    """A rented machine that is not ready so long after its start is given back; 0 means never."""
    max_hours: float = Field(default=0.0, ge=0, le=24 * 31)
    """So long after its first start the machine goes off; 0 means never."""
    idle_minutes: float = Field(default=0.0, ge=0)
    """It goes off when nobody has been connected for so long; 0 means never."""
    silent_minutes: float = Field(default=0.0, ge=0)
    """It goes off when somebody is connected and nothing was said for so long; 0 means three times idle_minutes."""
    warn_minutes: float = Field(default=5.0, ge=0)
    """So long before it goes off everybody who is connected is told."""
    at_end: Literal["nothing", "stop", "destroy"] = "stop"
    """What going off means: only say so, end the services, or give the rented machine back."""

    @field_validator("services", "media_ports", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> Self:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key only work together")
        return self


def default_directory(workspace: Path = Path("/workspace")) -> Path:
    """On the volume of a rented machine, else in the user's own data; deploy/onstart.sh decides alike."""
    if workspace.is_dir():
        return workspace / "understudy"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "understudy" / "machine"
