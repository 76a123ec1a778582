"""Where the programs that work on weights learn where the weights lie: UNDERSTUDY_WEIGHTS__DIR or .env."""

import os
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values
from pydantic import ValidationError

from models.environment import PREFIX, ProgramSettings, problem
from models.errors import WeightsError
from models.settings import WeightsSettings


class _Environment(ProgramSettings):
    weights: WeightsSettings = WeightsSettings()


def weights_directory() -> Path:
    """Where the settings say that the weights lie. Raises WeightsError, also for a misspelt name of this setting."""
    try:
        in_file = dotenv_values(".env") if Path(".env").is_file() else {}
    except (OSError, UnicodeDecodeError):
        raise WeightsError("The file .env cannot be read; it must be text in UTF-8.") from None
    for name in sorted({*os.environ, *in_file}):
        section = name.upper().removeprefix(PREFIX).split("__")[0].lower()
        if name.upper().startswith(PREFIX) and section != "weights" and get_close_matches(section, ["weights"]):
            raise WeightsError(f"{name} is not a setting; did you mean {PREFIX}WEIGHTS__DIR?")
    try:
        return _Environment().weights.dir
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "extra_forbidden":
            name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
            raise WeightsError(f"{name} is not a setting; did you mean {PREFIX}WEIGHTS__DIR?") from None
        raise WeightsError(problem(error)) from None
