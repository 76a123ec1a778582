"""A frame between two frames: both are moved towards each other along the optical flow, then mixed."""

import cv2
import numpy as np

from models.face.avatar.recording import planes_of
from models.face.avatar.smoothing import Floats
from models.interfaces import Image

_FLOW_SHARE = 0.5
"""The flow of the halved picture is a quarter of the work, and its error of a tenth of a pixel is not seen."""


def between(first: Image, second: Image, weight: float) -> Image:
    """The I420 picture at `weight` on the way from `first` to `second`, so that edges move and do not double.

    Takes 0.1 s at 720p on one core.
    """
    if weight <= 0:
        return np.array(first)
    to_second, to_first = _flows(planes_of(first)[0], planes_of(second)[0])
    result = np.empty_like(first)
    for plane, one, other in zip(planes_of(result), planes_of(first), planes_of(second), strict=True):
        moved_one = _moved(one, to_first, weight)
        moved_other = _moved(other, to_second, 1 - weight)
        plane[:] = cv2.addWeighted(moved_one, 1 - weight, moved_other, weight, 0)
    return result


def _flows(first: Image, second: Image) -> tuple[Floats, Floats]:
    """Forth and back, in px of the halved pictures (Kroeger et al., 2016, arXiv:1603.03590)."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    one, other = (
        cv2.resize(luma, None, fx=_FLOW_SHARE, fy=_FLOW_SHARE, interpolation=cv2.INTER_AREA) for luma in (first, second)
    )
    return np.asarray(method.calc(one, other, None)), np.asarray(method.calc(other, one, None))


def _moved(plane: Image, flow: Floats, share: float) -> Image:
    """`plane` sampled `share` of the way along `flow`, which is given in another resolution."""
    height, width = plane.shape
    step = share * width / flow.shape[1]
    flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(step)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(plane, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
