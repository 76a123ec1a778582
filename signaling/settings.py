"""Settings that are read from the environment, strictly, and those of the signaling service.

Every program reads `UNDERSTUDY_<SECTION>__<KEY>` from the environment and from a file named .env. pydantic-settings
ignores a misspelt section by itself; StrictSettings refuses it with one sentence.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Self

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettings

PREFIX = "UNDERSTUDY_"

SECTIONS = frozenset(
    "signaling remote services persona weights vad turn asr llm tts face local camera microphone ears playout "
    "recorder relay deploy machine".split()
)
"""Every section of the product, so that one .env can serve all its programs."""


class SettingsError(Exception):
    """The configuration is wrong; the message is one sentence that names the key."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StrictSettings(BaseSettings):
    """Base of each program's settings: frozen, and nothing in the environment is silently ignored."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", frozen=True, extra="ignore"
    )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings; `overrides` win over the environment. Raises SettingsError."""
        _refuse_unknown_sections(_names_in_environment(cls.env_files()))
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise SettingsError(cls._sentence(error)) from None
        except UnreadableSettings as error:
            raise SettingsError(f"The settings cannot be read: {error}.") from None

    @classmethod
    def env_files(cls) -> tuple[Path, ...]:
        """The files that settings are read from, a later one wins."""
        files = cls.model_config.get("env_file") or ()
        return tuple(Path(file) for file in ((files,) if isinstance(files, str | Path) else files))

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        *sections, key = (str(part) for part in first["loc"])
        name = PREFIX + "__".join((*sections, key)).upper()
        if first["type"] == "string_pattern_mismatch" and isinstance(example := cls._default((*sections, key)), str):
            return f"{name} must look like {example}."
        if first["type"] != "extra_forbidden":
            return f"{name}: {first['msg'].removeprefix('Value error, ')}."
        section = cls.model_fields[sections[0]].annotation if sections else None
        keys = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
        near = difflib.get_close_matches(key, keys, n=1)
        beginning = PREFIX + "__".join(sections).upper()
        hint = f"did you mean {beginning}__{near[0].upper()}?" if near else f"keys are {', '.join(keys)}."
        return f"{name} is not a setting; {hint}"

    @classmethod
    def _default(cls, path: tuple[str, ...]) -> object:
        """What a setting is when it is not set; None where there is no such thing."""
        owner: object = cls
        for name in path[:-1]:
            field = owner.model_fields.get(name) if isinstance(owner, type) and issubclass(owner, BaseModel) else None
            owner = field.annotation if field else None
        field = owner.model_fields.get(path[-1]) if isinstance(owner, type) and issubclass(owner, BaseModel) else None
        return field.default if field else None


def _names_in_environment(env_files: tuple[Path, ...]) -> set[str]:
    names = set(os.environ)
    for env_file in (file for file in env_files if file.is_file()):
        try:
            names |= set(dotenv_values(env_file))
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"The file {env_file} cannot be read; it must be text in UTF-8.") from None
    return {name.upper() for name in names if name.upper().startswith(PREFIX)}


def _refuse_unknown_sections(names: set[str]) -> None:
    for name in sorted(names):
        section = name.removeprefix(PREFIX).split("__")[0].lower()
        if section not in SECTIONS:
            near = difflib.get_close_matches(section, SECTIONS, n=1)
            hint = (
                f"; did you mean {PREFIX}{near[0].upper()}?"
                if near
                else f"; sections are {', '.join(sorted(SECTIONS))}."
            )
            raise SettingsError(f"{name} is not a setting{hint}")


Urls = Annotated[tuple[str, ...], NoDecode]
"""In the environment: addresses separated by commas."""

SECRET_CHARACTERS = 16


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < SECRET_CHARACTERS:
        raise ValueError(f"a secret needs at least {SECRET_CHARACTERS} characters")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_long_enough)]


class SignalingSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    """0 takes any free port."""
    secret: Secret | None = None
    """Signs room tokens. Without one the service makes its own at every start."""
    tls_certificate: Path | None = None
    """A PEM file with the service's certificate, of one's own or of an authority: HTTPS and WSS instead of HTTP."""
    tls_key: Path | None = None
    """The PEM file with its private key."""
    max_viewers: int = Field(default=8, ge=1, le=64)
    """Viewers in one room."""
    max_rooms: int = Field(default=16, ge=1, le=1024)
    max_connections: int = Field(default=256, ge=1)
    """WebSockets at once, with those that have not joined yet."""
    ice_servers: Urls = ()
    """STUN addresses. On one machine or one network none is needed; aiortc uses only the first."""
    turn_urls: Urls = ()
    """TURN addresses, in order of preference; aiortc uses only the first."""
    turn_secret: SecretStr | None = None
    """The TURN server's static-auth-secret."""
    turn_lifetime_s: int = Field(default=12 * 3600, ge=60)
    """How long the TURN credentials in a welcome are good; a call that goes on longer must join again."""
    join_timeout_s: float = Field(default=5.0, gt=0)
    heartbeat_s: float = Field(default=15.0, gt=0)
    """Between pings; a peer that has not answered after half of it again is gone."""
    messages_per_s: float = Field(default=50.0, gt=0)
    """What one peer may send on average."""
    burst_messages: int = Field(default=200, ge=1)
    """What one peer may send at once: more candidates than any real negotiation with every viewer has."""
    queue_messages: int = Field(default=256, ge=8)
    """What waits for one peer before it is cut off as one that does not read."""

    @field_validator("ice_servers", "turn_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("ice_servers")
    @classmethod
    def _only_stun(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not re.fullmatch(r"stuns?:[^\s/?@]+", url):  # RFC 7064
                raise ValueError(f"{url} is not a STUN address such as stun:stun.example.org:3478")
        return urls

    @field_validator("turn_urls")
    @classmethod
    def _only_turn(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not re.fullmatch(r"turns?:[^\s/?@]+(\?transport=(udp|tcp))?", url):  # RFC 7065
                raise ValueError(f"{url} is not a TURN address such as turn:turn.example.org:3478?transport=udp")
        return urls

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key only work together")
        return self

    @model_validator(mode="after")
    def _turn_is_whole(self) -> Self:
        if bool(self.turn_urls) != bool(self.turn_secret):
            raise ValueError("turn_urls and turn_secret only work together")
        return self


class ServiceSettings(StrictSettings):
    """Settings of the program `python -m signaling`."""

    signaling: SignalingSettings = SignalingSettings()
