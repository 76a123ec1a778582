"""Marks that are found again behind codecs, networks and devices: a flash and a click that begin at the same moment.

Every marked beat is a white picture instead of a grey one, and its first sample is the onset of a short loud tone. The
distances between marked beats are pseudo-random, so no other shift than the true one fits. All pictures carry the
number of their beat; between the clicks a quiet voice goes on, because silence would be easy to conceal.
"""

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ, Image, Samples

SLOT_BEATS = 20
"""One mark in each slot of 0.8 s, somewhere in its first SPREAD_BEATS: marks are 0.52 to 1.08 s apart."""
SPREAD_BEATS = 8

CLICK_HZ = 1_000
CLICK_SAMPLES = SPEECH_RATE_HZ * 5 // 1_000
CLICK_PEAK = 0.8
CLICK_LEAST = 0.3
"""The voice stays far below this, and a click far above it, also after Opus."""
HALF_RISE_SAMPLES = round(SPEECH_RATE_HZ / CLICK_HZ / 12)
"""From its onset a sine takes a twelfth of its period to half of its peak."""

GREY, WHITE = 110, 230
FLASH_LUMA = 170
DARK, LIGHT = 40, 200
COUNTER_BITS = 12
CHECK_BITS = 4
CELLS = COUNTER_BITS + CHECK_BITS
COUNTER_PERIOD = 1 << COUNTER_BITS
"""The number of a beat is known up to this: 164 s."""

PIECE_SAMPLES = SPEECH_RATE_HZ * 3 // 10
"""A syllable of the voice takes 270 ms."""

FARTHEST_S = 2.0
"""The search for the shift between flashes and clicks goes no further."""
SAME_S = 0.06
MATCH_S = 0.2
"""A mark whose flash and click are further than this from the common shift counts as not found."""


class Marks:
    """The performance, beat by beat: a function of the position alone, for one seed."""

    def __init__(
        self,
        *,
        seed: int = 1,
        width_px: int = 640,
        height_px: int = 360,
        voice_peak: float = 0.02,
        click_peak: float = CLICK_PEAK,
    ) -> None:
        self._seed = seed
        self._click_peak = click_peak
        self._size_px = (width_px, height_px)
        self._voice_peak = voice_peak

    def marked(self, position: int) -> bool:
        """Whether this beat carries a flash and a click."""
        slot, place = divmod(position, SLOT_BEATS)
        return place == random.Random(f"{self._seed} {slot}").randrange(SPREAD_BEATS)

    def sound(self, position: int) -> Samples:
        """BEAT_SAMPLES of the voice, which goes on without a seam, and of the click if there is one."""
        samples = self._voice_peak * voice(position * BEAT_SAMPLES, BEAT_SAMPLES)
        if self.marked(position):
            samples[:CLICK_SAMPLES] += self._click_peak * np.sin(2 * np.pi * CLICK_HZ / SPEECH_RATE_HZ * _CLICK_TIMES)
        return samples

    def picture(self, position: int) -> Image:
        """I420: the flash in the upper three quarters, the counter in the rest."""
        width, height = self._size_px
        picture = np.full((height * 3 // 2, width), 128, np.uint8)
        picture[: height * 3 // 4] = WHITE if self.marked(position) else GREY
        value = position % COUNTER_PERIOD
        bits = [value >> bit & 1 for bit in range(COUNTER_BITS)] + [
            _check(value) >> bit & 1 for bit in range(CHECK_BITS)
        ]
        cells = np.where(np.array(bits), LIGHT, DARK).astype(np.uint8)
        picture[height * 3 // 4 : height] = cells[np.arange(width) * CELLS // width]
        return picture


def voice(start_samples: int, count: int) -> Samples:
    """`count` samples of something like a vowel at 140 Hz in syllables, with a peak near 1; without seams."""
    at_s = (start_samples + np.arange(count)) / SPEECH_RATE_HZ
    phase = 2 * np.pi * 140 * at_s + 3 * np.sin(2 * np.pi * 0.7 * at_s)
    tone = sum(np.sin(number * phase + number * number) / number for number in range(1, 9))
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 3.7 * at_s)
    return np.asarray(0.45 * syllables * tone, np.float32)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture shows."""

    luma: float
    """Mean of what flashes."""
    position: int | None
    """Of the beat, up to COUNTER_PERIOD; None when the picture carries no counter, or a damaged one."""
    print: int
    """A fingerprint: two pictures that differ have different ones, but for an accident."""

    @property
    def flash(self) -> bool:
        return self.luma > FLASH_LUMA


def look(picture: Image) -> Seen:
    """Read an I420 picture that Marks painted, also after scaling; it must have no bars. Takes 0.1 ms."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    luma = float(picture[height // 8 : height * 5 // 8 : 8, ::8].mean())
    rows = picture[height * 13 // 16 : height * 15 // 16 : 4].mean(axis=0)
    edges = np.arange(CELLS) * width // CELLS
    quarter = width // CELLS // 4
    levels = [rows[edge + quarter : edge + 3 * quarter].mean() for edge in edges]
    bits = [level > (DARK + LIGHT) / 2 for level in levels]
    sure = all(level < DARK + 40 or level > LIGHT - 40 for level in levels)
    value = sum(1 << bit for bit in range(COUNTER_BITS) if bits[bit])
    check = sum(1 << bit for bit in range(CHECK_BITS) if bits[COUNTER_BITS + bit])
    return Seen(luma, value if sure and check == _check(value) else None, zlib.crc32(picture[3::16, 3::16].tobytes()))


def flashes(shown: Sequence[tuple[float, Seen]]) -> NDArray[np.float64]:
    """When each flash began: the moments of the first white pictures."""
    onsets = [at_s for (at_s, seen), (_, before) in zip(shown[1:], shown, strict=False) if seen.flash > before.flash]
    return np.array(onsets, np.float64)


def clicks(samples: Samples) -> NDArray[np.int64]:
    """The places of the clicks' first samples, at SPEECH_RATE_HZ; good to 0.1 ms."""
    loud = np.flatnonzero(np.abs(samples) > CLICK_LEAST)
    if len(loud) == 0:
        return np.zeros(0, np.int64)
    first = loud[np.flatnonzero(np.diff(loud, prepend=loud[0] - BEAT_SAMPLES) >= BEAT_SAMPLES)]
    onsets = []
    for start in first:
        around = np.abs(samples[max(0, start - CLICK_SAMPLES) : start + CLICK_SAMPLES])
        half = np.flatnonzero(around > around.max() / 2)[0]
        onsets.append(max(0, start - CLICK_SAMPLES) + half - HALF_RISE_SAMPLES)
    return np.array(onsets, np.int64)


def pairs(flashes_s: NDArray[np.float64], clicks_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """[count, 2]: the moments of flash and click of every mark of which both were found."""
    distance = flashes_s[:, None] - clicks_s[None, :]
    shifts = distance[np.abs(distance) < FARTHEST_S]
    if len(shifts) == 0:
        return np.zeros((0, 2))
    agreeing = [np.sum(np.abs(shifts - shift) < SAME_S) for shift in shifts]
    best = np.median(shifts[np.abs(shifts - shifts[np.argmax(agreeing)]) < SAME_S])
    nearest = np.argmin(np.abs(distance - best), axis=1)
    found = [
        (flash_s, clicks_s[click])
        for flash_s, click in zip(flashes_s, nearest, strict=True)
        if abs(flash_s - clicks_s[click] - best) < MATCH_S
    ]
    return np.array(found, np.float64).reshape(-1, 2)


def largest_step(samples: Samples) -> float:
    """The largest difference of two neighbouring samples: a click is one that the signal itself does not have."""
    return float(np.abs(np.diff(samples)).max(initial=0.0))


def roughest(samples: Samples) -> float:
    """The highest level of what lies above 6 kHz in any 5 ms, where the voice has nothing and a click has most."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, CLICK_SAMPLES)[:: CLICK_SAMPLES // 2]
    spectra = np.abs(np.fft.rfft(windows * np.hanning(CLICK_SAMPLES), axis=1))
    high = spectra[:, 6_000 * CLICK_SAMPLES // SPEECH_RATE_HZ :]
    return float(np.sqrt((high**2).sum(axis=1).max(initial=0.0)) / CLICK_SAMPLES)


def usual(figure: Callable[[Samples], float], samples: Samples) -> float:
    """The median of `figure` over pieces as long as a syllable: one accident among them does not count."""
    pieces = range(0, len(samples) - PIECE_SAMPLES + 1, PIECE_SAMPLES)
    return float(np.median([figure(samples[start : start + PIECE_SAMPLES]) for start in pieces]))


def longest_freeze_s(shown: Sequence[tuple[float, Seen]]) -> float:
    """The longest time for which the picture did not change."""
    changes = [at_s for (at_s, seen), (_, before) in zip(shown[1:], shown, strict=False) if seen.print != before.print]
    return float(np.diff(changes).max(initial=0.0)) if changes else float("inf")


_CLICK_TIMES = np.arange(CLICK_SAMPLES, dtype=np.float32)


def _check(value: int) -> int:
    """Four bits that tell a counter from another picture; neither all dark nor all light for most values."""
    return (value * 7 + (value >> 5) * 3 + 5) % 15 + 1
