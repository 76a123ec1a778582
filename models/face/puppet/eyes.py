"""The eyes of a portrait: lids that come down in their own skin, a glance, brows that rise."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.host.brush import canvas_on, image_of
from models.face.landmark_table import (
    BROW_LEFT_LOWER,
    BROW_LEFT_UPPER,
    BROW_RIGHT_LOWER,
    BROW_RIGHT_UPPER,
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
)
from models.face.pose import Pose
from models.face.puppet.field import Field, Region, smooth
from models.face.puppet.frame import Curve, darkest_line, eye_distance_px, face_frame
from models.face.puppet.portrait import Portrait
from models.interfaces import Image

Floats = NDArray[np.float32]

_STEP_SHARE = 0.03
_UPPER_SHARE = 0.80
"""Of the way that the lids have to each other: the lower lid comes up a little."""
_SAG = 0.03
"""How much further than to the lower lid the upper one goes, in eye distances: the mesh is not that exact."""
_LASH_POINTS, _LASH_REACH = 25, 0.035
_LASH_HALF = 0.012
"""Half the thickness of the line of the lashes, in eye distances."""
_GLANCE = 0.035
"""How far the iris moves at a gaze of 1, in eye distances."""
_IRIS = 0.09
"""Radius of the iris, in eye distances (11.7 mm across)."""
_BROW_RISE = 0.07
"""How far the brows go up at 1, in eye distances."""


class Eyes:
    """Draws both eyes of a portrait into its sheet. Not thread-safe."""

    def __init__(self, portrait: Portrait, still: Image) -> None:
        """`still` is the sheet at rest: premultiplied RGBA uint8 [h, w, 4]."""
        self._eyes = (
            _Eye(portrait, still, EYE_LEFT_UPPER, EYE_LEFT_LOWER, BROW_LEFT_UPPER, BROW_LEFT_LOWER),
            _Eye(portrait, still, EYE_RIGHT_UPPER, EYE_RIGHT_LOWER, BROW_RIGHT_UPPER, BROW_RIGHT_LOWER),
        )

    def draw(self, sheet: Image, pose: Pose) -> None:
        """Bring the eyes and brows of `sheet` (premultiplied RGBA) into the pose."""
        for eye in self._eyes:
            eye.draw(sheet, pose)


class _Eye:
    def __init__(
        self,
        portrait: Portrait,
        still: Image,
        upper: tuple[int, ...],
        lower: tuple[int, ...],
        brow_upper: tuple[int, ...],
        brow_lower: tuple[int, ...],
    ) -> None:
        points = portrait.points
        self._frame = face_frame(points, points[[*upper, *lower], :2].mean(axis=0))
        self._eye = eye_distance_px(points)
        place = self._frame.place(points)
        self._upper, self._lower = Curve(place[list(upper)]), Curve(place[list(lower)])
        # The mesh is two or three px off the lashes, which is what one sees coming down.
        line = self._upper.along(_LASH_POINTS)
        self._lashes = darkest_line(portrait.pixels, self._frame, line, _LASH_REACH * self._eye)
        self._brow = Curve(place[list(brow_lower)])
        self._brow_top = float(place[list(brow_upper), 1].min())
        self._left, self._right = float(place[upper[0], 0]), float(place[upper[-1], 0])
        reach = 0.5 * self._eye
        corners = self._frame.back(
            np.array(
                [(a, b) for a in (-reach, reach) for b in (self._brow_top - 0.18 * self._eye, 0.22 * self._eye)],
                np.float32,
            )
        )
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        step_px = 2 * max(1, round(_STEP_SHARE * self._eye / 2))
        self._region = region = Region(left, top, right, bottom, step_px=step_px, within=still.shape[:2])
        self._still = still[region.rows, region.columns].copy()
        self._base, self._lid = self._field(lid=False), self._field(lid=True)
        self._corner = np.array([region.left_px, region.top_px], np.float32)
        self._lid_layer = self._layer()
        self._drawn = np.zeros_like(self._still)

    def draw(self, sheet: Image, pose: Pose) -> None:
        shut = 1 - pose.lids
        amounts = np.array([shut, pose.gaze_x, pose.gaze_y, pose.brows], np.float32)
        cv2.remap(
            self._still,
            self._base.sources(amounts) - self._corner,
            None,
            cv2.INTER_LINEAR,
            dst=self._drawn,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if shut > 0:
            lid = cv2.remap(self._lid_layer, self._lid.sources(amounts) - self._corner, None, cv2.INTER_LINEAR)
            canvas_on(self._drawn, 1.0).drawImage(image_of(lid), 0, 0)
        sheet[self._region.rows, self._region.columns] = self._drawn

    def _field(self, *, lid: bool) -> Field:
        """The movements of one layer: shut, glance along, glance down, brows."""
        place = self._frame.place(self._region.nodes)
        a, b = place[..., 0], place[..., 1]
        none = np.zeros_like(a)
        gap = np.maximum(self._lower.at(a) - self._lashes.at(a), 0) * ((a > self._left) & (a < self._right))
        # The corners of a shut eye lie a little lower: without, the line of the lashes would turn up at its ends.
        aside = np.abs(a - (self._left + self._right) / 2) / ((self._right - self._left) / 2)
        sag = _SAG * self._eye * (1 - smooth((aside - 0.6) / 0.8))
        fade = self._region.edge_fade(self._region.nodes, 0.12 * self._eye)
        above = self._lashes.at(a) - b
        room = np.maximum(self._upper.at(a) - self._brow.at(a), 0.05 * self._eye)
        if lid:
            shut = (_UPPER_SHARE * gap + sag) * (1 - smooth((above / room - 0.08) / 0.85))
            glance = none
        else:
            below = b - self._lower.at(a)
            shut = (_UPPER_SHARE - 1) * gap * (1 - smooth(np.abs(below) / (0.12 * self._eye)))
            # The iris moves as one; the white beside it, and a thin rim at the lids, take up the difference.
            rim = smooth(np.minimum(b - self._upper.at(a), -below) / (0.03 * self._eye))
            white = 1 - smooth((np.hypot(a, b) / self._eye - _IRIS) / 0.12)
            glance = _GLANCE * self._eye * rim * white * (gap > 0)
        from_brow = b - self._brow_top
        brow_fall = np.where(
            from_brow < 0, 1 - smooth(-from_brow / (0.2 * self._eye)), 1 - smooth((b - self._brow.at(a)) / (0.9 * room))
        )
        beside = 1 - smooth((np.abs(a) / self._eye - 0.3) / 0.2)
        brows = -_BROW_RISE * self._eye * brow_fall * beside * fade
        moves = [(none, shut), (glance, none), (none, 0.6 * glance), (none, brows)]
        return Field(self._region, np.stack([self._frame.vectors(x, np.asarray(y, np.float32)) for x, y in moves]))

    def _layer(self) -> Image:
        """The upper lid with its lashes and the skin above: premultiplied RGBA."""
        pixels = self._region.pixels()
        place = self._frame.place(pixels)
        a, b = place[..., 0], place[..., 1]
        over = self._lashes.at(a) + _LASH_HALF * self._eye - b
        # Beyond the lashes the layer shows their mirror image, never the white of the eye.
        beyond = np.where((over < 0) & (a > self._left) & (a < self._right), 2 * over, 0).astype(np.float32)
        mirrored = pixels + self._frame.vectors(np.zeros_like(a), beyond) - self._corner
        layer = cv2.remap(self._still, mirrored, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        alpha = np.clip(over + 0.5, 0, 1)
        return np.asarray(layer * alpha[..., None] + 0.5, np.uint8)
