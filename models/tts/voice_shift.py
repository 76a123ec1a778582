"""Another pitch and other formants for a voice, by the WORLD vocoder (Morise, Yokomori, Ozawa 2016).

The sound is taken apart into pitch, spectral envelope and aperiodicity every 5 ms, and put together again with the
pitch multiplied and both spectra stretched along the frequency: what a longer or a shorter throat does. The length does
not change, so phonemes stay where they are. WORLD takes 0.05 s of computing for a second at 24 kHz, and lets go of the
interpreter while it computes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineUnavailable
from models.interfaces import Samples

_FRAMES_AT_ONCE: Final = 100
"""0.5 s of sound, 16 ms of computing: then it looks whether to stop."""
_FEWEST_SAMPLES: Final = 1_024

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VoiceShift:
    """How much higher the pitch and how much shorter the throat is; 1 changes nothing."""

    pitch_ratio: float = 1.0
    formant_ratio: float = 1.0

    @property
    def changes(self) -> bool:
        return (self.pitch_ratio, self.formant_ratio) != (1.0, 1.0)


UNCHANGED: Final = VoiceShift()


@dataclass(frozen=True, slots=True)
class Voiceprint:
    """A sound taken apart: per frame of 5 ms the pitch in Hz (0 where there is none), power and noise of each bin."""

    length: int
    rate_hz: int
    pitch_hz: Floats
    envelope: Floats
    noise: Floats


def _go_on() -> bool:
    return False


def taken_apart(samples: Samples, rate_hz: int, stopped: Callable[[], bool] = _go_on) -> Voiceprint | None:
    """What `samples` are made of; None when `stopped` says so on the way, or they are too short to tell."""
    if len(samples) < _FEWEST_SAMPLES:
        return None
    world = require_world()
    sound = np.asarray(samples, np.float64)
    rough_hz, times_s = world.dio(sound, rate_hz)
    pitch_hz = world.stonemask(sound, rough_hz, times_s, rate_hz)
    spectra: list[Floats] = []
    noises: list[Floats] = []
    for frames in _portions(len(times_s)):
        if stopped():
            return None
        spectra.append(world.cheaptrick(sound, pitch_hz[frames], times_s[frames], rate_hz))
        noises.append(world.d4c(sound, pitch_hz[frames], times_s[frames], rate_hz))
    return Voiceprint(len(samples), rate_hz, pitch_hz, np.concatenate(spectra), np.concatenate(noises))


def put_together(print_: Voiceprint, shift: VoiceShift) -> Samples:
    """The sound of `print_` with another pitch and other formants, as long as it was."""
    envelope, noise = print_.envelope, print_.noise
    if shift.formant_ratio != 1.0:
        envelope, noise = _stretched(envelope, shift.formant_ratio), _stretched(noise, shift.formant_ratio)
    sound = require_world().synthesize(print_.pitch_hz * shift.pitch_ratio, envelope, noise, print_.rate_hz)
    return np.pad(np.asarray(sound[: print_.length], np.float32), (0, max(0, print_.length - len(sound))))


def shifted(samples: Samples, rate_hz: int, shift: VoiceShift, stopped: Callable[[], bool] = _go_on) -> Samples:
    """`samples` in another voice; as they are when `stopped` says so, or when they are too short to have a voice."""
    print_ = taken_apart(samples, rate_hz, stopped) if shift.changes else None
    return samples if print_ is None else put_together(print_, shift)


def median_pitch_hz(print_: Voiceprint) -> float | None:
    """The middle of the pitches; None for a sound without any."""
    voiced = print_.pitch_hz[print_.pitch_hz > 0]
    return float(np.median(voiced)) if len(voiced) else None


def require_world() -> Any:
    """The package pyworld. Raises EngineUnavailable."""
    try:
        import pyworld
    except ImportError:
        raise EngineUnavailable(
            "A matched voice needs the package pyworld; run `python -m pip install -c constraints.txt -e "
            "'.[voice-match]'` in the checkout."
        ) from None
    module: ModuleType = pyworld
    return module


def _portions(frames: int) -> Iterator[slice]:
    for start in range(0, frames, _FRAMES_AT_ONCE):
        yield slice(start, start + _FRAMES_AT_ONCE)


def _stretched(spectra: Floats, ratio: float) -> Floats:
    """Every bin moved to `ratio` times its frequency."""
    places = np.minimum(np.arange(spectra.shape[1]) / ratio, spectra.shape[1] - 1)
    below = np.minimum(places.astype(int), spectra.shape[1] - 2)
    above = places - below
    return np.ascontiguousarray(spectra[:, below] * (1 - above) + spectra[:, below + 1] * above)
