"""Recordings of a voice: read any sound file, write WAV files."""

import io
import wave
from pathlib import Path
from typing import Final

import numpy as np
import soxr

from models.errors import EngineFailed
from models.interfaces import Samples

_LONGEST_S: Final = 600


def read_recording(path: Path) -> tuple[Samples, int]:
    """Mono samples and their rate in Hz, of whatever FFmpeg reads. Raises EngineFailed."""
    import av

    parts: list[Samples] = []
    rate_hz = length = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise EngineFailed(f"There is no sound in {path}.")
            resampler = av.AudioResampler(format="flt", layout="mono")
            for frame in container.decode(container.streams.audio[0]):
                rate_hz = frame.sample_rate
                for mono in resampler.resample(frame):
                    parts.append(mono.to_ndarray()[0])
                    length += len(parts[-1])
                if length > _LONGEST_S * rate_hz:
                    raise EngineFailed(f"{path} lasts over {_LONGEST_S // 60} minutes; cut out 10 to 20 s.")
    except (OSError, ValueError) as error:  # FFmpeg's errors are one or the other
        reason = getattr(error, "strerror", None) or "it is no sound file"
        raise EngineFailed(f"{path} cannot be read: {reason}.") from None
    if not length:
        raise EngineFailed(f"There is no sound in {path}.")
    return np.concatenate(parts), rate_hz


def resampled(samples: Samples, rate_hz: int, to_hz: int) -> Samples:
    """The whole of `samples` at another rate."""
    return np.asarray(soxr.resample(samples, rate_hz, to_hz, quality="HQ"), np.float32)


def wav_bytes(samples: Samples, rate_hz: int) -> bytes:
    """A mono 16-bit WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return file.getvalue()
