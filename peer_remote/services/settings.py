"""Settings of `python -m peer_remote services`. Light: the supervisor imports none of the engines."""

from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_log_path
from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from models.settings import EngineSettings, Section
from peer_remote.services.service import NAMES
from signaling.settings import StrictSettings

Names = Annotated[tuple[Literal["llm", "voice", "face", "performer"], ...], NoDecode]
"""In the environment: names separated by commas."""


class ServicesSettings(Section):
    """What this machine starts, and what of it is kept."""

    start: Names = NAMES
    """What is started here, where the engines' settings want it; the rest of that is only asked for its health."""
    llm_model: str = "mamaylm-gemma-2-9b-it-v0.1"
    """A language model of the catalog, for the server that is started here."""
    llm_context_tokens: int = Field(default=8192, ge=512)
    """Of that server; never less than UNDERSTUDY_LLM__CONTEXT_TOKENS."""
    log_dir: Path = Field(default_factory=lambda: user_log_path("understudy", appauthor=False))
    """Where NAME.log of each service is."""
    log_megabytes: float = Field(default=10.0, gt=0)
    """The size at which a log is put aside and a new one begun."""
    logs_kept: int = Field(default=3, ge=0, le=100)
    """Of those put aside, for each service."""
    status_port: int = Field(default=0, ge=0, le=65_532)
    """Serves /healthz and /metrics on loopback; 0 means no. With --only llm, voice, face, performer: this port and the
    three after it."""
    vram_reserve: float = Field(default=0.05, ge=0, lt=1)
    """The part of a GPU's memory that is left alone."""
    vram_check: bool = True
    """Refuse to start what the GPUs have no room for; without it only a warning is given."""

    @field_validator("start", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class _PerformerSettings(BaseModel):
    """What is needed of the performer's own section; the performer checks the rest."""

    token: SecretStr | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class MachineSettings(StrictSettings, EngineSettings):
    """Settings of the program `python -m peer_remote services`."""

    model_config = StrictSettings.model_config

    remote: _PerformerSettings = _PerformerSettings()
    services: ServicesSettings = ServicesSettings()
