"""Coordinates on the face of a portrait: along and across, whichever way the head is tilted in the photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.host.brush import resampled
from models.face.landmark_table import (
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
)
from models.interfaces import Image

Floats = NDArray[np.float32]

_CURVE_POINTS = 64
_OFFSETS = 17
_BEND = 3.0
"""What a step of one offset between neighbouring points of a line costs, in levels of brightness."""
_BLUR_SHARE = 0.04
"""Sigma in which brightness is compared, in lengths of the line."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceFrame:
    """Axes along the line of the eyes (a, to the picture's right) and down the face (b), in px of the sheet."""

    origin: Floats
    along: Floats
    """The unit vector of a."""

    @property
    def down(self) -> Floats:
        """The unit vector of b."""
        return np.array([-self.along[1], self.along[0]], np.float32)

    def place(self, points: Floats) -> Floats:
        """a and b [..., 2] of points of the sheet [..., 2 or 3]."""
        flat = points[..., :2] - self.origin
        return np.stack((flat @ self.along, flat @ self.down), axis=-1)

    def vectors(self, a: Floats, b: Floats) -> Floats:
        """Displacements by a and b as displacements in the sheet [..., 2]."""
        return np.asarray(a[..., None] * self.along + b[..., None] * self.down, np.float32)

    def back(self, place: Floats) -> Floats:
        """The point of the sheet at (a, b)."""
        return np.asarray(self.origin + self.vectors(place[..., 0], place[..., 1]), np.float32)


def eye_centres(points: Floats) -> tuple[Floats, Floats]:
    """The middle of each eye, left one first, [2] each."""
    left = points[[*EYE_LEFT_UPPER, *EYE_LEFT_LOWER], :2].mean(axis=0)
    right = points[[*EYE_RIGHT_UPPER, *EYE_RIGHT_LOWER], :2].mean(axis=0)
    return left, right


def eye_distance_px(points: Floats) -> float:
    """Between the middles of the eyes: 63 mm on a grown person, the measure of everything else on the face."""
    left, right = eye_centres(points)
    return float(np.hypot(*(right - left)))


def face_frame(points: Floats, origin: Floats) -> FaceFrame:
    left, right = eye_centres(points)
    return FaceFrame(np.asarray(origin[:2], np.float32), np.asarray((right - left) / np.hypot(*(right - left))))


class Curve:
    """A line across the face, b as a function of a; level beyond its ends."""

    def __init__(self, points: Floats) -> None:
        """Through `points` [n, 2] (a, b), smoothly."""
        order = np.argsort(points[:, 0])
        dense = resampled([(float(a), float(b)) for a, b in points[order]], _CURVE_POINTS)
        a = np.maximum.accumulate(dense[:, 0])
        self._a, self._b = a.astype(np.float32), dense[:, 1].astype(np.float32)

    @classmethod
    def of(cls, frame: FaceFrame, points: Floats, indices: Sequence[int]) -> "Curve":
        return cls(frame.place(points[list(indices)]))

    def along(self, count: int) -> Floats:
        """`count` points [count, 2] (a, b), evenly in a."""
        a = np.linspace(self._a[0], self._a[-1], count, dtype=np.float32)
        return np.stack((a, self.at(a)), axis=-1)

    def at(self, a: Floats) -> Floats:
        return np.interp(a, self._a, self._b).astype(np.float32)


def darkest_line(rgb: Image, frame: FaceFrame, line: Floats, reach_px: float) -> Curve:
    """The darkest smooth line in a picture within `reach_px` of `line` [n, 2] (a, b).

    Its ends are trusted more than its middle: there the line is thin, and what is beside it is dark too.
    """
    a, b = line[:, 0], line[:, 1]
    offsets = np.linspace(-reach_px, reach_px, _OFFSETS, dtype=np.float32)
    places = frame.back(np.stack(np.broadcast_arrays(a[None], b[None] + offsets[:, None]), axis=-1))
    half_px = float(a[-1] - a[0]) / 2
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), max(0.4, _BLUR_SHARE * half_px / 5))
    luma = cv2.remap(grey, places, None, cv2.INTER_LINEAR).astype(np.float32)
    off = np.abs(offsets[:, None]) / reach_px
    ends = np.abs(a - (a[0] + a[-1]) / 2) / half_px
    cost = luma - luma.min(axis=0) + 6.0 * off**2 + 40.0 * off * ends**6
    found = b + offsets[_cheapest_path(np.asarray(cost, np.float32))]
    found[2:-2] = np.convolve(found, np.ones(5, np.float32) / 5, "valid")
    return Curve(np.asarray(np.stack((a, found), axis=-1)[::2], np.float32))


def _cheapest_path(cost: Floats) -> NDArray[np.int64]:
    """The row for each column that costs least in all, where a step between columns costs _BEND per row."""
    rows = np.arange(len(cost))
    steps = _BEND * np.abs(rows[:, None] - rows[None])
    total, came = cost[:, 0], []
    for column in cost.T[1:]:
        ways = total[None] + steps
        came.append(ways.argmin(axis=1))
        total = ways.min(axis=1) + column
    path = [int(total.argmin())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])
