"""Where the lips of a portrait are, and the line along which they part."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.landmark_table import (
    CHEEK_LEFT_SKIN,
    CHEEK_RIGHT_SKIN,
    CHIN,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    NOSE_BASE,
)
from models.face.portrait import Portrait
from models.face.puppet_frame import Curve, FaceFrame, eye_distance_px, face_frame

Floats = NDArray[np.float32]

_PARTED = 0.05
"""Lips further apart than this in the photo, in eye distances, show teeth or the inside of the mouth."""
_INSIDE_SHARE = 0.35
_LINE_POINTS, _LINE_OFFSETS = 41, 17
_LINE_REACH = 0.4
"""How far from the mesh's line the dark line of shut lips is looked for, in thicknesses of the thinner lip."""
_LINE_BEND = 3.0
"""What a step of one offset between neighbouring points costs, in levels of brightness."""


class MouthLines:
    """Where the lips of a portrait are, in coordinates (a, b) whose origin is the middle of the line of the lips."""

    def __init__(self, portrait: Portrait) -> None:
        points = portrait.points
        middle = points[[*LIPS_INNER_UPPER[4:7], *LIPS_INNER_LOWER[4:7]], :2].mean(axis=0)
        self.frame: FaceFrame = face_frame(points, middle)
        self.eye_distance = eye_distance_px(points)
        place = self.frame.place(points)
        self.upper = Curve(place[list(LIPS_INNER_UPPER)])
        self.lower = Curve(place[list(LIPS_INNER_LOWER)])
        self.top = Curve(place[list(LIPS_OUTER_UPPER)])
        self.bottom = Curve(place[list(LIPS_OUTER_LOWER)])
        self.left, self.right = float(place[LIPS_INNER_UPPER[0], 0]), float(place[LIPS_INNER_UPPER[-1], 0])
        self.half_width = (self.right - self.left) / 2
        self.chin = float(place[CHIN, 1])
        self.nose = float(place[NOSE_BASE, 1])
        self.parted = self._mean_gap() > _PARTED * self.eye_distance and self._shows_inside(portrait)
        """Whether the photo shows what is between the lips."""
        if not self.parted:
            self.upper = self.lower = self._shut_line(portrait)
        zero = np.zeros(1, np.float32)
        self.upper_lip = max(2.0, float((self.upper.at(zero) - self.top.at(zero))[0]))
        self.lower_lip = max(2.0, float((self.bottom.at(zero) - self.lower.at(zero))[0]))
        ends = self.upper.at(np.array([self.left, self.right], np.float32))
        self.smile = max(0.0, float(self.upper.at(zero)[0] - ends.mean()))
        """How far the corners are above the middle of the upper lip's edge."""

    def share(self, a: Floats) -> Floats:
        """How far toward a corner: -1 at the left one, 1 at the right one, 0 in the middle."""
        return np.asarray(np.where(a < 0, a / -self.left, a / self.right), np.float32)

    def _mean_gap(self) -> float:
        a = np.linspace(-0.4, 0.4, 9, dtype=np.float32) * self.half_width
        return float((self.lower.at(a) - self.upper.at(a)).mean())

    def _shows_inside(self, portrait: Portrait) -> bool:
        """Whether what the mesh sees between the lips is not lip: teeth, less red than skin, or the dark.

        The mesh sees a gap between the shut lips of a smile, too.
        """
        a = np.linspace(-0.6, 0.6, _LINE_POINTS, dtype=np.float32) * self.half_width
        shares = np.linspace(0.2, 0.8, _LINE_OFFSETS, dtype=np.float32)[:, None]
        b = self.upper.at(a) * (1 - shares) + self.lower.at(a) * shares
        lab = cv2.cvtColor(portrait.pixels, cv2.COLOR_RGB2LAB).astype(np.float32)
        cheeks = portrait.points[[*CHEEK_LEFT_SKIN, *CHEEK_RIGHT_SKIN], :2]
        skin = cv2.remap(lab, cheeks[None], None, cv2.INTER_LINEAR).mean(axis=(0, 1))
        places = self.frame.back(np.stack(np.broadcast_arrays(a[None], b), axis=-1))
        light, red, _ = np.moveaxis(cv2.remap(lab, places, None, cv2.INTER_LINEAR), -1, 0)
        inside = (red < skin[1] - 1) | (light < 0.5 * skin[0])
        return float(inside.mean()) > _INSIDE_SHARE

    def _shut_line(self, portrait: Portrait) -> Curve:
        """The line where shut lips meet: the darkest one near where the mesh sees it.

        A line that is off by two px would leave a strip of one lip on the other when they part.
        """
        a = np.linspace(self.left, self.right, _LINE_POINTS, dtype=np.float32)
        mean = (self.upper.at(a) + self.lower.at(a)) / 2
        thickness = min(
            float((mean - self.top.at(a))[_LINE_POINTS // 2]), float((self.bottom.at(a) - mean)[_LINE_POINTS // 2])
        )
        reach = max(2.0, _LINE_REACH * thickness, 0.6 * self._mean_gap())
        offsets = np.linspace(-reach, reach, _LINE_OFFSETS, dtype=np.float32)
        places = np.stack(np.broadcast_arrays(a[None], mean[None] + offsets[:, None]), axis=-1)
        grey = cv2.GaussianBlur(cv2.cvtColor(portrait.pixels, cv2.COLOR_RGB2GRAY), (0, 0), 0.006 * self.eye_distance)
        luma = cv2.remap(grey, self.frame.back(places), None, cv2.INTER_LINEAR).astype(np.float32)
        # toward the corners the line is trusted less, and the mesh more
        cost = luma - luma.min(axis=0) + 6.0 * (offsets[:, None] / offsets[-1]) ** 2
        cost += 40.0 * np.abs(self.share(a)) ** 6 * np.abs(offsets[:, None] / offsets[-1])
        found = mean + offsets[_cheapest_path(cost, _LINE_BEND)]
        kernel = np.ones(5, np.float32) / 5
        found[2:-2] = np.convolve(found, kernel, "valid")
        return Curve(np.asarray(np.stack((a, found), axis=-1)[::2], np.float32))


def _cheapest_path(cost: Floats, bend: float) -> NDArray[np.int64]:
    """The row for each column that costs least in all, where a step between columns costs `bend` per row."""
    rows = np.arange(len(cost))
    steps = bend * np.abs(rows[:, None] - rows[None])
    total, came = cost[:, 0], []
    for column in cost.T[1:]:
        ways = total[None] + steps
        came.append(ways.argmin(axis=1))
        total = ways.min(axis=1) + column
    path = [int(total.argmin())]
    for back in reversed(came):
        path.append(int(back[path[-1]]))
    return np.array(path[::-1])
