"""What MuseTalk needs of a person, ready to be used: frames, latents, masks and the order in which they are shown."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACE_PX = 256
"""Side of the picture that the networks see and draw, and of a mask."""
LATENT_SHAPE = (8, 32, 32)
"""Channels 0-3 are the face without its lower half, 4-7 the whole face."""
ROI_STEP_PX = 32


@dataclass(frozen=True, slots=True, eq=False)
class AvatarPack:
    """N frames of one person and the endless loop that they are shown in.

    The face box of a frame is stretched to FACE_PX x FACE_PX for the networks, and what they draw is stretched back;
    pixel (0, 0) of the face covers the box's top left corner, so that face coordinate u in [0, 256] lies at
    x0 + u * (x1 - x0) / 256.
    """

    frames: NDArray[np.uint8]
    """[N, H * 3 // 2, W] planar I420, BT.601 limited range; may be a memory map."""
    latents: NDArray[np.float16]
    """[N, 8, 32, 32]: masked, then reference; scaled by 0.18215."""
    masks: NDArray[np.uint8]
    """[N, 256, 256]: how much of the mouth is shown, in the face box's own coordinates; zero at the edges."""
    boxes: NDArray[np.float32]
    """[N, 4]: x0, y0, x1, y1 of the face box in px of the frame, sub-pixel; one width and height for all."""
    rois: NDArray[np.int32]
    """[N, 2]: x, y, even: top left of the region that the mask can touch."""
    roi_width_px: int
    """The same for all frames, a multiple of 32; the region lies inside the frame."""
    roi_height_px: int
    schedule: NDArray[np.int32]
    """[T]: frame index of each position, counted modulo T; seamless also from T - 1 to 0."""

    @property
    def width_px(self) -> int:
        return int(self.frames.shape[2])

    @property
    def height_px(self) -> int:
        return int(self.frames.shape[1]) * 2 // 3

    @property
    def frame_count(self) -> int:
        return int(self.frames.shape[0])

    def frame_at(self, position: int) -> int:
        """Index of the frame that is shown at beat `position` of the media clock."""
        return int(self.schedule[position % len(self.schedule)])


def problem_of(pack: AvatarPack) -> str | None:
    """What is wrong with a pack's shapes, types or ranges, or None. Looks at no pixel of the frames."""
    count = len(pack.frames)
    expected: dict[str, tuple[type, tuple[int, ...]]] = {
        "latents": (np.float16, (count, *LATENT_SHAPE)),
        "masks": (np.uint8, (count, FACE_PX, FACE_PX)),
        "boxes": (np.float32, (count, 4)),
        "rois": (np.int32, (count, 2)),
    }
    if pack.frames.dtype != np.uint8 or pack.frames.ndim != 3 or count == 0:
        return "the frames are not pictures"
    if pack.frames.shape[1] % 3 or pack.frames.shape[2] % 2 or pack.height_px % 2:
        return "the frames are not planar I420 of an even size"
    for name, (kind, shape) in expected.items():
        array = getattr(pack, name)
        if array.dtype != kind or array.shape != shape:
            return f"{name} is {array.dtype} {list(array.shape)} where {np.dtype(kind)} {list(shape)} is needed"
    if pack.schedule.dtype != np.int32 or pack.schedule.ndim != 1 or len(pack.schedule) == 0:
        return "the schedule is not a list of frames"
    if pack.schedule.min() < 0 or pack.schedule.max() >= count:
        return "the schedule names frames that are not there"
    return _problem_of_places(pack)


def _problem_of_places(pack: AvatarPack) -> str | None:
    if not (np.isfinite(pack.latents).all() and np.isfinite(pack.boxes).all()):
        return "a latent or a box is not a number"
    if (pack.boxes[:, 2:] - pack.boxes[:, :2]).min() < 1.0:
        return "a face box is empty"
    if pack.roi_width_px <= 0 or pack.roi_height_px <= 0 or (pack.roi_width_px | pack.roi_height_px) % ROI_STEP_PX:
        return f"the mouth region is not a multiple of {ROI_STEP_PX} px"
    ends = pack.rois + np.array((pack.roi_width_px, pack.roi_height_px), np.int32)
    if (pack.rois % 2).any() or pack.rois.min() < 0 or (ends > (pack.width_px, pack.height_px)).any():
        return "a mouth region leaves the frame or lies at an odd pixel"
    if pack.masks[:, (0, -1)].any() or pack.masks[:, :, (0, -1)].any():
        return "a mask touches the edge of its face box"
    return None
