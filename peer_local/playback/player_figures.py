"""What a SpeechPlayer tells about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlayerFigures:
    """How playing goes; everything that counts does so since the beginning."""

    playing: bool
    buffer_ms: float
    """Sound that is received and not yet taken by the device, on average."""
    target_ms: float
    jitter_ms: float
    """How much later than the fastest packets 97 % of them came, over the last 4 s."""
    drift_ppm: float
    """How much faster the sender's clock runs than the device's; 0 until it is known."""
    ratio: float
    received: int
    lost: int
    """Packets that have never come."""
    late: int
    """Packets that came when their time was over."""
    duplicates: int
    broken: int
    concealed_ms: float
    """Sound made up, silence that came of it included."""
    silent_concealed_ms: float
    inserted_ms: float
    removed_ms: float
    rebuffered: int
    """How often playing had to begin anew."""
    restarts: int
    """How often the sender began anew."""
    overflowed: int
    interruptions: int
    """How often the device stopped asking, or was exchanged."""
