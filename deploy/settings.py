"""Settings of `python -m deploy`: which GPU to rent, for how much at most, and when it ends by itself."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from deploy.vast.wire import SERVER
from signaling.protocol import Room
from signaling.settings import Section, StrictSettings

Names = Annotated[tuple[str, ...], NoDecode]
"""In the environment: separated by commas."""
ServiceName = Literal["language", "voice", "face"]
Services = Annotated[tuple[ServiceName, ...], NoDecode]
LABEL = r"^[a-z][a-z0-9-]{1,30}$"


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class DeploySettings(Section):
    """The defaults need nothing but a key."""

    api_key: SecretStr | None = None
    """Vast.ai's key; without it VAST_API_KEY, then the file that Vast.ai's own program writes."""
    server: str = Field(default=SERVER, pattern=r"^https?://[^\s/?#@]+$")
    """Vast.ai's address; VAST_URL has the same meaning."""
    label: str = Field(default="understudy", pattern=LABEL)
    """Everything that is rented carries this name and a number, by which it is found again."""

    services: Services = ("language", "voice", "face")
    """What the GPU is for: its memory and what has to be fetched follow from it."""
    gpus: Names = ()
    """Names as Vast.ai writes them (RTX 5090, L40S), separated by commas; without any, each that is large enough."""
    vram_gib: float | None = Field(default=None, ge=4, le=192)
    """Memory of the GPU; without it, what the services need."""
    max_usd_per_hour: float = Field(default=0.90, gt=0, le=100)
    max_usd_per_month: float = Field(default=50.0, gt=0, le=100_000)
    """Nothing is rented that would cost more in this calendar month, if it ran for max_hours."""
    regions: Names = ("EU", "US")
    """EU, US, or countries such as DE; separated by commas. any takes every one."""
    min_reliability: float = Field(default=0.98, ge=0, le=1)
    min_cpu_ghz: float = Field(default=2.8, ge=0, le=10)
    """One core of the host bounds how fast the voice's model is called."""
    min_inet_down_mbps: float = Field(default=500, ge=0)
    min_inet_up_mbps: float = Field(default=100, ge=0)
    min_disk_mbps: float = Field(default=1_000, ge=0)
    """Of its disk, in megabytes per second."""
    min_cuda: float = Field(default=13.0, ge=11)
    """What the host's driver can run at least."""
    verified_only: bool = True

    image: str = Field(default="nvidia/cuda:12.8.1-devel-ubuntu24.04", pattern=r"^[\w./:@-]{3,200}$")
    disk_gib: int = Field(default=80, ge=20, le=2_000)
    repository: str | None = None
    """A public https address to clone; without it, that of this checkout's remote."""
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """What runs there; without it, this checkout's HEAD."""
    room: Room = "main"

    tries: int = Field(default=3, ge=1, le=10)
    """So many hosts are tried one after the other."""
    schedule_s: float = Field(default=180, ge=10)
    """How long a host may take to do anything."""
    loading_s: float = Field(default=900, ge=30)
    """How long it may take to fetch the image."""
    silent_s: float = Field(default=600, ge=30)
    """How long it may say nothing new while it installs and fetches."""
    setup_s: float = Field(default=2_700, ge=60)
    """How long that may take in all."""
    check_s: float = Field(default=180, ge=10)
    """How long the test call may take."""

    max_hours: float = Field(default=4.0, gt=0, le=24 * 7)
    """After these the machine destroys itself."""
    idle_minutes: float = Field(default=30.0, ge=0)
    """After so many without anybody in the room, too; 0 lets it wait."""
    warn_minutes: float = Field(default=5.0, ge=0)
    """So long before, whoever is in the call is told."""
    hf_token: SecretStr | None = None
    """For weights whose terms one has accepted; without it HF_TOKEN."""
    dir: Path = Field(default_factory=lambda: user_data_path("understudy") / "rental")
    """Where it is written down what was rented and what it cost."""

    _split_names = field_validator("gpus", "regions", "services", mode="before")(_split)

    @model_validator(mode="after")
    def _something_is_wanted(self) -> Self:
        if not self.services:
            raise ValueError("services names at least one of language, voice and face")
        return self


class Settings(StrictSettings):
    """Settings of the program `python -m deploy`."""

    deploy: DeploySettings = DeploySettings()
