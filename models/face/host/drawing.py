"""Draws the host: sheets painted once, warped for each pose, with eyes and mouth painted anew."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from models.face.host.background import background
from models.face.host.body import draw_body
from models.face.host.brush import CENTRE_X, DESIGN_UNITS, Canvas, Point, canvas_on, image_of
from models.face.host.eyes import Eyes
from models.face.host.hair import draw_hair_behind, draw_hair_shadow, draw_hair_swept, draw_hair_tucked
from models.face.host.head import FACE, MOUTH_Y, draw_ear, draw_head
from models.face.host.mouth import Mouth
from models.face.host.warp import BODY, HAIR_BEHIND, HEAD, Layer, Warp, jaw_shift
from models.face.pose import Pose
from models.interfaces import Image

_SHEET_SCALE = 1.25
"""Sheets are painted this much larger than the picture, so that the warp loses no sharpness."""
_MARGIN_UNITS = 16.0
_LIVE_FRAMES = ((172.0, 160.0, 340.0, 222.0), (206.0, 246.0, 306.0, 318.0))
"""Left, top, right, bottom of what is painted anew: eyes with brows, mouth."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    pixels: Image
    frames: tuple[tuple[Warp, Image], ...]
    """Each frame's maps, and the buffer that it is warped into."""


class HostPainter:
    """Paints square pictures of `size_px`. Not thread-safe: it reuses its buffers."""

    def __init__(self, size_px: int) -> None:
        self._scale = size_px / DESIGN_UNITS
        self._sheet_scale = self._scale * _SHEET_SCALE
        self._background = background(size_px)
        self._picture = self._background.copy()
        self._canvas = canvas_on(self._picture, 1.0)
        self._hair_behind = self._sheet(HAIR_BEHIND, draw_hair_behind)
        self._body = self._sheet(BODY, draw_body)
        self._head = self._sheet(HEAD, _draw_head_and_hair)
        self._still_head = self._head.pixels.copy()
        self._live = self._canvas_on_sheet(self._head.pixels)
        self._eyes, self._mouth = Eyes(), Mouth()

    def rgba(self, pose: Pose) -> Image:
        """The picture as opaque RGBA uint8 [size_px, size_px, 4]; valid until the next call."""
        self._draw_live(pose)
        np.copyto(self._picture, self._background)
        for sheet in (self._hair_behind, self._body, self._head):
            for warp, warped in sheet.frames:
                cv2.remap(
                    sheet.pixels,
                    warp.map(pose),
                    None,
                    cv2.INTER_LINEAR,
                    dst=warped,
                    borderMode=cv2.BORDER_CONSTANT,
                    borderValue=(0, 0, 0, 0),
                )
                self._canvas.drawImage(image_of(warped), warp.left_px, warp.top_px)
        return self._picture

    def i420(self, pose: Pose) -> Image:
        """The picture as planar I420 uint8 [size_px * 3 // 2, size_px], BT.601, limited range."""
        return np.asarray(cv2.cvtColor(self.rgba(pose), cv2.COLOR_RGBA2YUV_I420), np.uint8)

    def _draw_live(self, pose: Pose) -> None:
        for left, top, right, bottom in _LIVE_FRAMES:
            rows = slice(self._sheet_px(top), self._sheet_px(bottom))
            columns = slice(self._sheet_px(left), self._sheet_px(right))
            self._head.pixels[rows, columns] = self._still_head[rows, columns]
        self._eyes.draw(self._live, pose)
        opening = pose.mouth.opening * (1 - pose.mouth.press)

        def place(x: float, y: float) -> Point:
            x, y = CENTRE_X + x, MOUTH_Y + y
            return x, y - jaw_shift(x, y, opening)

        self._mouth.draw(self._live, pose, place)

    def _sheet_px(self, units: float) -> int:
        return round((units + _MARGIN_UNITS) * self._sheet_scale)

    def _sheet(self, layer: Layer, draw: Any) -> _Sheet:
        side = round((DESIGN_UNITS + 2 * _MARGIN_UNITS) * self._sheet_scale)
        pixels = np.zeros((side, side, 4), np.uint8)
        draw(self._canvas_on_sheet(pixels))
        warps = [Warp(layer, frame, self._scale, self._sheet_scale, _MARGIN_UNITS) for frame in layer.frames]
        return _Sheet(pixels, tuple((warp, np.zeros((warp.height_px, warp.width_px, 4), np.uint8)) for warp in warps))

    def _canvas_on_sheet(self, pixels: Image) -> Canvas:
        return canvas_on(pixels, self._sheet_scale, -_MARGIN_UNITS, -_MARGIN_UNITS)


def _draw_head_and_hair(canvas: Canvas) -> None:
    draw_head(canvas)
    draw_hair_shadow(canvas, FACE)
    draw_ear(canvas)
    draw_hair_tucked(canvas)
    draw_hair_swept(canvas)
