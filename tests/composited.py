"""The compositor's arithmetic in plain numpy: the reference for every device."""

import numpy as np
from numpy.typing import NDArray

from models.face.avatar.pack import FACE_PX
from models.face.musetalk.compositor import YUV_OF_RGB, planes_of


def blended_by_numpy(
    faces: NDArray[np.float32],
    masks: NDArray[np.uint8],
    warps: NDArray[np.float32],
    gains: NDArray[np.float32],
    regions: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """What `Compositor` computes, one picture after the other, in float64."""
    out = np.empty_like(regions)
    for index, region in enumerate(regions):
        height, width = region.shape[0] * 2 // 3, region.shape[1]
        rgb = np.clip(faces[index].astype(np.float64) / 2 + 0.5, 0, 1)
        yuv = np.tensordot(np.array(YUV_OF_RGB), rgb, axes=1)
        layers = np.concatenate((yuv, masks[index, None].astype(np.float64) / 255))
        scale_x, offset_x, scale_y, offset_y = warps[index].astype(np.float64)
        u = ((scale_x * ((2 * np.arange(width) + 1) / width - 1) + offset_x) + 1) / 2 * FACE_PX - 0.5
        v = ((scale_y * ((2 * np.arange(height) + 1) / height - 1) + offset_y) + 1) / 2 * FACE_PX - 0.5
        warped = _bilinear(layers, u, v)
        share = warped[3] * gains[index]
        luma, *chroma = (plane.astype(np.float64) for plane in planes_of(region))
        planes = [luma + share * (16 + warped[0] - luma)]
        coarse_share = _mean_of_2x2(share)
        for plane, layer in zip(chroma, warped[1:3], strict=True):
            planes.append(plane + coarse_share * (128 + _mean_of_2x2(layer) - plane))
        for target, plane in zip(planes_of(out[index]), planes, strict=True):
            target[:] = np.clip(np.rint(plane), 0, 255)
    return out


def _bilinear(layers: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """`layers` [C, h, w] at columns `u` and rows `v`, zero outside: [C, len(v), len(u)]."""
    height, width = layers.shape[1:]
    padded = np.pad(layers, ((0, 0), (1, 1), (1, 1)))
    u, v = np.clip(u + 1, 0, width + 0.999), np.clip(v + 1, 0, height + 0.999)
    left, top = u.astype(int), v.astype(int)
    across, down = u - left, (v - top)[:, None]
    rows, below = padded[:, top], padded[:, top + 1]
    upper = rows[:, :, left] * (1 - across) + rows[:, :, left + 1] * across
    lower = below[:, :, left] * (1 - across) + below[:, :, left + 1] * across
    result: NDArray[np.float64] = upper * (1 - down) + lower * down
    return result


def _mean_of_2x2(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = plane.shape
    result: NDArray[np.float64] = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return result
