"""What is known of the engines that do one job: who does it, and how well the others are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

State = Literal["ok", "fallback", "down"]
Reason = Literal["failed", "broke_off", "too_slow", "unavailable", "internal_error"]
"""failed: refused or broke before its first output; broke_off: amid an answer; too_slow: given up waiting for;
unavailable: it could not be made."""


@dataclass(frozen=True, slots=True)
class JobHealth:
    """Who does a job now."""

    engine: str
    """The one that the next request goes to."""
    state: State
    """fallback: another than the first one; down: none is known to be well."""
    reason: Reason | None = None
    """Why it is not the first one, or why it is down."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to `engine`; `reason` says why."""

    event: Literal["failed", "switched"]
    """switched: from now on it does the job."""
    engine: str
    reason: str


@runtime_checkable
class Watched(Protocol):
    """An engine that is several and tells which of them works."""

    def health(self) -> JobHealth: ...

    def ready(self) -> Mapping[str, bool]:
        """By name, whether an engine is made and not known to be ill."""
        ...

    def watch(self, changed: Callable[[Note | None], None]) -> None:
        """Call `changed` whenever `health` or `ready` may have changed, with what happened if it is to be counted."""
        ...
