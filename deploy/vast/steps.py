"""What a rental wants done next, and what came of it. The rules are in rental.py and removal.py."""

from dataclasses import dataclass

from deploy.vast.instance import Instance
from deploy.vast.offers import Offer

# What is to be done.


@dataclass(frozen=True, slots=True)
class Rent:
    offer: Offer


@dataclass(frozen=True, slots=True)
class Look:
    """List what carries the label."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Ask a running instance how far it is."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Check:
    """Try the double through the path that a call takes, and tell the local peer of it."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Destroy:
    instance: int


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to be done."""


Step = Rent | Look | Listen | Check | Destroy | Pause | Done


# What came of it.


@dataclass(frozen=True, slots=True)
class Rented:
    instance: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly without effect. `final`: no other offer would be rented either, as with a key that is not accepted."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It may be rented, now or in a moment."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """All instances that carry the label."""

    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Unseen:
    """They could not be listed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What an instance says of its start."""

    phase: str = ""
    text: str = ""
    said: int = 0
    """How much it has said so far; more than the last time means that it is alive."""
    failed: str | None = None
    """The sentence with which its start ended."""
    ready: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """The double answers in a call."""


@dataclass(frozen=True, slots=True)
class NotPassed:
    reason: str


@dataclass(frozen=True, slots=True)
class Destroyed:
    """It is gone or going, or there was none of this number."""

    instance: int


@dataclass(frozen=True, slots=True)
class NotDestroyed:
    instance: int
    reason: str


Event = Rented | Refused | Unanswered | Seen | Unseen | Heard | Passed | NotPassed | Destroyed | NotDestroyed
