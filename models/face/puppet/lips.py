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
from models.face.puppet.frame import Curve, FaceFrame, darkest_line, eye_distance_px, face_frame
from models.face.puppet.portrait import Portrait

Floats = NDArray[np.float32]

_LINE_POINTS, _LINE_SPAN = 41, 0.94
_INSIDE_STEPS = 61
_THIN_TEETH, _THIN_DARK = 0.011, 0.045
"""How thick teeth, or the dark, between the lips must be to be more than a line, in eye distances."""
_OPEN_SHARE = 0.6
_DARK = 0.45
"""The inside of a mouth is darker than this share of the skin's lightness."""
_GREY, _GREY_GAP = 5.0, 0.1
"""A skin with less colour than this (Lab) is that of a black and white photo, in which the mesh must see a gap of so
many eye distances."""
_LINE_REACH = 0.4
"""How far from the mesh's line the dark line of shut lips is looked for, in thicknesses of the thinner lip."""


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
        edges = self._edges_of_inside(portrait)
        self.parted = edges is not None
        """Whether the photo shows what is between the lips."""
        if edges is not None:
            self.upper, self.lower = edges
        else:
            self.upper = self.lower = self._shut_line(portrait)
        self.gap = self._mean_gap() / self.eye_distance
        """Between the lips in the photo, in eye distances: 0 for a shut mouth, 0.16 for a broad smile with teeth."""
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

    def _edges_of_inside(self, portrait: Portrait) -> tuple[Curve, Curve] | None:
        """The edges of the upper and of the lower lip of a mouth that is not shut; None for one that is.

        The mesh is no help here: it sees a gap between the shut lips of a smile, and none where teeth shine through.
        """
        shares = np.linspace(-_LINE_SPAN, _LINE_SPAN, _LINE_POINTS, dtype=np.float32)
        a = np.where(shares < 0, -shares * self.left, shares * self.right).astype(np.float32)
        top, bottom = self.top.at(a), self.bottom.at(a)
        steps = np.linspace(0.08, 0.92, _INSIDE_STEPS, dtype=np.float32)[:, None]
        b = top + steps * (bottom - top)
        teeth, dark = self._teeth_and_dark(portrait, np.stack(np.broadcast_arrays(a[None], b), axis=-1))
        first, last = (np.zeros(len(a), int) for _ in range(2))
        for column, inside in enumerate((teeth | dark).T):
            first[column], last[column] = _longest_run(inside)
        columns = np.arange(len(a))
        start, end = b[first, columns], b[np.maximum(last - 1, first), columns]
        thick = np.where(last > first, end - start, 0) / self.eye_distance
        toothed = np.array(
            [
                teeth[low:high, column].mean() if high > low else 0.0
                for column, (low, high) in enumerate(zip(first, last, strict=True))
            ]
        )
        open_ = ((thick > _THIN_TEETH) & (toothed > 0.3)) | (thick > _THIN_DARK)
        central = np.abs(shares) < 0.6
        if open_[central].mean() < _OPEN_SHARE:
            return None
        # Gums and the shade of a lip are neither teeth nor dark, and the mesh sees those well.
        upper, lower = self.upper.at(a), self.lower.at(a)
        start = np.where(open_, np.minimum(start, upper), upper)
        end = np.where(open_, np.maximum(end, lower), lower)
        corner = np.array([[self.left, self.upper.at(a[:1] * 2)[0]], [self.right, self.upper.at(a[-1:] * 2)[0]]])
        return self._edge(a, _calm(start), corner), self._edge(a, _calm(end), corner)

    def _edge(self, a: Floats, b: Floats, corners: Floats) -> Curve:
        line = np.stack((a, b), axis=-1)[::3]
        return Curve(np.asarray(np.concatenate((corners[:1], line, corners[1:])), np.float32))

    def _teeth_and_dark(self, portrait: Portrait, places: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of the places (a, b) are teeth, less red than skin, and which are the dark of the mouth."""
        lab = cv2.GaussianBlur(portrait.pixels, (0, 0), max(0.4, 0.004 * self.eye_distance))
        lab = cv2.cvtColor(lab, cv2.COLOR_RGB2LAB).astype(np.float32)
        cheeks = portrait.points[[*CHEEK_LEFT_SKIN, *CHEEK_RIGHT_SKIN], :2]
        skin = cv2.remap(lab, cheeks[None], None, cv2.INTER_LINEAR).mean(axis=(0, 1))
        light, red, _ = np.moveaxis(cv2.remap(lab, self.frame.back(places), None, cv2.INTER_LINEAR), -1, 0)
        grey_photo = np.hypot(skin[1] - 128, skin[2] - 128) < _GREY
        between = np.abs(places[..., 1] - (self.upper.at(places[..., 0]) + self.lower.at(places[..., 0])) / 2)
        seen = between < (self._mean_gap() / 2 if self._mean_gap() > _GREY_GAP * self.eye_distance else 0)
        # Without colour teeth cannot be told from lips, and the mesh must be believed.
        teeth = seen if grey_photo else red < skin[1] - 1
        return teeth & (light > 0.5 * skin[0]), light < _DARK * skin[0]

    def _shut_line(self, portrait: Portrait) -> Curve:
        """The line where shut lips meet: the darkest one near where the mesh sees it.

        A line that is off by two px would leave a strip of one lip on the other when they part.
        """
        a = np.linspace(self.left, self.right, _LINE_POINTS, dtype=np.float32)
        mean = (self.upper.at(a) + self.lower.at(a)) / 2
        middle = _LINE_POINTS // 2
        thickness = min(float((mean - self.top.at(a))[middle]), float((self.bottom.at(a) - mean)[middle]))
        reach = max(2.0, _LINE_REACH * thickness, 0.6 * self._mean_gap())
        return darkest_line(portrait.pixels, self.frame, np.stack((a, mean), axis=-1), reach)


def _longest_run(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest run of true values begins and ends; the end is not part of it."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, ends = edges[0::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


def _calm(line: Floats) -> Floats:
    """Without single points that stand out, and smooth."""
    padded = np.pad(line, 2, mode="edge")
    median = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=-1)
    return np.convolve(np.pad(median, 2, mode="edge"), np.ones(5) / 5, "valid").astype(np.float32)
