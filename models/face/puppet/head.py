"""Turns the head of a portrait in depth before a background that stays where it is.

The face is a relief, whose depth the face mesh tells; a turn moves near spots further than far ones. The neck bends,
the shoulders rise with the breath. What the person uncovers is filled in from the background around.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.host.brush import canvas_on, image_of
from models.face.landmark_table import CHEEK_LEFT, CHEEK_RIGHT, CHIN, FACE_OVAL, FOREHEAD
from models.face.pose import Pose
from models.face.puppet.field import smooth
from models.face.puppet.frame import face_frame
from models.face.puppet.portrait import Portrait
from models.interfaces import Image

Floats = NDArray[np.float32]

_STEP_PX = 8
_YAW, _PITCH, _ROLL = 0.80, 0.80, 0.60
"""How much of the pose's angles a photo bears before its flatness shows."""
_UNIT = 2.75 / 512
"""The pose counts in 512ths of a square picture of head and shoulders; in heights of the face."""
_BREATH_UNITS = 2.2
_RELIEF_SMOOTH = 0.05
"""Sigma of the depth between the points of the mesh, in heights of the face."""
_RELIEF_FADE = 0.42
"""Beside the face the depth falls to nothing over this many heights of the face."""
_PLATE_LEVELS = 6


class Head:
    """Warps the sheet of a portrait into pictures. Not thread-safe: it reuses its buffers."""

    def __init__(self, portrait: Portrait) -> None:
        self._portrait = portrait
        self._plate = _background(portrait)
        self._picture = self._plate.copy()
        self._canvas = canvas_on(self._picture, 1.0)
        self._top = self._first_row()
        self._person = np.zeros((portrait.height_px - self._top, portrait.width_px, 4), np.uint8)
        self._grid()

    def draw(self, sheet: Image, pose: Pose) -> Image:
        """The picture RGBA uint8 [height, width, 4] of `sheet` (premultiplied RGBA); valid until the next call."""
        np.copyto(self._picture, self._plate)
        cv2.remap(sheet, self._sources(pose), None, cv2.INTER_LINEAR, dst=self._person, borderMode=cv2.BORDER_REPLICATE)
        self._canvas.drawImage(image_of(self._person), 0, self._top)
        return self._picture

    def _first_row(self) -> int:
        """The highest row of the picture that the person can reach."""
        portrait = self._portrait
        rows = np.flatnonzero(portrait.person.max(axis=1) > 0)
        first = (int(rows[0]) - portrait.margin_px) / portrait.scale if len(rows) else 0.0
        return min(max(0, round(first - 0.03 * portrait.height_px)), portrait.height_px - _STEP_PX)

    def _grid(self) -> None:
        portrait = self._portrait
        height, width = self._person.shape[:2]
        self._columns, self._rows = -(-width // _STEP_PX) + 2, -(-height // _STEP_PX) + 2
        # in px of the picture; one node lies outside on each side, because enlarging repeats the outermost ones
        x, y = np.meshgrid(
            (np.arange(self._columns) - 0.5) * _STEP_PX - 0.5,
            (np.arange(self._rows) - 0.5) * _STEP_PX - 0.5 + self._top,
        )
        self._nodes = np.stack((x, y), axis=-1).astype(np.float32)
        points = portrait.points.copy()
        points[:, :2] = (points[:, :2] - portrait.margin_px + 0.5) / portrait.scale - 0.5
        points[:, 2] /= portrait.scale
        face_px = float(np.hypot(*(points[CHIN] - points[FOREHEAD])[:2]))
        self._unit_px = _UNIT * face_px
        frame = face_frame(points, points[CHIN])
        place = frame.place(self._nodes)
        down = place[..., 1] / np.float32(face_px)
        self._depth = _relief(self._nodes, points, face_px)
        self._hold = 1 - smooth((down + 0.02) / 0.85)
        self._chest = smooth((down - 0.05) / 0.7)
        if int(portrait.person.min()) == 255:
            # Nobody is cut out: the picture as a whole moves, less and less with the distance from the head.
            middle = points[list(FACE_OVAL), :2].mean(axis=0)
            away = np.hypot(*np.moveaxis(self._nodes - middle, -1, 0)) / np.float32(face_px)
            near = 1 - smooth((away - 0.75) / 0.6)
            self._hold, self._chest = self._hold * near, self._chest * 0
        pivot = frame.back(np.array([0.0, 0.22 * face_px], np.float32))
        self._across, self._down = self._nodes[..., 0] - pivot[0], self._nodes[..., 1] - pivot[1]

    def _sources(self, pose: Pose) -> Floats:
        """Where in the sheet each px of the person's part of the picture comes from: [h, w, 2], x and y.

        The turn is a rotation by yaw, pitch and roll, seen from straight ahead; with the depth known, it is undone by
        inverting the part of its matrix that acts within the picture.
        """
        portrait = self._portrait
        angles = pose.yaw_deg * _YAW, pose.pitch_deg * _PITCH, pose.roll_deg * _ROLL
        yaw, pitch, roll = (math.radians(angle) for angle in angles)
        turned = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        nodded = np.array([[1, 0, 0], [0, math.cos(pitch), math.sin(pitch)], [0, -math.sin(pitch), math.cos(pitch)]])
        tilted = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
        matrix = tilted @ nodded @ turned
        back = np.linalg.inv(matrix[:2, :2])
        depth = back @ matrix[:2, 2]
        still = back @ (pose.shift_x * self._unit_px, pose.shift_y * self._unit_px)
        (xx, xy), (yx, yy) = ((float(number) for number in row) for row in back)
        x = self._nodes[..., 0] + self._hold * (
            (xx - 1) * self._across + xy * self._down - float(depth[0]) * self._depth - float(still[0])
        )
        y = self._nodes[..., 1] + self._hold * (
            yx * self._across + (yy - 1) * self._down - float(depth[1]) * self._depth - float(still[1])
        )
        breath = _BREATH_UNITS * self._unit_px * pose.breath
        y = y + breath * (0.25 * self._hold + 0.75 * self._chest)
        x = x - 0.35 * float(still[0]) * self._chest - (0.006 * pose.breath) * self._chest * self._across
        scale, offset = portrait.scale, portrait.margin_px + 0.5 * portrait.scale - 0.5
        nodes = cv2.merge((np.asarray(x * scale + offset, np.float32), np.asarray(y * scale + offset, np.float32)))
        large = cv2.resize(nodes, (self._columns * _STEP_PX, self._rows * _STEP_PX), interpolation=cv2.INTER_LINEAR)
        height, width = self._person.shape[:2]
        return np.asarray(large[_STEP_PX : _STEP_PX + height, _STEP_PX : _STEP_PX + width], np.float32)


def _relief(nodes: Floats, points: Floats, face_px: float) -> Floats:
    """Depth toward the camera at each node, in px: 0 at the sides of the head, most at the tip of the nose."""
    flat, nearness = points[:, :2], -(points[:, 2] - points[[CHEEK_LEFT, CHEEK_RIGHT], 2].mean())
    away2 = ((nodes[..., None, :] - flat) ** 2).sum(axis=-1)
    nearest2 = away2.min(axis=-1, keepdims=True)
    weights = np.exp(-(away2 - nearest2) / (2 * (_RELIEF_SMOOTH * face_px) ** 2))
    depth = (weights * nearness).sum(axis=-1) / weights.sum(axis=-1)
    oval = flat[list(FACE_OVAL)].astype(np.float32)
    outside = np.array(
        [max(0.0, -cv2.pointPolygonTest(oval, (float(x), float(y)), True)) for x, y in nodes.reshape(-1, 2)]
    ).reshape(nodes.shape[:2])
    return np.asarray(depth * (1 - smooth(outside / (_RELIEF_FADE * face_px))), np.float32)


def _background(portrait: Portrait) -> Image:
    """The picture without the person, opaque RGBA: what is behind is guessed from around, more vaguely farther in."""
    margin, scale = portrait.margin_px, portrait.scale
    inner = slice(margin, portrait.pixels.shape[0] - margin), slice(margin, portrait.pixels.shape[1] - margin)
    size = portrait.width_px, portrait.height_px
    pixels = cv2.resize(portrait.pixels[inner], size, interpolation=cv2.INTER_AREA).astype(np.float32)
    grown = cv2.dilate(portrait.person[inner], np.ones((1 + 2 * round(4 * scale),) * 2, np.uint8))
    person = cv2.resize(grown, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    known = np.clip(1 - 1.1 * person, 0, 1)
    return np.dstack((_filled(pixels, known), np.full(pixels.shape[:2], 255, np.uint8)))


def _filled(pixels: Floats, known: Floats) -> Image:
    """`pixels` where they are `known`, else what is known nearby (push and pull; Gortler et al., 1996, section 3.4)."""
    sums, weights = [pixels * known[..., None]], [known]
    for _ in range(_PLATE_LEVELS):
        sums.append(cv2.pyrDown(sums[-1]))
        weights.append(cv2.pyrDown(weights[-1]))
    total = weights[-1].sum()
    mean = sums[-1].sum(axis=(0, 1)) / total if total > 0 else np.full(3, 128, np.float32)
    guess = np.broadcast_to(np.asarray(mean, np.float32), sums[-1].shape)
    for level in range(_PLATE_LEVELS, -1, -1):
        if level < _PLATE_LEVELS:
            height, width = weights[level].shape
            guess = cv2.pyrUp(guess, dstsize=(width, height))
        weight = weights[level]
        sure = np.clip(weight / 0.5, 0, 1)[..., None] if level else weight[..., None]
        here = sums[level] / np.maximum(weight, 1e-4)[..., None]
        guess = np.asarray(here * sure + guess * (1 - sure), np.float32)
    return np.asarray(np.clip(guess, 0, 255) + 0.5, np.uint8)
