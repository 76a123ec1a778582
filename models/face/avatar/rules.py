"""What a recording must be like, and how an avatar is made of it: every limit in one place."""

from dataclasses import dataclass
from typing import Literal

Version = Literal["1.5", "1.0"]


@dataclass(frozen=True, slots=True)
class Rules:
    version: Version = "1.5"
    """Of MuseTalk: 1.5 leaves a margin below the chin."""

    height_px: int = 720
    """Frames that are higher are scaled down to this."""
    shortest_s: float = 2.0
    longest_s: float = 60.0
    lowest_rate_hz: float = 20.0

    lowest_face_px: int = 96
    """Height of the face box. The mouth is drawn on 256 px; below this the drawn half is sharper than its face."""
    small_face_px: int = 140
    large_face_px: int = 300
    """Above this the drawn half is visibly softer than its face (facts of MuseTalk's users: issues 28, 244, 404)."""
    highest_face_px: int = 560
    """Above this the mouth is enlarged more than twice."""
    out_share: float = 0.02
    """How far the face box may leave the picture, in its own heights; what is outside repeats the edge."""

    turned_deg: float = 25.0
    tilted_deg: float = 20.0
    """The landmarks and the network have seen little beyond this."""
    closed_mouth: float = 0.08
    """Height between the inner lips by width of the mouth; lips that meet measure up to 0.07."""
    open_mouth: float = 0.13
    """A smile that shows the teeth measures 0.17."""
    mostly: float = 0.5
    """The share of frames from which on something counts as being so all the time."""
    few: float = 0.05
    """The share of frames up to which something is mended and not refused."""
    longest_gap_frames: int = 12
    """As long as this a face may be lost and is interpolated."""
    darkest_luma: float = 45.0
    """Median luma of the face, 16 to 235."""
    jump_share: float = 0.2
    """A face that moves by more than this share of its height from one frame to the next was cut."""
    cut_luma: float = 24.0
    """A picture whose luma changes by more than this, in the mean, and ten times more than it usually does was cut."""


DEFAULT_RULES = Rules()
