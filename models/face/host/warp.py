"""Turns the flat painting of the host in depth: where each spot of the picture lies in the painting.

The head is treated as a relief: every spot has a depth, and a turn moves near spots further than far ones, so that the
nose travels before the ears. All maps are computed on a coarse grid and enlarged.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.host.brush import CENTRE_X
from models.face.host.head import MOUTH_Y
from models.face.host.lips import JAW_DROP_UNITS
from models.face.pose import Pose

Grid = NDArray[np.float32]

_STEP_UNITS = 6.0
_PIVOT_Y = 292.0
_JAW_SHARE = 0.86
"""The chin follows this share of the lower lip's way."""
_JAW_TOP_Y = MOUTH_Y - 4.0
_JAW_SPAN = 54.0
_JAW_SIDE_X, _JAW_SIDE_SPAN, _JAW_SIDE_LOSS = 34.0, 52.0, 0.72
"""Toward the hinge the jaw moves less: from this far beside the middle, over this span, by this share."""
_BREATH_LIFT = 2.4
_CHEEK_PULL = 2.4


Frame = tuple[float, float, float, float]
"""Left, top, right, bottom in the picture, in design units."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A sheet of the painting, and how it hangs on the head.

    The head carries a spot fully above `held_above_y`, less and less down to `free_below_y`, not at all below.
    """

    frames: tuple[Frame, ...]
    """What the sheet can reach and nothing before it hides: the fewer pixels, the faster."""
    held_above_y: float
    free_below_y: float
    depth: float
    """Depth of the flat parts, toward the camera, in design units."""
    relief: bool = False
    """Whether it has the face's relief and jaw."""


HAIR_BEHIND = Layer(((112, 130, 218, 420), (292, 130, 404, 420)), held_above_y=310, free_below_y=425, depth=-34)
BODY = Layer(((188, 226, 326, 340), (0, 340, 512, 512)), held_above_y=270, free_below_y=392, depth=8)
HEAD = Layer(((108, 34, 430, 352), (296, 352, 424, 492)), held_above_y=335, free_below_y=470, depth=-6, relief=True)


def jaw_shift(x: float, y: float, opening: float) -> float:
    """How far down the jaw has carried what is seen at (x, y)."""
    down = min(max((y - _JAW_TOP_Y) / _JAW_SPAN, 0.0), 1.0)
    aside = min(max((abs(x - CENTRE_X) - _JAW_SIDE_X) / _JAW_SIDE_SPAN, 0.0), 1.0)
    middle = 1 - _JAW_SIDE_LOSS * aside * aside * (3 - 2 * aside)
    return _JAW_SHARE * JAW_DROP_UNITS * opening * down * down * (3 - 2 * down) * middle


def _jaw_shifts(x: Grid, y: Grid, opening: float) -> Grid:
    """`jaw_shift` for a grid."""
    down = _smooth((y - _JAW_TOP_Y) / _JAW_SPAN)
    middle = 1 - _JAW_SIDE_LOSS * _smooth((np.abs(x - CENTRE_X) - _JAW_SIDE_X) / _JAW_SIDE_SPAN)
    return np.asarray(_JAW_SHARE * JAW_DROP_UNITS * opening * down * middle, np.float32)


class Warp:
    """Maps of one frame of a layer for pictures of `scale` pixels per design unit from a painting of `sheet_scale`."""

    def __init__(self, layer: Layer, frame: Frame, scale: float, sheet_scale: float, margin: float) -> None:
        self._layer = layer
        self._sheet_scale = sheet_scale
        self._margin = margin
        self.left_px, self.top_px = round(frame[0] * scale), round(frame[1] * scale)
        self.width_px = round(frame[2] * scale) - self.left_px
        self.height_px = round(frame[3] * scale) - self.top_px
        # one step of the grid lies outside on each side, because enlarging repeats the outermost nodes
        step = _STEP_UNITS * scale
        self._columns = int(np.ceil(self.width_px / step)) + 2
        self._rows = int(np.ceil(self.height_px / step)) + 2
        self._full = (round(self._columns * step), round(self._rows * step))
        self._pad = round(step)
        x_px = (np.arange(self._columns) + 0.5) * self._full[0] / self._columns - 0.5 - self._pad + self.left_px
        y_px = (np.arange(self._rows) + 0.5) * self._full[1] / self._rows - 0.5 - self._pad + self.top_px
        x, y = np.meshgrid((x_px + 0.5) / scale, (y_px + 0.5) / scale)
        self._x: Grid = x.astype(np.float32)
        self._y: Grid = y.astype(np.float32)
        self._depth = _relief(self._x, self._y, layer.depth) if layer.relief else np.full_like(self._x, layer.depth)
        self._hold = 1 - _smooth((self._y - layer.held_above_y) / (layer.free_below_y - layer.held_above_y))
        self._across, self._down = self._x - np.float32(CENTRE_X), self._y - np.float32(_PIVOT_Y)
        self._chest = _smooth((self._y - 380) / 60) * self._across

    def map(self, pose: Pose) -> NDArray[np.float32]:
        """Where in the sheet each pixel of the frame lies: float32 [height_px, width_px, 2], x before y."""
        x, y = self._unturned(pose)
        if self._layer.relief:
            opening = pose.mouth.opening * (1 - pose.mouth.press)
            hollow = np.exp(-(((y - 272) / 26) ** 2)) * np.clip((x - CENTRE_X) / 60, -1, 1)
            x = np.asarray(x + _CHEEK_PULL * opening * hollow, np.float32)
            y = np.asarray(y - _jaw_shifts(x, y, opening), np.float32)
        offset = self._margin * self._sheet_scale - 0.5
        nodes = cv2.merge((x * self._sheet_scale + offset, y * self._sheet_scale + offset))
        enlarged = cv2.resize(nodes, self._full, interpolation=cv2.INTER_LINEAR)
        pad = self._pad
        return np.asarray(enlarged[pad : pad + self.height_px, pad : pad + self.width_px], np.float32)

    def _unturned(self, pose: Pose) -> tuple[Grid, Grid]:
        """Which spot of the painting the pose has carried to each node.

        The turn is a rotation by yaw, then pitch, then roll, seen from straight ahead; with the depth known, it is
        undone by inverting the part of its matrix that acts within the picture.
        """
        yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
        turned = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        nodded = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
        tilted = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
        matrix = tilted @ nodded @ turned
        back = np.linalg.inv(matrix[:2, :2])
        depth = back @ matrix[:2, 2]
        still = back @ (pose.shift_x, pose.shift_y)
        (xx, xy), (yx, yy) = ((float(number) for number in row) for row in back)
        x = self._x + self._hold * (
            (xx - 1) * self._across + xy * self._down - float(depth[0]) * self._depth - float(still[0])
        )
        y = self._y + self._hold * (
            yx * self._across + (yy - 1) * self._down - float(depth[1]) * self._depth - float(still[1])
        )
        return x - self._chest * (0.006 * pose.breath), y + _BREATH_LIFT * pose.breath


def _relief(x: Grid, y: Grid, flat: float) -> Grid:
    """Depth of the face: an egg with a nose, hollow eyes and a chin; `flat` beside it."""
    egg = 1 - ((x - CENTRE_X) / 106) ** 2 - ((y - 212) / 150) ** 2
    nose = 17 * np.exp(-(((x - CENTRE_X) / 13) ** 2) - ((y - 243) / 17) ** 2)
    bridge = 8 * np.exp(-(((x - CENTRE_X) / 12) ** 2) - ((y - 215) / 22) ** 2)
    chin = 8 * np.exp(-(((x - CENTRE_X) / 24) ** 2) - ((y - 308) / 16) ** 2)
    lips = 5 * np.exp(-(((x - CENTRE_X) / 22) ** 2) - ((y - 274) / 14) ** 2)
    eyes = -6 * np.exp(-(((np.abs(x - CENTRE_X) - 37) / 18) ** 2) - ((y - 203) / 12) ** 2)
    below = _smooth((y - 318) / 60)
    face = 84 * np.clip(egg, -0.4, 1) + nose + bridge + chin + lips + eyes
    return np.asarray(face * (1 - below) + flat * below, np.float32)


def _smooth(share: NDArray[Any]) -> Grid:
    held = np.clip(share, 0, 1)
    return np.asarray(held * held * (3 - 2 * held), np.float32)
