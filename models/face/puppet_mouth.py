"""The mouth of a portrait: lips that part along their inner line, the jaw below them, and what lies between.

The upper lip with the face and the lower lip with the jaw are two layers cut from the photo. Each moves by a field of
its own; the fields agree beyond the corners of the mouth, so that nothing tears there. Between the layers is the
painted inside of the mouth.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.host_brush import canvas_on, image_of
from models.face.mouth_shape import MouthShape
from models.face.portrait import Portrait
from models.face.puppet_field import Field, Region, smooth
from models.face.puppet_inside import InsideMouth
from models.face.puppet_lips import MouthLines
from models.interfaces import Image

Floats = NDArray[np.float32]

_JAW_DROP = 0.27
"""How far the jaw goes down at full opening, in eye distances (63 mm): 17 mm."""
_JAW_SHARE = 0.88
"""The chin follows this share of the lower lip's way."""
_STEP_SHARE = 0.035
_UPPER_CLOSES = 0.3
"""Of a gap between the lips in the photo: what the upper lip's share is in closing it."""
_GRIN = 0.15
"""The gap between the lips of a broad smile, in eye distances."""


class Mouth:
    """Draws the mouth and jaw of a portrait into its sheet. Not thread-safe."""

    def __init__(self, portrait: Portrait, still: Image) -> None:
        """`still` is the sheet at rest: premultiplied RGBA uint8 [h, w, 4]."""
        self._lines = lines = MouthLines(portrait)
        reach, eye = 2.6 * lines.half_width, lines.eye_distance
        corners = lines.frame.back(
            np.array([(a, b) for a in (-reach, reach) for b in (lines.nose, lines.chin + 0.55 * eye)], np.float32)
        )
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        step_px = 2 * max(1, round(_STEP_SHARE * eye / 2))
        self._region = Region(left, top, right, bottom, step_px=step_px, within=still.shape[:2])
        self._still = still[self._region.rows, self._region.columns].copy()
        self._upper, self._lower = (self._field(upper=upper) for upper in (True, False))
        self._upper_layer, self._lower_layer = (self._layer(upper=upper) for upper in (True, False))
        self._inside = InsideMouth(portrait, lines, self._region)
        self._drawn = np.zeros_like(self._still)

    def draw(self, sheet: Image, mouth: MouthShape, engaged: float = 0.0) -> None:
        """Bring the region of the mouth in `sheet` (premultiplied RGBA) into the shape `mouth`.

        Lips that the photo shows parted stay nearer to each other while the face is `engaged` in talking.
        """
        rows, columns = self._region.rows, self._region.columns
        talk = max(_talking(mouth), float(smooth(np.float32(engaged))) if self._lines.parted else 0.0)
        if talk <= 0:
            sheet[rows, columns] = self._still
            return
        amounts = self._amounts(mouth, talk)
        upper, lower = (
            np.asarray(
                cv2.remap(layer, field.sources(amounts) - corner, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
            )
            for layer, field, corner in (
                (self._upper_layer, self._upper, self._corner),
                (self._lower_layer, self._lower, self._corner),
            )
        )
        self._drawn[:] = 0
        self._inside.draw(self._drawn, upper, lower, mouth, drop_px=self._drop_px(mouth))
        canvas = canvas_on(self._drawn, 1.0)
        canvas.drawImage(image_of(upper), 0, 0)
        canvas.drawImage(image_of(lower), 0, 0)
        del canvas
        if talk < 1:
            window = self._inside.window
            self._drawn[window] = cv2.addWeighted(self._drawn[window], talk, self._still[window], 1 - talk, 0)
        sheet[rows, columns] = self._drawn

    @property
    def _corner(self) -> Floats:
        return np.array([self._region.left_px, self._region.top_px], np.float32)

    def _drop_px(self, mouth: MouthShape) -> float:
        free = 1 - mouth.press
        drop = mouth.opening * free + (0.16 * mouth.teeth + 0.11 * mouth.rounding) * free
        return _JAW_DROP * self._lines.eye_distance * (drop * (1 - 0.85 * mouth.bite) + 0.02 * mouth.bite)

    def _amounts(self, mouth: MouthShape, talk: float) -> Floats:
        """How much of each movement of `_field` a shape is."""
        free = 1 - mouth.press
        drop = self._drop_px(mouth)
        lift = (0.13 * mouth.opening + 0.12 * mouth.teeth + 0.15 * mouth.bite) * free * (1 - 0.5 * mouth.rounding)
        narrow = min(1.0, 1.2 * mouth.rounding)
        wide = 0.15 * mouth.width - 0.38 * mouth.rounding - 0.06 * mouth.opening * free
        closing = max(talk, mouth.press) if self._lines.parted else 0.0
        # Who talks does not grin as broadly as the photo: lips fuller, corners lower and nearer.
        grin = min(1.0, self._lines.gap / _GRIN) * talk if self._lines.parted else 0.0
        return np.array(
            [
                drop * (1 - narrow),
                drop * narrow,
                (lift * _JAW_DROP - 0.05 * grin * mouth.rounding * free) * self._lines.eye_distance,
                wide - 0.10 * grin,
                0.30 * mouth.rounding * free - 0.28 * mouth.press - 0.10 * max(0.0, mouth.width) + 0.45 * grin,
                closing,
                0.13 * drop + grin * (0.25 + 0.6 * mouth.rounding) * self._lines.smile,
                -0.35 * mouth.bite - 0.35 * grin - 0.12 * mouth.rounding,
            ],
            np.float32,
        )

    def _field(self, *, upper: bool) -> Field:
        """The movements of one layer: drop, drop of a rounded mouth, lift, spread, pucker, close, corners, roll in."""
        lines, region = self._lines, self._region
        place = lines.frame.place(region.nodes)
        a, b = place[..., 0], place[..., 1]
        share = lines.share(a)
        eye, half = lines.eye_distance, lines.half_width
        none = np.zeros_like(a)
        above, below = lines.upper.at(a) - b, b - lines.lower.at(a)
        line = np.minimum(np.abs(above), np.abs(below))
        wide, round_ = _arch(share), _arch(share / 0.7)
        philtrum = max(1.0, float(lines.top.at(np.zeros(1, np.float32))[0]) - lines.nose)
        fade = region.edge_fade(region.nodes, 0.2 * eye)
        spread_a = np.clip(a, 1.25 * lines.left, 1.25 * lines.right)
        spread = (1 - smooth((np.abs(share) - 0.8) / 1.6)) * np.exp(-((line / (0.85 * half)) ** 2)) * fade
        at_corners = np.exp(-(((np.abs(share) - 1) / 0.55) ** 2) - (line / (0.5 * half)) ** 2) * fade
        if upper:
            lip = 1 - smooth((above - 0.4 * lines.upper_lip) / (0.5 * lines.upper_lip + 0.95 * philtrum))
            ring = (
                -smooth(above / lines.upper_lip)
                * (1 - smooth((above - lines.upper_lip) / (0.9 * philtrum)))
                * lines.upper_lip
            )
            b_moves = [none, none, -wide * lip, none, ring * wide, self._closing(a, upper=True) * lip, at_corners, none]
        else:
            chin = lines.chin
            reach = np.abs(a) / (0.98 * eye)
            jaw = (1 - smooth((reach - 0.28) / 0.72)) * (1 - smooth((b - chin + 0.02 * eye) / (0.5 * eye)))
            near = 1 - smooth((below - 0.7 * lines.lower_lip) / (1.3 * lines.lower_lip + 0.12 * eye))
            near = np.where(np.abs(share) < 1, near, 1 - smooth(below / (2.0 * lines.lower_lip + 0.12 * eye)))
            lip = 1 - smooth((below - 0.6 * lines.lower_lip) / (1.6 * lines.lower_lip))
            ring = smooth(below / lines.lower_lip) * (1 - smooth((below - lines.lower_lip) / (1.3 * lines.lower_lip)))
            ring *= lines.lower_lip
            # The rim of the lip follows the opening, its body a fuller arch: a round mouth has no pointed lip.
            rim = 1 - smooth(below / (0.9 * lines.lower_lip))
            full = np.maximum(1 - share * share, 0) ** 0.5
            drops = [
                ((arch * rim + full * (1 - rim)) * near + _JAW_SHARE * jaw * (1 - near)) * fade
                for arch in (wide, round_)
            ]
            b_moves = [
                *drops,
                none,
                none,
                ring * wide,
                self._closing(a, upper=False) * lip,
                at_corners,
                ring * wide,
            ]
        a_moves = [none, none, none, spread_a * spread, none, none, none, none]
        return Field(
            region,
            np.stack(
                [lines.frame.vectors(x, np.asarray(y, np.float32)) for x, y in zip(a_moves, b_moves, strict=True)]
            ),
        )

    def _closing(self, a: Floats, *, upper: bool) -> Floats:
        """How far a lip moves to close the gap that the photo's mouth has."""
        lines = self._lines
        gap = np.maximum(lines.lower.at(a) - lines.upper.at(a) + 0.02 * lines.eye_distance, 0)
        gap = gap * (1 - smooth((np.abs(lines.share(a)) - 0.9) / 0.1))
        return np.asarray(gap * (_UPPER_CLOSES if upper else _UPPER_CLOSES - 1), np.float32)

    def _layer(self, *, upper: bool) -> Image:
        """One layer of the region: premultiplied RGBA, transparent where the other lip or the inside begins."""
        lines, region = self._lines, self._region
        pixels = region.pixels()
        place = lines.frame.place(pixels)
        a, b = place[..., 0], place[..., 1]
        share = np.abs(lines.share(a))
        curve = lines.upper if upper else lines.lower
        # Lips that are shut in the photo share their line; of parted lips the rim is left out, which has their
        # colour mixed with that of the teeth.
        overlap = 0.6 if not lines.parted else -0.006 * lines.eye_distance
        over = (curve.at(a) + overlap - b) if upper else (b - curve.at(a) + overlap)
        # Beyond its edge a layer shows its own mirror image, so that soft edges have the colour of the lip.
        beyond = np.where((over < 0) & (share < 1), 2 * over, 0) * (1 if upper else -1)
        mirrored = pixels + lines.frame.vectors(np.zeros_like(a), np.asarray(beyond, np.float32))
        layer = np.asarray(
            cv2.remap(self._still, mirrored - self._corner, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        )
        layer[beyond == 0] = self._still[beyond == 0]
        edge = np.clip(over + 0.5, 0, 1)
        if upper:
            # Only between the corners can one see past the upper lip.
            wall = 0.95 - 0.10 * smooth(-over / (_JAW_DROP * lines.eye_distance))
            alpha = np.maximum(edge, smooth((share - wall) / 0.03))
            if lines.parted:
                layer = (
                    layer
                    * (1 - 0.45 * np.exp(-np.maximum(over, 0) / (0.012 * lines.eye_distance)) * (share < 1))[..., None]
                )
        else:
            side = smooth((share - 0.985) / 0.05)
            alpha = edge * (1 - side) + smooth(over / (0.06 * lines.eye_distance)) * side
        return np.asarray(layer * alpha[..., None] + 0.5, np.uint8)


def _talking(mouth: MouthShape) -> float:
    """0 for a mouth at rest, 1 as soon as it clearly does something."""
    return min(1.0, 9.0 * max(map(abs, mouth)))


def _arch(share: Floats) -> Floats:
    """How far a parting lip is from the line of the corners: 1 in the middle, 0 at the corners."""
    return np.asarray(np.maximum(1 - share * share, 0) ** 0.85, np.float32)
