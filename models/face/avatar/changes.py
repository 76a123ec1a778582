"""How much the picture of an avatar changes from one beat to the next, above all where it is faded."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.avatar.film import FADE_FRAMES
from models.face.avatar.pack import AvatarPack
from models.face.avatar.smoothing import Floats


def changes_of(pack: AvatarPack) -> Floats:
    """[T]: mean absolute change of luma from each position of the schedule to the next, around the end too."""
    small = np.stack([_small_luma(pack, frame) for frame in range(pack.frame_count)])
    after = np.roll(pack.schedule, -1)
    return np.array(
        [np.abs(small[one] - small[other]).mean() for one, other in zip(pack.schedule, after, strict=True)], np.float32
    )


def _small_luma(pack: AvatarPack, frame: int) -> Floats:
    """The frame's luma at a quarter of its size."""
    luma = pack.frames[frame, : pack.height_px]
    size_px = (max(1, pack.width_px // 4), max(1, pack.height_px // 4))
    return np.asarray(cv2.resize(luma, size_px, interpolation=cv2.INTER_AREA), np.float32)


def seam_places(length: int, seams: Sequence[int]) -> NDArray[np.int64]:
    """Which of `length` changes lead into, through and out of a fade."""
    places: NDArray[np.int64] = (np.asarray(seams, np.int64)[:, None] + np.arange(-1, FADE_FRAMES)) % length
    return places.reshape(-1)
