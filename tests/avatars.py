"""Prepared avatars without a person, for tests and for benches on machines that have only numpy."""

import numpy as np
from numpy.typing import NDArray

from models.face.avatar.pack import FACE_PX, LATENT_SHAPE, AvatarPack


def synthetic_pack(
    *, frames: int = 8, width_px: int = 320, height_px: int = 240, face_px: int = 128, seed: int = 0
) -> AvatarPack:
    """A pack whose head sways with a period of `frames`: a bright square on a gradient, random latents, a soft mask.

    The frames differ, so that a test sees which one is shown; the schedule plays them in order, then out of order.
    """
    random = np.random.default_rng(seed)
    phase = 2 * np.pi * np.arange(frames) / frames
    left = (width_px - face_px) / 2 + 6.25 * np.sin(phase)
    top = (height_px - face_px) / 2 + 3.5 * np.cos(phase)
    boxes = np.stack((left, top, left + face_px, top + face_px), axis=1).astype(np.float32)
    side_px = -(-(face_px // 2 + 8) // 32) * 32
    roi_width_px, roi_height_px = min(-(-(face_px + 8) // 32) * 32, width_px // 32 * 32), side_px
    rois = np.stack(
        (
            np.clip(np.floor(left).astype(np.int32) // 2 * 2 - 2, 0, width_px - roi_width_px),
            np.clip(np.floor(top + face_px / 2).astype(np.int32) // 2 * 2 - 2, 0, height_px - roi_height_px),
        ),
        axis=1,
    ).astype(np.int32)
    return AvatarPack(
        frames=np.stack([_frame(box, width_px, height_px, index) for index, box in enumerate(boxes)]),
        latents=random.standard_normal((frames, *LATENT_SHAPE)).astype(np.float16),
        masks=np.repeat(_mask()[None], frames, axis=0),
        boxes=boxes,
        rois=rois // 2 * 2,
        roi_width_px=roi_width_px,
        roi_height_px=roi_height_px,
        schedule=np.concatenate((np.arange(frames), np.arange(0, frames, 2))).astype(np.int32),
    )


def _frame(box: NDArray[np.float32], width_px: int, height_px: int, index: int) -> NDArray[np.uint8]:
    luma = np.add.outer(np.linspace(40, 110, height_px), np.linspace(0, 50, width_px))
    x0, y0, x1, y1 = (round(float(edge)) for edge in box)
    luma[max(y0, 0) : y1, max(x0, 0) : x1] = 170 + index % 32
    chroma = np.full((height_px // 2) * width_px, 128.0)
    chroma[: len(chroma) // 2] = 110
    chroma[len(chroma) // 2 :] = 146
    return np.concatenate((luma.reshape(-1), chroma)).astype(np.uint8).reshape(height_px * 3 // 2, width_px)


def _mask() -> NDArray[np.uint8]:
    place = np.arange(FACE_PX) + 0.5
    across = np.clip((FACE_PX / 2 - np.abs(place - FACE_PX / 2) - 8) / 24, 0, 1)
    down = np.clip(np.minimum(place - 128, FACE_PX - 8 - place) / 16, 0, 1)
    return np.rint(255 * np.outer(down, across)).astype(np.uint8)
