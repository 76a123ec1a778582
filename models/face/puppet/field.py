"""Displacement fields: how the spots of a part of the picture move, as a sum of movements of given shape.

A field is computed on a coarse grid and enlarged. Its movements say where each spot goes; to draw, one must know where
each px comes from, which is found by iteration.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ITERATIONS = 6
_DAMPING = 0.65
"""Of the step toward the fixed point: below 1, a spot that is stretched to twice its size still converges."""


class Region:
    """A rectangle of the sheet that is `step_px` times whole numbers in size, and its coarse grid."""

    def __init__(self, left: float, top: float, right: float, bottom: float, *, step_px: int, within: Sequence[int]):
        """Covers the given px at least; shifted and cut to lie `within` a sheet of (height, width)."""
        height, width = within
        columns = min(-(-round(right - left) // step_px), width // step_px)
        rows = min(-(-round(bottom - top) // step_px), height // step_px)
        self.step_px = step_px
        self.width_px, self.height_px = columns * step_px, rows * step_px
        self.left_px = min(max(round(left), 0), width - self.width_px)
        self.top_px = min(max(round(top), 0), height - self.height_px)
        self.nodes = np.stack(
            np.meshgrid(
                ((np.arange(columns) + 0.5) * step_px - 0.5 + self.left_px).astype(np.float32),
                ((np.arange(rows) + 0.5) * step_px - 0.5 + self.top_px).astype(np.float32),
            ),
            axis=-1,
        )
        """[rows, columns, 2]: x, y of the nodes in px of the sheet."""

    @property
    def rows(self) -> slice:
        return slice(self.top_px, self.top_px + self.height_px)

    @property
    def columns(self) -> slice:
        return slice(self.left_px, self.left_px + self.width_px)

    def pixels(self) -> Floats:
        """[height_px, width_px, 2]: x, y of every px of the region, in px of the sheet."""
        x, y = np.meshgrid(
            np.arange(self.width_px, dtype=np.float32) + self.left_px,
            np.arange(self.height_px, dtype=np.float32) + self.top_px,
        )
        return np.stack((x, y), axis=-1)

    def edge_fade(self, places: Floats, width_px: float) -> Floats:
        """1 inside the region, falling to 0 within `width_px` of its edges."""
        x, y = places[..., 0] - self.left_px, places[..., 1] - self.top_px
        inside = np.minimum(np.minimum(x, self.width_px - 1 - x), np.minimum(y, self.height_px - 1 - y))
        return smooth(inside / np.float32(width_px))


class Field:
    """The sum of `movements` [n, rows, columns, 2] over the grid of a region, in px of the sheet."""

    def __init__(self, region: Region, movements: Floats) -> None:
        self._region = region
        self._flat = movements.reshape(len(movements), -1)
        self._shape = movements.shape[1:]
        rows, columns = self._shape[:2]
        self._index = np.stack(
            np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32)), axis=-1
        )

    def sources(self, amounts: Floats) -> Floats:
        """Where each px of the region comes from when movement i is done `amounts[i]` times: [h, w, 2], x and y."""
        forward = (amounts @ self._flat).reshape(self._shape)
        back = -forward
        per_px = np.float32(1 / self._region.step_px)
        for _ in range(_ITERATIONS):
            there = cv2.remap(forward, self._index + back * per_px, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
            back -= np.float32(_DAMPING) * (back + there)
        return self._enlarged(self._region.nodes + back)

    def _enlarged(self, nodes: Floats) -> Floats:
        size = self._region.width_px, self._region.height_px
        # Enlarging repeats the outermost nodes; the px beyond them go on in steps of one all the same.
        large = np.asarray(cv2.resize(nodes, size, interpolation=cv2.INTER_LINEAR), np.float32)
        half = self._region.step_px // 2
        for step in range(half):
            beyond = np.float32(half - step - 0.5)
            large[step, :, 1] -= beyond
            large[-1 - step, :, 1] += beyond
            large[:, step, 0] -= beyond
            large[:, -1 - step, 0] += beyond
        return large


def smooth(share: NDArray[Any] | np.float32) -> Floats:
    """0 to 1 with level ends, for shares from 0 to 1."""
    held = np.clip(share, 0, 1)
    return np.asarray(held * held * (3 - 2 * held), np.float32)
