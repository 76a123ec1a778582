"""Settings of the programs of this package: each reads its own sections of the environment and of .env."""

from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import EngineUnavailable

PREFIX = "UNDERSTUDY_"


class ProgramSettings(BaseSettings):
    """Base of one program's sections; what belongs to other programs is left alone."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", frozen=True, extra="ignore"
    )


Sections = TypeVar("Sections", bound=ProgramSettings)


def read(sections: type[Sections]) -> Sections:
    """What the environment and .env say. Raises EngineUnavailable with the name of a setting that is wrong."""
    try:
        return sections()
    except ValidationError as error:
        raise EngineUnavailable(problem(error)) from None


def problem(error: ValidationError) -> str:
    """The first thing that is wrong, one sentence."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
    return f"{name}: {first['msg'].removeprefix('Value error, ')}."
