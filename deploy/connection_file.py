"""How `make local` knows the double that was deployed last: one line in a file that only its owner can read."""

import os
from pathlib import Path

from peer_local.settings import DEPLOYED
from signaling.connection_string import ConnectionString

VARIABLE = "UNDERSTUDY_LOCAL__CONNECTION"


def write(root: Path, connection: ConnectionString) -> Path:
    """Let `make local` in the checkout `root` connect there from now on; the file that says so. Raises OSError."""
    file = root / DEPLOYED
    beside = root / f"{DEPLOYED}.new"
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as output:
        output.write("# Written by the deployment; `make local` connects there. It lets in whoever has it.\n")
        output.write(f"{VARIABLE}={connection}\n")
    beside.replace(file)
    return file


def read(root: Path) -> ConnectionString | None:
    """Where it connects now, or None where the file is missing or says nothing."""
    try:
        lines = (root / DEPLOYED).read_text(encoding="ascii").splitlines()
        named = next(line.partition("=")[2] for line in lines if line.startswith(f"{VARIABLE}="))
        return ConnectionString.parse(named)
    except (OSError, ValueError, StopIteration):
        return None


def remove(root: Path) -> None:
    """Let `make local` perform on this machine again."""
    (root / DEPLOYED).unlink(missing_ok=True)
