"""The endless film of an avatar: which frames it has, and in which order they are shown."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["loop", "mixture", "ping-pong", "still"]

FADE_FRAMES = 10
"""0.4 s: as long as a small movement of the head takes."""


@dataclass(frozen=True, slots=True)
class Mix:
    """A frame of the avatar: source frame `first`, or a blend of it and `second`."""

    first: int
    second: int
    weight: float
    """Of `second`, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which frames an avatar has and in which order they are shown."""

    frames: tuple[Mix, ...]
    schedule: NDArray[np.int32]
    kind: Kind
    seams: tuple[int, ...]
    """Positions of the schedule at which a fade begins."""
    seam_distance: float
    """The largest pose distance that a fade bridges, in heights of the face."""
    left_out: tuple[int, ...] = ()
    """Clips that never come near the others' pose."""


def round_about(count: int) -> Plan:
    """A clip that is a seamless loop already."""
    frames = tuple(Mix(frame, frame, 0.0) for frame in range(count))
    return Plan(frames, np.arange(count, dtype=np.int32), "loop" if count > 1 else "still", (), 0.0)
