"""The last resort for a clip in which no pose returns: it runs forth and back, slowing down before it turns."""

import numpy as np

from models.face.avatar.film import Mix, Plan
from models.face.avatar.likeness import Clips
from models.face.avatar.smoothing import Floats

_EASE_FRAMES = 12


def forth_and_back(distance: Floats, clips: Clips) -> Plan:
    """The main clip forwards and backwards, turning where it moves least, and slowly."""
    count = clips.lengths[0]
    moving = np.convolve(np.diagonal(distance, 1)[: count - 1], np.ones(5) / 5, mode="same")
    margin = max(1, count // 5)
    first = int(np.argmin(moving[:margin]))
    last = count - 1 - int(np.argmin(moving[::-1][:margin]))
    places = eased_places(first, last)
    frames: dict[Mix, int] = {}
    way = [frames.setdefault(_between(place), len(frames)) for place in places]
    schedule = np.array(way + way[-2:0:-1], np.int32)
    return Plan(tuple(frames), schedule, "ping-pong", (), 0.0, tuple(range(1, len(clips.lengths))))


def eased_places(first: int, last: int) -> list[float]:
    """Places from `first` to `last`, one frame apart in the middle and nearer towards both ends."""
    ease = min(_EASE_FRAMES, last - first)
    steps = np.arange(ease) + 0.5
    # Speed rises like half a cosine, so that place and speed are without a jump; the sum of these steps is ease / 2.
    speeds = (1 - np.cos(np.pi * steps / ease)) / 2
    away = np.concatenate(([0.0], np.cumsum(speeds)))
    middle = np.arange(1, max(0, round(last - first - 2 * away[-1])) + 1)
    stretch = (last - first - 2 * away[-1]) / max(1, len(middle))
    ahead = first + np.concatenate((away, away[-1] + middle * stretch))
    back = last - away[::-1][1:]
    return [float(place) for place in np.concatenate((ahead, back))]


def _between(place: float) -> Mix:
    """The frame at a place between two frames, to a quarter."""
    low = int(np.floor(place))
    weight = round((place - low) * 4) / 4
    return Mix(low + 1, low + 1, 0.0) if weight == 1 else Mix(low, low + (weight > 0), weight)
