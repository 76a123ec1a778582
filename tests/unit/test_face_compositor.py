import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.face.avatar.pack import FACE_PX, AvatarPack
from models.face.musetalk.compositor import Compositor, region_of, region_warps, with_region
from tests.avatars import synthetic_pack
from tests.composited import blended_by_numpy


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def smooth_faces(count: int) -> NDArray[np.float32]:
    """RGB [count, 3, 256, 256] in [-1, 1], without detail that resampling could lose."""
    place = np.linspace(0, np.pi, FACE_PX)
    waves = [np.sin(np.add.outer((c + 1) * place, (i + 1) * place)) for i in range(count) for c in range(3)]
    return np.array(waves, np.float32).reshape(count, 3, FACE_PX, FACE_PX)


def blended(
    pack: AvatarPack, faces: NDArray[np.float32], masks: NDArray[np.uint8], gains: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """By the compositor and by the reference."""
    count = len(faces)
    regions = np.stack([region_of(pack, frame) for frame in range(count)])
    warps = region_warps(pack)[:count]
    compositor = Compositor(pack.roi_width_px, pack.roi_height_px)
    inputs = (faces, masks[:, None], warps, gains, regions)
    by_torch = compositor(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs)).numpy()
    return by_torch, blended_by_numpy(faces, masks, warps, gains, regions)


def test_it_computes_what_the_reference_computes() -> None:
    pack = synthetic_pack()
    gains = np.array([0.25, 0.5, 1.0], np.float32)
    got, expected = blended(pack, smooth_faces(3), pack.masks[:3], gains)
    assert got.shape == (3, pack.roi_height_px * 3 // 2, pack.roi_width_px)
    assert np.abs(got.astype(int) - expected).max() <= 1
    assert (got != expected).mean() < 0.001


def test_a_box_that_leaves_the_region_on_every_side_is_cut() -> None:
    pack = synthetic_pack(face_px=400, width_px=256, height_px=256)
    got, expected = blended(pack, smooth_faces(2), pack.masks[:2], np.ones(2, np.float32))
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_where_the_mask_is_zero_not_a_byte_of_the_frame_changes() -> None:
    pack = synthetic_pack()
    faces = smooth_faces(2)
    untouched, _ = blended(pack, faces, np.zeros_like(pack.masks[:2]), np.ones(2, np.float32))
    assert (untouched == np.stack([region_of(pack, frame) for frame in range(2)])).all()
    faded, _ = blended(pack, faces, pack.masks[:2], np.zeros(2, np.float32))
    assert (faded == untouched).all()


def test_a_full_mask_shows_the_drawn_face_as_opencv_would_convert_it() -> None:
    size = FACE_PX
    pack = AvatarPack(
        frames=np.full((1, size * 3 // 2, size), 128, np.uint8),
        latents=np.zeros((1, 8, 32, 32), np.float16),
        masks=np.full((1, FACE_PX, FACE_PX), 255, np.uint8),
        boxes=np.array([[0, 0, size, size]], np.float32),
        rois=np.zeros((1, 2), np.int32),
        roi_width_px=size,
        roi_height_px=size,
        schedule=np.zeros(1, np.int32),
    )
    faces = smooth_faces(1)
    got, _ = blended(pack, faces, pack.masks, np.ones(1, np.float32))
    rgb = np.rint((faces[0].transpose(1, 2, 0) / 2 + 0.5) * 255).astype(np.uint8)
    expected = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    # OpenCV takes the chroma of one pixel in four, this the mean of the four.
    assert np.abs(got[0, :size].astype(int) - expected[:size]).max() <= 1
    assert np.abs(got[0, size:].astype(int) - expected[size:]).max() <= 3


def test_the_drawn_face_lies_where_the_box_lies() -> None:
    pack = synthetic_pack()
    faces = np.full((2, 3, FACE_PX, FACE_PX), -1.0, np.float32)
    faces[:, :, 180:200, 100:140] = 1.0
    got, _ = blended(pack, faces, np.full_like(pack.masks[:2], 255), np.ones(2, np.float32))
    for frame in range(2):
        x0, y0, x1, y1 = pack.boxes[frame]
        luma = got[frame, : pack.roi_height_px].astype(float) - 16
        rows, columns = np.nonzero(luma > 185)
        centre = (pack.rois[frame, 0] + columns.mean() + 0.5, pack.rois[frame, 1] + rows.mean() + 0.5)
        expected = (x0 + (x1 - x0) * 120 / FACE_PX, y0 + (y1 - y0) * 190 / FACE_PX)
        assert np.abs(np.subtract(centre, expected)).max() < 0.6


def test_a_region_goes_back_to_where_it_was_taken() -> None:
    pack = synthetic_pack()
    assert (with_region(pack, 3, region_of(pack, 3)) == pack.frames[3]).all()
    painted = with_region(pack, 3, np.zeros_like(region_of(pack, 3)))
    changed = np.nonzero(painted[: pack.height_px] != pack.frames[3][: pack.height_px])
    x, y = pack.rois[3]
    assert (changed[0].min(), changed[1].min()) == (y, x)
    assert (changed[0].max() + 1 - y, changed[1].max() + 1 - x) == (pack.roi_height_px, pack.roi_width_px)
