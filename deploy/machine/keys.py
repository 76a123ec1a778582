"""Files that hold secrets: made once, readable for their owner only, reused at the next start."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from signaling.settings import SettingsError

ENGINE_KEYS = ("UNDERSTUDY_LLM__KEY", "UNDERSTUDY_TTS__FISH_SPEECH__KEY", "UNDERSTUDY_FACE__KEY")
MADE = ("UNDERSTUDY_SIGNALING__SECRET", "UNDERSTUDY_SIGNALING__TURN_SECRET", *ENGINE_KEYS)
"""What services of one machine prove to each other, in the order of the file."""
OWNER_ONLY = 0o600
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def machine_keys(
    file: Path, environment: Mapping[str, str], *, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)
) -> dict[str, str]:
    """The keys of this machine: what the environment sets, else what the file kept, else new ones, which it keeps."""
    kept = read_variables(file) if file.is_file() else {}
    keys = {name: environment.get(name) or kept.get(name) or make() for name in MADE}
    if keys != kept:
        write_variables(file, keys)
    return keys


def write_variables(file: Path, variables: Mapping[str, str]) -> None:
    """Write NAME=value lines for the owner's eyes. Raises SettingsError for a value of several lines."""
    for name, value in variables.items():
        if not _NAME.fullmatch(name) or any(character in value for character in "\n\r\0"):
            raise SettingsError(f"{name} cannot be kept in a file: it has more than one line.")
    write_private(file, "".join(f"{name}={value}\n" for name, value in variables.items()))


def read_variables(file: Path) -> dict[str, str]:
    """Read what `write_variables` wrote. Raises SettingsError when it cannot be read."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # splitlines() knows further ends of lines
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{file} cannot be read; start the machine again with `bash deploy/onstart.sh`.") from None
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write_private(file: Path, text: str) -> None:
    """Replace a file by one that was never readable for anybody else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(new, file)
