"""Everything the terminal shows, as one frozen value: the application fills it, rendering reads it.

What is not known, or not there, is None and is shown as a dash or not at all.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from peer_local.interfaces import Who
from peer_local.link import LinkState
from peer_local.on_air.meter import Level
from peer_local.settings import Mode

State = Literal["listening", "processing", "speaking"]
Speaker = Literal["call", "typed", "double", "self"]
"""Somebody in the call, the owner's typed lines, the double, the owner's own voice."""

NOT_YET = "…"
"""Stands for a draft that is still being thought of."""
KEPT_LINES = 40
"""More than the tallest terminal shows of a conversation; the application need not keep more."""


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance or answer; `number` stays the same while it grows."""

    number: int
    speaker: Speaker
    clauses: tuple[str, ...]
    current: int | None = None
    """Which clause is heard now; clauses after it are still to come, None: nothing is to come."""
    final: bool = True
    """False while the words may still change."""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class PendingDraft:
    """An answer that waits for the owner's yes."""

    answers: str
    text: str


@dataclass(frozen=True, slots=True)
class TurnTimes:
    """One answer: from the end of the speech before it to its first sample at the virtual microphone."""

    first_sound_ms: float
    moments_ms: tuple[tuple[str, float], ...] = ()
    """Stage → when it did its first work, from the end of the speech; in the order of the pipeline."""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The state of the program at one moment."""

    on_air: Who = "nobody"
    state: State = "listening"
    held: bool = False
    """The double was interrupted and may go on."""
    mode: Mode = "converse"
    duplex: Literal["full", "half"] = "full"
    name: str | None = None
    """The double's."""
    room: str = "main"
    link: LinkState = "joining"
    link_losses: int = 0
    rtt_ms: float | None = None
    picture: str | None = None
    """What the camera shows: double, webcam, card, freeze, black."""
    camera: str | None = None
    """The virtual camera, as call applications list it; None without one."""
    camera_fps: float | None = None
    camera_target_fps: float | None = None
    microphone: str | None = None
    """The virtual microphone, as call applications list it; None without one."""
    ears: str | None = None
    """What the double listens to."""
    recording: bool = False
    lines: tuple[Line, ...] = ()
    """The end of the conversation, oldest first."""
    draft: PendingDraft | None = None
    ears_level: Level | None = None
    double_level: Level | None = None
    self_level: Level | None = None
    turns: tuple[TurnTimes, ...] = ()
    """The last answers, oldest first."""
    av_offset_ms: float | None = None
    """Positive: the picture is later than its sound."""
    buffer_ms: float | None = None
    buffer_target_ms: float | None = None
    packet_loss: float | None = None
    """Share of the last seconds' packets, 0 to 1."""
    warnings: tuple[str, ...] = ()
    """What is wrong at the moment, each one sentence that says what to do; the worst first."""


def figures(view: View) -> dict[str, Any]:
    """The view for `status`, fit for JSON: all but what was said in the conversation."""
    values = asdict(view)
    del values["lines"]
    values["draft"] = view.draft is not None
    values["turns"] = [round(turn.first_sound_ms) for turn in view.turns]
    for key in ("ears_level", "double_level", "self_level"):
        level = values.pop(key)
        values[f"{key}_dbfs"] = level and level["rms_dbfs"]
    return values
