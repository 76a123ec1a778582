"""Coordinates on the face of a portrait: along and across, whichever way the head is tilted in the photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.face.host_brush import resampled
from models.face.landmark_table import (
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
)

Floats = NDArray[np.float32]

_CURVE_POINTS = 64


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

    def at(self, a: Floats) -> Floats:
        return np.interp(a, self._a, self._b).astype(np.float32)
