"""What turn-taking asks for; the application carries it out in the order given."""

from dataclasses import dataclass
from typing import Literal

from peer_local.listening.modes import PendingDraft
from signaling import protocol

TurnState = Literal["listening", "processing", "speaking"]

Verdict = Literal["partial", "answered", "repeated", "drafted", "overheard", "backchannel", "echo", "nothing"]
"""What became of something that was heard: it is still going on; the model answers it, the double repeats it, an answer
is drafted, it is only remembered, it shows that somebody listens, it was the double itself, nothing was understood."""


@dataclass(frozen=True, slots=True)
class Send:
    """To the performer. Before a `hold` or an `interrupt` the application tells it what was heard, as `heard`."""

    message: protocol.ToPerformer


@dataclass(frozen=True, slots=True)
class Hush:
    """The double's sound that is on this machine already fades out at once and is never heard.

    What the performer sends after its `silence` is heard again.
    """


@dataclass(frozen=True, slots=True)
class MuteEars:
    """Hear nothing, and forget what is being said."""


@dataclass(frozen=True, slots=True)
class UnmuteEars:
    pass


@dataclass(frozen=True, slots=True)
class ShowState:
    state: TurnState
    held: bool
    """The double was interrupted and may go on."""


@dataclass(frozen=True, slots=True)
class ShowHeard:
    """Somebody in the call said this; `text` is empty when nothing was understood."""

    text: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ShowDraft:
    """The draft that waits for the owner; None: there is none any more."""

    draft: PendingDraft | None


Action = Send | Hush | MuteEars | UnmuteEars | ShowState | ShowHeard | ShowDraft
