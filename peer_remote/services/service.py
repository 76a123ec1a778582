"""One service of a machine: what is started, and how it is seen to be well.

The supervisor of `python -m peer_remote services` and the files that are generated for supervisord read the same
descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Health:
    """How to ask whether a service is well."""

    kind: Literal["http", "tcp", "process"]
    """http wants status 200 of `url`, tcp a listener at `url`'s address, process only that it runs."""
    url: str = ""
    timeout_s: float = 3.0
    every_s: float = 5.0
    failures: int = 3
    """So many failed questions in a row end it; a server that is busy may miss one."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process that belongs to a machine. Secrets are in `secrets`, never in `command`."""

    name: str
    """Lower-case letters and hyphens; also the name of its log."""
    command: tuple[str, ...]
    health: Health
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    """Further variables of its environment."""
    after: tuple[str, ...] = ()
    """Services that are ready before this one is started."""
    start_s: float = 60.0
    """How long it may take until it is well for the first time."""
    stop_s: float = 10.0
    """How long it may take to end after SIGTERM."""
    vram_gib: float = 0.0
    """What it needs of a GPU's memory."""
