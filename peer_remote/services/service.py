"""One service of a machine: what is started, and how it is seen to be well.

The supervisor of `python -m peer_remote services` reads these descriptions, and so does whatever writes files for
another supervisor, one program for each: `python -m peer_remote services --only NAME`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

NAMES: Final = ("llm", "voice", "face", "performer")
"""Everything that can be a service, in the order of starting: the language model's server, the voice's, the face's, and
`python -m peer_remote` itself."""

KILLED_WITHIN_S: Final = 5.0
"""How long it may take, after `stop_s`, until what did not end is gone."""


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
    """Empty for a service that runs elsewhere: it is asked for its health and never started."""
    health: Health
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    """Further variables of its environment."""
    after: tuple[str, ...] = ()
    """Services that are well before this one is started, or have had their time (`start_s`) to be."""
    start_s: float = 60.0
    """How long it may take until it is well for the first time."""
    stop_s: float = 10.0
    """How long it may take to end after SIGTERM."""
    vram_gib: float = 0.0
    """What it needs of a GPU's memory."""

    @property
    def address(self) -> str:
        """Where it listens, as host and port; empty for what nobody connects to."""
        return urlsplit(self.health.url).netloc

    @property
    def ended_within_s(self) -> float:
        """How long a supervisor of `python -m peer_remote services` waits before it ends that by force."""
        return self.stop_s + KILLED_WITHIN_S
