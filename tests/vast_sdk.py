"""Vast.ai's official SDK in a virtual environment of its own: `python -m tests.vast_sdk` makes it, once.

Its exact pins (cryptography, pillow) are not the product's, so that the two cannot share one. It is only there to hold
tests/vast_api.py to what the official client sends and reads.
"""

import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

VERSION = "1.9.1"
INSTALL_TIMEOUT_S = 300


def directory() -> Path:
    version = f"py{sys.version_info.major}{sys.version_info.minor}"
    return user_cache_path("understudy") / f"vastai-{VERSION}-{version}"


def _binary(name: str) -> Path:
    return directory() / ("Scripts" if sys.platform == "win32" else "bin") / name


def sdk_python() -> Path | None:
    """The interpreter that has the SDK, or None where it was not made."""
    return _binary("python") if (directory() / "complete").is_file() else None


def sdk_program() -> str:
    """Its command-line program."""
    return str(_binary("vastai"))


def ensure() -> bool:
    """Make the environment unless it is there; whether it is there now."""
    if sdk_python() is not None:
        return True
    venv.EnvBuilder(clear=True, with_pip=True).create(directory())
    command = [
        str(_binary("python")),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        f"vastai=={VERSION}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode != 0:
        print(f"Vast.ai's SDK cannot be installed, its tests are skipped: {done.stderr.strip()[-300:]}")
        return False
    (directory() / "complete").touch()
    return True


if __name__ == "__main__":
    ensure()
