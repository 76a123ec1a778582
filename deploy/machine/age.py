"""How long a machine has run, and whether it can be given back. Standard library only."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def age_s(file: Path, *, now_s: float, birth: str) -> float:
    """How long this machine has run, by Unix time; the first look of a container's life notes when it began.

    `birth` tells one life from the next: a machine that was stopped and started again has its whole time once more, one
    whose watchdog was killed has not.
    """
    try:
        noted, _, began = file.read_text().strip().partition(" ")
        if noted == birth:
            return max(0.0, now_s - float(began))
    except (OSError, ValueError):
        pass
    with suppress(OSError):  # a full disk: whoever asks counts from now
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{birth} {now_s}\n")
    return 0.0


def birth_of_first_process(proc: Path = Path("/proc")) -> str:
    """When process 1 was started, in ticks since the host's boot, with that boot's own number."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{(proc / '1/stat').read_text().rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):
        return "unknown"


def can_be_destroyed(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a rented machine that may give itself back."""
    return bool(environment.get("CONTAINER_ID") and environment.get("CONTAINER_API_KEY"))
