"""The inside of a portrait's mouth: dark, with teeth and a tongue in the light of the photo.

The upper teeth hang on the skull and stay; lower teeth and tongue go down with the jaw. Lengths are in eye distances
(63 mm on a grown person). Where the photo itself shows the upper teeth, they are used.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from models.face.host.brush import Canvas, canvas_on, image_of
from models.face.landmark_table import (
    CHEEK_LEFT_SKIN,
    CHEEK_RIGHT_SKIN,
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
    LIPS_INNER_LOWER,
    LIPS_OUTER_LOWER,
)
from models.face.mouth_shape import MouthShape
from models.face.puppet.field import Region, smooth
from models.face.puppet.lips import MouthLines
from models.face.puppet.portrait import Portrait
from models.interfaces import Image

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of teeth. Positive is down, 0 the line where the lips meet."""

    widths: tuple[float, ...]
    """From the middle outward; those at the back are foreshortened."""
    height: float
    end: float
    """Where the two in the middle end."""
    arch: float
    """How much higher the last one ends."""
    rounding: float
    """How far a tooth's edge falls back at its sides."""
    brightness: float
    grows_down: bool


_UPPER = _Row(
    (0.135, 0.105, 0.115, 0.10, 0.09),
    height=0.17,
    end=0.035,
    arch=0.055,
    rounding=0.016,
    brightness=0.94,
    grows_down=False,
)
_LOWER = _Row(
    (0.085, 0.09, 0.10, 0.095, 0.09),
    height=0.14,
    end=-0.018,
    arch=0.05,
    rounding=0.012,
    brightness=0.72,
    grows_down=True,
)
_OWN_TEETH = 0.09
"""A photo whose lips are further apart than this shows enough of the upper teeth to use them."""
_FOLLOWS_LIP = 0.6
"""How much of the curve of the upper lip's edge the rows of teeth have too."""
_JAW_TEETH = 0.93
"""The lower teeth go down by this share of the lower lip's way."""
_TONGUE = (0.33, 0.17, 0.09)
"""Half its width, half its height, and where its middle lies."""
_LIP_SHADE, _LIP_SHADE_SOFT = 0.46, 0.045
_SHADE_TINT = (0.85, 1.0, 1.08)
"""Shade in a mouth is warm: its light has come through lips and cheeks."""
_LIP_SHADE_ON_PHOTO = 0.2
"""The photo's own teeth have their shade already."""
_SKIN = (1.0, 0.78, 0.67)
"""What skin looks like in white light, relative to its red."""
_TEETH = (1.0, 0.955, 0.875)
_TONGUE_FLESH = (0.78, 0.42, 0.42)
_TEETH_TO_SKIN, _TEETH_TO_EYES = 1.1, 1.2
"""How bright teeth are in full light: at least as much brighter than skin and than the white of the eyes."""
_BRIGHTEST = 250.0


@dataclass(frozen=True, slots=True, eq=False)
class _Light:
    """Colours RGB [3] of the photo's light on what is in a mouth."""

    white: Floats
    lip: Floats
    tongue: Floats
    slope: float
    """How much brighter than the middle it is at the picture's left corner of the mouth, and darker at the right."""


class InsideMouth:
    """Paints what is between the lips. Not thread-safe."""

    def __init__(self, portrait: Portrait, lines: MouthLines, region: Region) -> None:
        self._lines, self._region = lines, region
        eye = lines.eye_distance
        reach = 1.08 * lines.half_width
        corners = lines.frame.back(
            np.array([(a, b) for a in (-reach, reach) for b in (-0.2 * eye, 0.62 * eye)], np.float32)
        )
        low = np.maximum(corners.min(axis=0) - (region.left_px, region.top_px), 0).astype(int)
        high = (corners.max(axis=0) - (region.left_px, region.top_px)).astype(int) + 1
        self.window = slice(low[1], high[1]), slice(low[0], high[0])
        """Rows and columns of the region in which anything is painted."""
        place = lines.frame.place(region.pixels()[self.window])
        a, b = place[..., 0], place[..., 1]
        light = _light(portrait)
        self._from_side = 1 - light.slope * np.clip(a / lines.half_width, -1, 1)[..., None]
        soft = max(0.8, portrait.softness_px)
        self._cavity = self._paint_cavity(a, b, light)
        own = lines.gap > _OWN_TEETH
        self._upper = self._photo_teeth(portrait, a, b, soft) if own else self._teeth(_UPPER, a, b, light, soft)
        self._lower = self._teeth(_LOWER, a, b, light, soft)
        self._tongue = self._paint_tongue(a, b, light, soft)
        self._shade = _LIP_SHADE_ON_PHOTO if own else _LIP_SHADE

    def draw(self, drawn: Image, upper: Image, lower: Image, mouth: MouthShape, *, drop_px: float) -> None:
        """Paint into the region `drawn`, for the lips `upper` and `lower` (RGBA) that will be laid over it."""
        down = self._lines.frame.down
        inside = self._cavity.copy()
        canvas = canvas_on(inside, 1.0)
        rise = 0.10 + 0.55 * mouth.tongue
        _draw(canvas, self._tongue, (0.95 - rise) * drop_px * down)
        _draw(canvas, self._lower, _JAW_TEETH * drop_px * down)
        _draw(canvas, self._upper, 0 * down)
        del canvas
        lips = np.maximum(upper[..., 3][self.window], lower[..., 3][self.window])
        near = cv2.GaussianBlur(lips, (0, 0), _LIP_SHADE_SOFT * self._lines.eye_distance).astype(np.float32) / 255
        light = (1 - self._shade * near) * (1 - 0.30 * mouth.rounding)
        drawn[self.window] = inside
        drawn[self.window][..., :3] = inside[..., :3] * light[..., None] ** np.array(_SHADE_TINT, np.float32) + 0.5

    def _paint_cavity(self, a: Floats, b: Floats, light: _Light) -> Image:
        eye = self._lines.eye_distance
        deep = np.exp(-((a / (0.9 * self._lines.half_width)) ** 2) - ((b - 0.16 * eye) / (0.25 * eye)) ** 2)
        colour = light.lip * np.array([0.36, 0.24, 0.24], np.float32) * (1 - 0.6 * deep[..., None])
        return _layer(colour * self._from_side, np.ones_like(a))

    def _teeth(self, row: _Row, a: Floats, b: Floats, light: _Light, soft: float) -> Image:
        eye = self._lines.eye_distance
        edges = np.concatenate(([0.0], np.cumsum(row.widths))) * eye
        bounds = np.concatenate((-edges[:0:-1], edges))
        tooth = np.clip(np.searchsorted(bounds, a.ravel()).reshape(a.shape) - 1, 0, len(bounds) - 2)
        middle, half = (bounds[tooth] + bounds[tooth + 1]) / 2, (bounds[tooth + 1] - bounds[tooth]) / 2
        aside = np.clip(np.abs(a - middle) / half, 0, 1)
        away = np.abs(a) / edges[-1]
        smile = _FOLLOWS_LIP * (self._lines.upper.at(a) - self._lines.upper.at(np.zeros(1, np.float32)))
        below_end = b - (row.end - row.arch * away**2) * eye - smile
        inside = (below_end if row.grows_down else -below_end) - row.rounding * eye * aside**3
        gap = np.exp(-((half * (1 - aside) / (0.012 * eye + 0.4 * soft)) ** 2))
        alpha = np.clip(inside / soft + 0.5, 0, 1) * (1 - smooth((away - 0.86) / 0.14))
        alpha = alpha * (1 - smooth((inside - row.height * eye) / (0.04 * eye)))
        bright = row.brightness * (1 - 0.42 * smooth(away * 1.05)) * (1 - 0.16 * gap)
        bright = bright * (1 - 0.22 * np.clip(inside / (row.height * eye), 0, 1))
        return _layer(light.white * bright[..., None] * self._from_side, alpha)

    def _photo_teeth(self, portrait: Portrait, a: Floats, b: Floats, soft: float) -> Image:
        """The upper teeth that the photo shows, gone on with upward behind the lip."""
        lines = self._lines
        upper, lower = lines.upper.at(a), lines.lower.at(a)
        # Near the lips their colour mixes in: take the rows between, mirrored upward.
        inset = 0.02 * lines.eye_distance
        middle = (upper + lower) / 2
        top = np.minimum(upper + inset, middle)
        source_b = np.minimum(np.where(b < top, 2 * top - b, b), np.maximum(lower - inset, middle))
        source = lines.frame.back(np.stack((a, source_b), axis=-1))
        teeth = np.asarray(cv2.remap(portrait.pixels, source, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE))
        alpha = np.clip((lower - 0.3 * inset - b) / soft + 0.5, 0, 1)
        alpha = alpha * (1 - smooth((np.abs(lines.share(a)) - 0.92) / 0.08))
        return _layer(teeth.astype(np.float32), alpha)

    def _paint_tongue(self, a: Floats, b: Floats, light: _Light, soft: float) -> Image:
        eye = self._lines.eye_distance
        half_width, half_height, middle = (length * eye for length in _TONGUE)
        inside = 1 - np.hypot(a / half_width, (b - middle) / half_height)
        groove = np.exp(-((a / (0.02 * eye + soft)) ** 2)) * smooth(inside * 2)
        bright = (0.52 + 0.30 * smooth(inside)) * (1 - 0.16 * groove)
        return _layer(light.tongue * bright[..., None] * self._from_side, 0.92 * smooth(inside / 0.25))


def _light(portrait: Portrait) -> _Light:
    """The photo's light, as cheeks and the white of the eyes show it."""
    pixels = portrait.pixels.astype(np.float32)
    lip = _mean_within(pixels, portrait.points[[*LIPS_INNER_LOWER[4:7], *LIPS_OUTER_LOWER[3:8]], :2])
    left, right = (
        _mean_within(pixels, portrait.points[list(cheek), :2]) for cheek in (CHEEK_LEFT_SKIN, CHEEK_RIGHT_SKIN)
    )
    skin = (left + right) / 2
    tint = skin / np.array(_SKIN)
    tint = 0.45 * tint / tint.max() + 0.55
    level = min(_BRIGHTEST, max(_TEETH_TO_SKIN * float(skin.max()), _TEETH_TO_EYES * _white_of_eyes(portrait)))
    white = level * tint * _TEETH
    tongue = 0.5 * lip + 0.5 * level * tint * _TONGUE_FLESH
    slope = float(np.clip((left.sum() - right.sum()) / (left.sum() + right.sum()), -0.3, 0.3))
    return _Light(white.astype(np.float32), lip, tongue.astype(np.float32), slope)


def _white_of_eyes(portrait: Portrait) -> float:
    """Brightness of the lighter parts of the eyes."""
    mask = np.zeros(portrait.person.shape, np.uint8)
    for eye in ((*EYE_LEFT_UPPER, *EYE_LEFT_LOWER), (*EYE_RIGHT_UPPER, *EYE_RIGHT_LOWER)):
        hull = cv2.convexHull(portrait.points[list(eye), :2].round().astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 255)
    seen = portrait.pixels[mask > 0].mean(axis=1)
    return float(np.percentile(seen, 90)) if len(seen) else 0.0


def _mean_within(pixels: Floats, points: Floats) -> Floats:
    """Mean colour within the hull of `points`."""
    mask = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points.round().astype(np.int32)), 255)
    return np.array(cv2.mean(pixels, mask)[:3], np.float32)


def _layer(colour: NDArray[np.floating], alpha: NDArray[np.floating]) -> Image:
    """Premultiplied RGBA."""
    premultiplied = np.clip(colour, 0, 255) * alpha[..., None]
    return np.asarray(np.dstack((premultiplied, 255 * alpha)) + 0.5, np.uint8)


def _draw(canvas: Canvas, layer: Image, shift: Floats) -> None:
    x, y = (float(way) for way in shift)
    canvas.drawImage(image_of(layer), x, y, skia.SamplingOptions(skia.FilterMode.kLinear))
