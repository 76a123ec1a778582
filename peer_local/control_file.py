"""The key under the mat: where the control server listens and the token that it wants, in a file of the user's own.

<runtime directory>/understudy/control-<port>.json      {"port": 8765, "token": "…", "pid": 4711}

One file per port, because a port belongs to one program at a time: whoever binds it writes over what a killed program
left. Only the standard library and platformdirs, so that a command is under way quickly.
"""

import json
import os
import secrets
import stat
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_runtime_path

TOKEN_BYTES = 32
_LARGEST_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Key:
    """Where a running program takes commands, and what opens it."""

    port: int
    token: str
    pid: int


def directories() -> tuple[Path, ...]:
    """Where keys may lie, best first. The second is for machines whose runtime directory is missing or not ours."""
    cache = user_cache_path("understudy") / "run"
    if sys.platform == "linux" and not (os.environ.get("XDG_RUNTIME_DIR") or Path(f"/run/user/{os.getuid()}").is_dir()):
        return (cache,)  # platformdirs would take a directory in /tmp that anybody can make
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return user_runtime_path("understudy", appauthor=False), cache
        except OSError:
            return (cache,)


def leave(port: int, places: Sequence[Path] | None = None) -> tuple[Key, Path]:
    """Make a new key for `port` and write it, whole or not at all, readable by the user alone.

    Raises OSError when no place is fit for it.
    """
    key = Key(port, secrets.token_urlsafe(TOKEN_BYTES), os.getpid())
    problem = OSError("No directory for the control token belongs to this user alone.")
    for place in places or directories():
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(place):
                continue
            path = place / f"control-{port}.json"
            new = path.with_suffix(f".{key.pid}.new")
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                json.dump({"port": key.port, "token": key.token, "pid": key.pid}, stream)
            os.replace(new, path)
        except OSError as error:
            problem = error
        else:
            return key, path
    raise problem


def take_back(key: Key, path: Path) -> None:
    """Remove the key, unless another program has written its own there."""
    with suppress(OSError):
        if _read(path) == key:
            path.unlink()


def find(port: int | None = None, places: Sequence[Path] | None = None) -> list[tuple[Key, Path]]:
    """Keys that lie about, the newest first, those of dead programs among them; only that of `port` if given."""
    found = []
    for place in places or directories():
        try:
            paths = list(place.glob("control-*.json")) if _is_ours(place) else []
        except OSError:
            continue
        for path in paths:
            with suppress(OSError):
                key = _read(path)
                if key is not None and port in (None, key.port):
                    found.append((path.stat().st_mtime_ns, key, path))
    return [(key, path) for _, key, path in sorted(found, key=lambda entry: -entry[0])]


def _read(path: Path) -> Key | None:
    """What the file says; None when it is not one of ours, for whatever reason."""
    with path.open("rb") as stream:
        text = stream.read(_LARGEST_BYTES)
    try:
        values = json.loads(text)
        key = Key(values["port"], values["token"], values["pid"])
    except (ValueError, KeyError, TypeError):
        return None
    right = isinstance(key.port, int) and isinstance(key.token, str) and isinstance(key.pid, int)
    return key if right and path.name == f"control-{key.port}.json" else None


def _is_ours(place: Path) -> bool:
    """Whether only this user can put files there; on Windows the user's folders are his own by themselves."""
    status = place.lstat()
    if sys.platform == "win32":
        return stat.S_ISDIR(status.st_mode)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
