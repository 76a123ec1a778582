"""Settings that are read from the environment, strictly.

Every program reads `UNDERSTUDY_<SECTION>__<KEY>` from the environment and from a file named .env. pydantic-settings
ignores a misspelt section by itself; StrictSettings refuses it with one sentence.
"""

import difflib
import os
from pathlib import Path
from typing import Any, Self

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "UNDERSTUDY_"

SECTIONS = frozenset({"signaling", "remote", "local", "persona", "weights", "vad", "turn", "asr", "llm", "tts", "face"})
"""Every section of the product, so that one .env can serve all its programs."""


class SettingsError(Exception):
    """The configuration is wrong; the message is one sentence that names the key."""


class StrictSettings(BaseSettings):
    """Base of each program's settings: frozen, and nothing in the environment is silently ignored."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", frozen=True, extra="ignore"
    )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the settings; `overrides` win over the environment. Raises SettingsError."""
        _refuse_unknown_sections(_names_in_environment(Path(str(cls.model_config.get("env_file")))))
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            key = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
            raise SettingsError(f"{key}: {first['msg']}.") from None


def _names_in_environment(env_file: Path) -> set[str]:
    names = set(os.environ)
    if env_file.is_file():
        names |= set(dotenv_values(env_file))
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
