"""What can be chosen about MuseTalk."""

from dataclasses import dataclass
from typing import Literal

Version = Literal["1.5", "1.0"]
DecoderName = Literal["sd", "taesd"]
Edge = Literal["zero", "repeat"]
Size = Literal["full", "tiny"]
"""tiny networks are for tests."""


@dataclass(frozen=True, slots=True)
class MuseTalkConfig:
    """The published behaviour of MuseTalk 1.5; the other values are for comparing, mostly with 1.0."""

    version: Version = "1.5"
    decoder: DecoderName = "sd"
    """Stable Diffusion's own decoder, or TAESD, which is several times faster and a little softer."""
    pos_enc: bool = True
    """Add a position to each token of a window: the inference code does, the training code did not."""
    final_layer_norm: bool = True
    """Take Whisper's last layer after its norm; MuseTalk 1.0 was made with the one before it."""
    edge: Edge = "zero"
    """What stands before the first and behind the last feature; MuseTalk 1.0 was made with the outermost ones."""
