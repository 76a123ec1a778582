"""What the parts of the laptop's side agree on: who pulls sound, who is shown pictures, and in which time.

Sound is mono float32 in [-1, 1] at SPEECH_RATE_HZ, pictures are planar I420: uint8 [height * 3 // 2, width].
Three times occur, and names say which: `_s` alone is the laptop's monotonic clock (`time.monotonic`), `media_s` is the
performer's time (seconds since 1970 counted in media samples, as its sender reports give it), and `_samples` counts.

    packets ─► player ──┐                       ┌─► sound outputs   (the first one is the master of time)
    microphone ─────────┼─► mixer ── pull() ────┤
                        │                       └─► recorder
    pictures ─► gallery ┼─► director ─ show() ──┬─► camera
    webcam, card ───────┘                       └─► recorder
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from models.interfaces import Image, Samples

Who = Literal["double", "self", "nobody"]
"""Who is seen and heard in the call: the double, the real user, or nobody: black and silence."""


class SoundSource(Protocol):
    """What a sound output plays."""

    def pull(self, count: int, at_s: float) -> Samples:
        """The next `count` samples; the first of them is heard at `at_s`.

        Called on the device's own thread, in order. Never blocks, never raises; costs under 1 ms for 20 ms of sound.
        """
        ...


class SoundOutput(Protocol):
    """A device that plays, at its own clock's pace."""

    @property
    def name(self) -> str: ...

    @property
    def alive(self) -> bool:
        """False once the device is gone; it does not come back by itself."""
        ...

    def close(self) -> None:
        """Stop pulling; returns when the last pull has ended."""
        ...


OpenSoundOutput = Callable[[SoundSource], SoundOutput]
"""Starts to play a source. Raises DeviceError."""


class SoundListener(Protocol):
    """Takes what a sound input records."""

    def push(self, samples: Samples, at_s: float) -> None:
        """Take mono samples at the input's rate, the first of them recorded at `at_s`; on the device's thread."""
        ...


class SoundInput(Protocol):
    """A device that records: a microphone, the call's own sound, a file."""

    @property
    def name(self) -> str: ...

    @property
    def alive(self) -> bool: ...

    def close(self) -> None: ...


OpenSoundInput = Callable[[SoundListener, int], SoundInput]
"""Starts to record at the given rate in Hz. Raises DeviceError."""


class PictureOutput(Protocol):
    """Something that shows pictures at a fixed size and rate for as long as it lives."""

    @property
    def name(self) -> str: ...

    def show(self, image: Image, at_s: float) -> None:
        """Show `image`, I420 of the output's size, at `at_s`. Raises DeviceError when the device is gone."""
        ...

    def close(self) -> None: ...


class PictureInput(Protocol):
    """A webcam."""

    @property
    def alive(self) -> bool: ...

    def latest(self) -> Image | None:
        """The newest picture, I420 of the camera's own size; None before the first and when none came for 1 s."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One media packet as it arrived, retransmissions unwrapped."""

    sequence: int
    """Extended: never wraps."""
    timestamp: int
    """In ticks of the track's clock; extended, never wraps."""
    marker: bool
    """On video: the last packet of its picture."""
    payload: bytes
    """What the decoder takes: the codec's payload header is already taken off."""
    arrived_s: float


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`timestamp` (extended) of one track was `media_s` of the performer's time (RFC 3550, 6.4.1)."""

    timestamp: int
    media_s: float
