"""The mouth of a portrait: lips that part along their inner line, the jaw below them, and what lies between.

The upper lip with the face and the lower lip with the jaw are two layers cut from the photo. Each moves by a field of
its own; the fields agree beyond the corners of the mouth, so that nothing tears there. Between the layers is the
painted inside of the mouth.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.host.brush import canvas_on, image_of
from models.face.mouth_shape import MouthShape
from models.face.puppet.field import Region, smooth
from models.face.puppet.inside import InsideMouth
from models.face.puppet.lip_moves import JAW_DROP, amounts, drop_px, lip_fields
from models.face.puppet.lips import MouthLines
from models.face.puppet.portrait import Portrait
from models.interfaces import Image

Floats = NDArray[np.float32]

_STEP_SHARE = 0.035
"""Between the nodes of the field, in eye distances: 4 px in a picture of 640 px."""
_SHUT_OVERLAP_PX = 0.6
"""Lips that are shut in the photo both have the line where they meet."""
_PARTED_OVERLAP = -0.006
"""Parted lips are cut a little inside their edges, in eye distances: there the colour of teeth is mixed in."""
_SEAM, _SEAM_SHADE = 0.012, 0.45
"""Lips that are made to meet need the shade of lips that do: how far it reaches, in eye distances, and how dark."""
_BLENDED = 0.2
"""A mouth that is changed less than this still has something of the photo's own: beyond, one would see two mouths."""


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
        self._upper, self._lower = lip_fields(lines, self._region)
        self._upper_layer, self._lower_layer = (self._layer(upper=upper) for upper in (True, False))
        self._inside = InsideMouth(portrait, lines, self._region)
        self._drawn = np.zeros_like(self._still)

    def draw(self, sheet: Image, mouth: MouthShape, engaged: float = 0.0) -> None:
        """Bring the region of the mouth in `sheet` (premultiplied RGBA) into the shape `mouth`.

        Lips that the photo shows parted stay nearer to each other while the face is `engaged` in talking.
        """
        rows, columns = self._region.rows, self._region.columns
        talk = float(smooth(np.float32(engaged))) if self._lines.parted else 0.0
        changed = max(_far_from_rest(mouth), talk)
        if changed <= 0:
            sheet[rows, columns] = self._still
            return
        done = amounts(self._lines, mouth, talk)
        upper, lower = (
            self._moved(layer, field.sources(done))
            for layer, field in ((self._upper_layer, self._upper), (self._lower_layer, self._lower))
        )
        self._drawn[:] = 0
        self._inside.draw(self._drawn, upper, lower, mouth, drop_px=drop_px(self._lines, mouth, talk))
        canvas = canvas_on(self._drawn, 1.0)
        canvas.drawImage(image_of(upper), 0, 0)
        canvas.drawImage(image_of(lower), 0, 0)
        del canvas
        if changed < _BLENDED:
            window, share = self._inside.window, changed / _BLENDED
            self._drawn[window] = cv2.addWeighted(self._drawn[window], share, self._still[window], 1 - share, 0)
        sheet[rows, columns] = self._drawn

    def _moved(self, layer: Image, sources: Floats) -> Image:
        sources = sources - self._corner
        return np.asarray(cv2.remap(layer, sources, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE))

    @property
    def _corner(self) -> Floats:
        return np.array([self._region.left_px, self._region.top_px], np.float32)

    def _layer(self, *, upper: bool) -> Image:
        """One layer of the region: premultiplied RGBA, transparent where the other lip or the inside begins."""
        lines = self._lines
        pixels = self._region.pixels()
        place = lines.frame.place(pixels)
        a, b = place[..., 0], place[..., 1]
        share = np.abs(lines.share(a))
        overlap = _PARTED_OVERLAP * lines.eye_distance if lines.parted else _SHUT_OVERLAP_PX
        over = (lines.upper.at(a) - b if upper else b - lines.lower.at(a)) + overlap
        # Beyond its edge a layer shows its own mirror image, so that soft edges have the colour of the lip.
        beyond = np.where((over < 0) & (share < 1), 2 * over, 0) * (1 if upper else -1)
        mirrored = pixels + lines.frame.vectors(np.zeros_like(a), np.asarray(beyond, np.float32))
        layer = self._moved(self._still, mirrored).astype(np.float32)
        layer[beyond == 0] = self._still[beyond == 0]
        edge = np.clip(over + 0.5, 0, 1)
        if upper:
            # Only between the corners can one see past the upper lip.
            wall = 0.95 - 0.10 * smooth(-over / (JAW_DROP * lines.eye_distance))
            alpha = np.maximum(edge, smooth((share - wall) / 0.03))
            if lines.parted:
                near = np.exp(-np.maximum(over, 0) / (_SEAM * lines.eye_distance)) * (share < 1)
                layer[..., :3] *= (1 - _SEAM_SHADE * near)[..., None]
        else:
            aside = smooth((share - 0.985) / 0.05)
            alpha = edge * (1 - aside) + smooth(over / (0.06 * lines.eye_distance)) * aside
        return np.asarray(layer * alpha[..., None] + 0.5, np.uint8)


def _far_from_rest(mouth: MouthShape) -> float:
    """0 for a mouth at rest, 1 as soon as it clearly does something."""
    return min(1.0, 9.0 * max(map(abs, mouth)))
