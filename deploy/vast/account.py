"""Whose account it is: the key, and what is built on it. The key is never printed."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from deploy.console import SetupError
from deploy.settings import DeploySettings
from deploy.vast.client import Vast
from deploy.vast.instance import Instance
from deploy.vast.wire import SERVER, Wire, WireError

KEY_VARIABLE = "VAST_API_KEY"
SERVER_VARIABLE = "VAST_URL"
NUMBER = re.compile(r"[0-9a-f]{8}")
"""What a label of ours ends with, as record.py makes it."""


def find_key(settings: DeploySettings, environ: Mapping[str, str], home: Path) -> str:
    """The setting, the variable of Vast.ai's own program, or its file. Raises SetupError."""
    key = _written_key(settings, environ, home)
    if not all("!" <= character <= "~" for character in key):  # a request's error would show it
        raise SetupError("The key of Vast.ai has to be one word of ASCII letters, digits and signs; copy it once more.")
    return key


def _written_key(settings: DeploySettings, environ: Mapping[str, str], home: Path) -> str:
    if settings.api_key is not None and (key := settings.api_key.get_secret_value().strip()):
        return key
    if key := environ.get(KEY_VARIABLE, "").strip():
        return key
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    for file in (config / "vastai" / "vast_api_key", home / ".vast_api_key"):
        try:
            key = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if key:
            return key
    raise SetupError(
        f"There is no key of Vast.ai: make one on its page `Keys` and set {KEY_VARIABLE}, or write it into .env as "
        "UNDERSTUDY_DEPLOY__API_KEY."
    )


def open_account(settings: DeploySettings, environ: Mapping[str, str] = os.environ) -> Vast:
    """Raises SetupError when there is no key."""
    key = find_key(settings, environ, Path.home())
    server = settings.server if settings.server != SERVER else environ.get(SERVER_VARIABLE) or SERVER
    try:
        return Vast(Wire(key, server=server))
    except WireError as error:
        raise SetupError(str(error)) from None


def is_ours(instance: Instance, prefix: str) -> bool:
    """Whether an instance carries a label of ours."""
    name, _, number = instance.label.rpartition("-")
    return name == prefix and NUMBER.fullmatch(number) is not None
