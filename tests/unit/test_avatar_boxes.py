"""The face box and the mask: of one size, steady, and without a seam."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.boxes import (
    BoxSize,
    face_of,
    mouth_regions,
    refuse_size,
    rough_boxes,
    size_of,
    steady_boxes,
    to_face,
)
from models.face.avatar.mask import EDGE_ROW, mask_of, steady
from models.face.avatar.rules import Rules
from models.face.landmark_table import LIPS_INNER_LOWER, LIPS_OUTER_UPPER
from tests.recordings import mesh

Floats = NDArray[np.float32]


def moving(count: int = 100, *, noise_px: float = 0.0) -> tuple[Floats, Floats]:
    """Meshes of a swaying face, with the landmarks' noise, and the middle of each face."""
    phase = np.arange(count) / 25 * 2 * np.pi * 0.5
    middle = np.stack((200 + 12 * np.sin(phase), 150 + 5 * np.cos(phase)), axis=1)
    points = np.stack([mesh(x, y, 200, gap=0.01) for x, y in middle])
    noise = np.random.default_rng(0).standard_normal((count, 1, 2)) * noise_px
    points[:, :, :2] += noise
    return points, middle.astype(np.float32)


def test_the_bridge_of_the_nose_is_in_the_middle_and_the_chin_at_the_bottom() -> None:
    points = mesh(200, 150, 200)[None]
    x0, y0, x1, y1 = rough_boxes(points, "1.0")[0]
    assert (y0 + y1) / 2 == pytest.approx(points[0, 195, 1], abs=1e-3)
    assert y1 == pytest.approx(points[0, 152, 1], abs=1e-3)
    assert x0 == pytest.approx(points[0, 127, 0], abs=1e-3)
    assert x1 == pytest.approx(points[0, 356, 0], abs=1e-3)


def test_version_1_5_leaves_a_margin_below_the_chin() -> None:
    points = mesh(200, 150, 200)[None]
    old, new = rough_boxes(points, "1.0")[0], rough_boxes(points, "1.5")[0]
    assert new[:3].tolist() == old[:3].tolist()
    assert new[3] - old[3] == pytest.approx(10 / 250 * (old[3] - old[1]), rel=1e-3)


@pytest.mark.parametrize("version", ["1.0", "1.5"])
def test_the_box_has_one_size_and_follows_the_head(version: str) -> None:
    points, middle = moving(noise_px=0.7)
    size = size_of(rough_boxes(points, version))  # type: ignore[arg-type]
    boxes = steady_boxes(points, size, version)  # type: ignore[arg-type]
    sizes = boxes[:, 2:] - boxes[:, :2]
    assert np.ptp(sizes, axis=0).max() < 1e-3
    assert sizes[0].tolist() == pytest.approx([size.width_px, size.height_px], abs=1e-3)
    offset = (boxes[:, :2] + boxes[:, 2:]) / 2 - middle
    assert (offset - offset.mean(axis=0)).std() < 0.4
    assert (
        np.abs(np.diff(offset, 2, axis=0)).mean()
        < 0.35 * np.abs(np.diff(_rough_offsets(points, middle), 2, axis=0)).mean()
    )


def _rough_offsets(points: Floats, middle: Floats) -> Floats:
    boxes = rough_boxes(points, "1.5")
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2 - middle)


def test_an_opening_mouth_does_not_move_the_box() -> None:
    points, _ = moving(60)
    size = size_of(rough_boxes(points, "1.5"))
    calm = steady_boxes(points, size, "1.5")
    points[20:40, 152, 1] += 14
    assert np.abs(steady_boxes(points, size, "1.5") - calm).max() < 1e-3


@pytest.mark.parametrize(
    ("height_px", "word"),
    [(60, "60 px high and 96 are needed; sit nearer"), (700, "at most 560 can be drawn sharply; sit farther")],
)
def test_a_face_of_a_wrong_size_is_refused(height_px: float, word: str) -> None:
    boxes = np.array([[100, 10, 100 + 0.8 * height_px, 10 + height_px]], np.float32)
    with pytest.raises(AvatarError, match=word):
        refuse_size("me.mp4", boxes, (1280, 720), Rules())


def test_a_face_that_leaves_the_picture_is_refused_with_the_moment() -> None:
    boxes = np.tile(np.array((100, 10, 260, 210), np.float32), (50, 1))
    assert refuse_size("me.mp4", boxes, (400, 300), Rules()) == []
    boxes[30:] -= (0, 20, 0, 20)
    with pytest.raises(AvatarError, match=r"leaves the picture at 1\.2 s"):
        refuse_size("me.mp4", boxes, (400, 300), Rules())


def test_sizes_near_the_limits_are_warned_of() -> None:
    large = np.array([[100, 10, 400, 350]], np.float32)
    small = np.array([[100, 10, 190, 120]], np.float32)
    assert "looks softer than the rest" in refuse_size("me.mp4", large, (1280, 720), Rules())[0]
    assert "only 110 px high" in refuse_size("me.mp4", small, (1280, 720), Rules())[0]


def test_the_face_is_sampled_below_the_pixel_and_stretched() -> None:
    x, y = np.meshgrid(np.arange(200.0), np.arange(160.0))
    rgb = np.stack((x, y, np.full_like(x, 7)), axis=2).astype(np.uint8)
    face = face_of(rgb, np.array((20.5, 30.25, 148.5, 94.25), np.float32)).astype(float)
    middle = np.arange(8, 248)
    assert np.abs(face[100, middle, 0] - (20.5 + (middle + 0.5) * 0.5 - 0.5)).max() < 1
    assert np.abs(face[middle, 100, 1] - (30.25 + (middle + 0.5) * 0.25 - 0.5)).max() < 1
    assert (face[..., 2] == 7).all()


def test_outside_the_picture_its_edge_is_repeated() -> None:
    rgb = np.full((100, 100, 3), 90, np.uint8)
    face = face_of(rgb, np.array((-10, -10, 60, 60), np.float32))
    assert (face == 90).all()


def test_points_move_into_the_box() -> None:
    boxes = np.array([[20, 30, 148, 94]], np.float32)
    points = np.array([[[20, 30, 5], [148, 94, 5], [84, 62, 5]]], np.float32)
    assert to_face(points, boxes)[0].tolist() == [[0, 0], [256, 256], [128, 128]]


def masks(version: str = "1.5") -> tuple[NDArray[np.uint8], Floats, Floats, BoxSize]:
    points, _ = moving(20)
    size = size_of(rough_boxes(points, version))  # type: ignore[arg-type]
    boxes = steady_boxes(points, size, version)  # type: ignore[arg-type]
    in_face = steady(to_face(points, boxes))
    return np.stack([mask_of(face, size.height_px / size.width_px) for face in in_face]), in_face, boxes, size


@pytest.mark.parametrize("version", ["1.0", "1.5"])
def test_the_mask_is_zero_above_its_line_and_at_the_edges(version: str) -> None:
    shown, _, _, _ = masks(version)
    assert not shown[:, : EDGE_ROW + 1].any()
    for edge in (shown[:, :2], shown[:, -2:], shown[:, :, :2], shown[:, :, -2:]):
        assert not edge.any()


def test_the_mask_shows_the_lips_whole_and_not_the_nose() -> None:
    shown, in_face, _, _ = masks()
    for mask, face in zip(shown, in_face, strict=True):
        for point in (*LIPS_INNER_LOWER, *LIPS_OUTER_UPPER[2:-2]):
            x, y = face[point]
            assert mask[int(y), int(x)] > 240
        x, y = face[4]
        assert mask[int(y), int(x)] < 60


def test_the_mask_has_no_hard_edge() -> None:
    shown, _, _, _ = masks()
    steps = [np.abs(np.diff(shown.astype(int), axis=axis)).max() for axis in (1, 2)]
    assert max(steps) < 32


def test_the_mask_is_steady_while_the_landmarks_tremble() -> None:
    random = np.random.default_rng(3)
    points = np.stack([mesh(128, 128, 240)[:, :2]] * 40) + random.standard_normal((40, 468, 2)) * 1.5
    calm = np.stack([mask_of(face, 1.3) for face in steady(points.astype(np.float32))]).astype(int)
    raw = np.stack([mask_of(face.astype(np.float32), 1.3) for face in points]).astype(int)
    assert np.abs(np.diff(calm, axis=0)).mean() < 0.35 * np.abs(np.diff(raw, axis=0)).mean()


def test_the_region_holds_the_mask_in_every_frame() -> None:
    shown, _, boxes, size = masks()
    rois, width_px, height_px = mouth_regions(shown, boxes, (400, 300))
    assert not (rois % 2).any()
    assert width_px % 32 == height_px % 32 == 0
    assert rois.min() >= 0
    assert (np.add(rois, (width_px, height_px)) <= (400, 300)).all()
    for mask, box, roi in zip(shown, boxes, rois, strict=True):
        rows, columns = np.nonzero(mask)
        assert roi[0] <= box[0] + columns.min() / 256 * size.width_px
        assert roi[0] + width_px >= box[0] + (columns.max() + 1) / 256 * size.width_px
        assert roi[1] <= box[1] + rows.min() / 256 * size.height_px
        assert roi[1] + height_px >= box[1] + (rows.max() + 1) / 256 * size.height_px


def test_a_region_at_the_picture_s_edge_stays_inside_it() -> None:
    shown, _, boxes, _ = masks()
    right, bottom = int(boxes[:, 2].max()) + 1, int(boxes[:, 3].max()) + 1
    right, bottom = right + right % 2, bottom + bottom % 2
    rois, width_px, height_px = mouth_regions(shown, boxes, (right, bottom))
    assert (np.add(rois, (width_px, height_px)) <= (right, bottom)).all()
    with pytest.raises(AvatarError, match="is too small for its face"):
        mouth_regions(shown, boxes, (100, 300))
