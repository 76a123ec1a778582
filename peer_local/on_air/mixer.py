"""Who is heard: the double, the real user's own voice, or nobody, and from one to another without a click."""

import logging
import threading
from collections.abc import Callable

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.interfaces import SoundSource, Who
from peer_local.on_air.meter import Level, Meter

logger = logging.getLogger(__name__)

FADE_SAMPLES = SPEECH_RATE_HZ // 100
"""10 ms: the length of every change."""
Tap = Callable[[Samples, float], None]
"""Gets what was put out, read-only, and when its first sample is heard; on the device's thread. Must not block."""

_RAMP = (0.5 - 0.5 * np.cos(np.pi * np.arange(FADE_SAMPLES + 1) / FADE_SAMPLES)).astype(np.float32)
"""Gain by how much of a fade is done. What comes and what goes add up to 1, so that no step grows above the sources'
own by more than the ramp's slope."""
_FALL = 1 - _RAMP[1:]


class _Channel:
    """One source and how far it is faded in; used on the device's thread only."""

    def __init__(self, source: SoundSource) -> None:
        self.source = source
        self.faded = 0
        """Samples of the fade that are done: 0 is silent, FADE_SAMPLES is full."""
        self.failing = False
        self._last = 0.0

    def pull(self, count: int, at_s: float, *, on: bool) -> Samples:
        """The source's next samples with their gain. Raises what the source raises, and ValueError for nonsense."""
        samples = np.asarray(self.source.pull(count, at_s), np.float32)
        if samples.shape != (count,) or not np.isfinite(samples).all():
            raise ValueError("not the samples that were asked for")
        goal = FADE_SAMPLES if on else 0
        if self.faded != goal:
            steps = np.arange(1, count + 1)
            way = np.minimum(self.faded + steps, goal) if on else np.maximum(self.faded - steps, goal)
            samples = samples * _RAMP[way]
            self.faded = int(way[-1]) if count else self.faded
        elif not on:
            samples = np.zeros(count, np.float32)
        self._last = float(samples[-1]) if count else self._last
        self.failing = False
        return samples

    def give_way(self, count: int) -> Samples:
        """What is heard instead of a source that failed: its last sample, fading out. It fades in when it is back."""
        samples = np.zeros(count, np.float32)
        length = min(count, FADE_SAMPLES)
        samples[:length] = self._last * _FALL[:length]
        self._last = float(samples[-1]) if count else self._last
        self.faded = 0
        return samples


class Mixer:
    """A SoundSource over the double's sound and the user's own voice.

    Both are pulled all the time, so that neither falls behind while the other is heard. `switch`, `play` and the taps
    may be changed from any thread; a change begins with the next pull and takes FADE_SAMPLES. Budget: 0.1 ms for 20 ms
    of sound besides the sources' own. A source that raises or returns nonsense is silent and counted in `failures`.
    """

    def __init__(self, *, own_voice: SoundSource | None = None, who: Who = "double") -> None:
        self._changes = threading.Lock()  # held for an assignment, never while samples are made
        self._double: _Channel | None = None
        self._own_voice = _Channel(own_voice) if own_voice is not None else None
        self._leaving: list[_Channel] = []
        self._taps: tuple[Tap, ...] = ()
        self._failed_taps: set[int] = set()
        self._meter = Meter()
        self._who: Who = who
        self.failures = 0
        """Pulls that a source failed, and calls that a tap failed."""

    @property
    def who(self) -> Who:
        """Who is on air."""
        return self._who

    @property
    def level(self) -> Level:
        """Of what is put out."""
        return self._meter.level

    def switch(self, who: Who) -> None:
        """Put `who` on air."""
        self._who = who

    def play(self, double: SoundSource | None) -> None:
        """Take the double's sound from here from now on: each connection has its own player. None is silence."""
        with self._changes:
            if self._double is not None and self._double.faded:
                self._leaving.append(self._double)
            self._double = _Channel(double) if double is not None else None

    def add_tap(self, tap: Tap) -> None:
        """Give `tap` everything that is put out from now on."""
        with self._changes:
            self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        with self._changes:
            self._taps = tuple(each for each in self._taps if each != tap)

    def pull(self, count: int, at_s: float) -> Samples:
        """The next `count` samples; the first of them is heard at `at_s`."""
        with self._changes:
            double, leaving, who, taps = self._double, list(self._leaving), self._who, self._taps
        mixed = np.zeros(count, np.float32)
        for channel, on in ((double, who == "double"), (self._own_voice, who == "self")):
            if channel is not None:
                mixed += self._pull(channel, count, at_s, on=on)
        for channel in leaving:
            mixed += self._pull(channel, count, at_s, on=False)
        if leaving:
            with self._changes:
                self._leaving = [channel for channel in self._leaving if channel.faded]
        np.clip(mixed, -1, 1, out=mixed)
        mixed.flags.writeable = False
        self._meter.push(mixed)
        for tap in taps:
            try:
                tap(mixed, at_s)
            except Exception as error:
                self.failures += 1
                if id(tap) not in self._failed_taps:
                    self._failed_taps.add(id(tap))
                    logger.error("tap_failed", extra={"error": type(error).__name__})
        return mixed

    def _pull(self, channel: _Channel, count: int, at_s: float, *, on: bool) -> Samples:
        try:
            return channel.pull(count, at_s, on=on)
        except Exception as error:
            self.failures += 1
            if not channel.failing:
                channel.failing = True
                logger.error("sound_source_failed", extra={"error": type(error).__name__})
            return channel.give_way(count)
