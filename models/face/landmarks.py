"""Finds faces in a picture and 468 points on each: BlazeFace and Face Mesh of MediaPipe (Apache-2.0), run by OpenCV.

BlazeFace (Bazarevsky et al., 2019, arXiv:1907.05047) looks at the whole picture once; Face Mesh (Kartynnik et al.,
2019, arXiv:1907.06724) looks at a square around one face, turned so that the eyes are level.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import WeightsCorrupt
from models.face.landmark_table import EYE_LEFT_OUTER, EYE_RIGHT_OUTER, MESH_POINTS
from models.interfaces import Image
from models.settings import WeightsSettings
from models.weights import locate

MODEL = "face-landmarks"

Floats = NDArray[np.float32]

_DETECTION_PX = 128
_DETECTION_SCORE = 0.5
_SAME_FACE_OVERLAP = 0.3
"""Boxes that share more of their union are one face (min_suppression_threshold of MediaPipe's detection graph)."""
_BOX_NUMBERS = 4
_EYE_KEYPOINTS = 2
"""Of the six key points of a detection the first two are the eyes, the picture's left one first."""
_MESH_PX = 192
_MESH_SCORE = 0.5
_MESH_MARGIN = 1.5
_TILE_SHARES = (0.55, 0.3)
"""Sides of the overlapping tiles in which a small face is looked for when the whole picture shows none."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A face in a picture."""

    points: Floats
    """[468, 3]: x, y in px of the picture; z in px, smaller is nearer."""
    score: float
    """Presence, 0 to 1."""

    @property
    def size_px(self) -> float:
        """Of the larger side of the box around the points."""
        return float(np.ptp(self.points[:, :2], axis=0).max())


@dataclass(frozen=True, slots=True)
class _Square:
    """A turned square of the picture: centre and side in px, the angle from its upper edge to the picture's."""

    x: float
    y: float
    side: float
    angle: float

    def to_picture(self, size_px: int) -> Floats:
        """The affine matrix [2, 3] that takes px of the square's crop of `size_px` to px of the picture."""
        scale = self.side / size_px
        across, down = scale * np.cos(self.angle), scale * np.sin(self.angle)
        middle = (size_px - 1) / 2
        x = self.x - across * middle + down * middle
        y = self.y - down * middle - across * middle
        return np.array([[across, -down, x], [down, across, y]], np.float32)


class FaceFinder:
    """Finds faces. About 5 ms a picture and 5 ms a face on one core. Not thread-safe: one per thread."""

    def __init__(self, detection: Path, mesh: Path) -> None:
        self._detection = open_network(detection, MODEL)
        self._mesh = open_network(mesh, MODEL)
        self._anchors = _anchors()

    def find(self, rgb: Image) -> list[FoundFace]:
        """Every face of an RGB picture uint8 [height, width, 3], the largest first."""
        for share in (1.0, *_TILE_SHARES):
            found: list[FoundFace] = []
            for square in self._detect(rgb, share):
                rough = self._look(rgb, square)
                # The detector's square is rough; the second look is from where `follow` would look too.
                face = rough and self.follow(rgb, rough)
                if face and not any(_same(face, other) for other in found):
                    found.append(face)
            if found:
                return sorted(found, key=lambda face: -face.size_px)
        return []

    def follow(self, rgb: Image, before: FoundFace) -> FoundFace | None:
        """The face that was at `before` in a picture shortly earlier; None when it is lost."""
        return self._look(rgb, _square_around(before))

    def _detect(self, rgb: Image, share: float) -> list[_Square]:
        """Squares for the mesh: detections in the picture, or in tiles of a `share` of its longer side."""
        height, width = rgb.shape[:2]
        if share == 1:
            return self._detect_part(rgb, 0, 0)
        return [
            square
            for left, top, side in _tiles(width, height, share)
            for square in self._detect_part(rgb[top : top + side, left : left + side], left, top)
        ]

    def _detect_part(self, rgb: Image, left: int, top: int) -> list[_Square]:
        """Squares for the mesh, in px of the picture of which `rgb` is the part at (left, top)."""
        height, width = rgb.shape[:2]
        side = max(height, width)
        whole = _Square((width - 1) / 2, (height - 1) / 2, side, 0.0)
        crop = _crop(rgb, whole, _DETECTION_PX, cv2.BORDER_CONSTANT)
        blob = cv2.dnn.blobFromImage(crop, 1 / 127.5, mean=(127.5, 127.5, 127.5))
        self._detection.setInput(blob)
        numbers, scores = self._detection.forward(["regressors", "classificators"])
        presence = _sigmoid(scores.reshape(-1))
        good = presence >= _DETECTION_SCORE
        decoded = numbers[0][good] / _DETECTION_PX
        anchors = self._anchors[good]
        decoded[:, :2] += anchors
        for start in range(_BOX_NUMBERS, decoded.shape[1], 2):
            decoded[:, start : start + 2] += anchors
        squares = []
        for x, y, box_width, box_height, *keypoints in _merged(decoded, presence[good]):
            left_x, left_y, right_x, right_y = keypoints[: 2 * _EYE_KEYPOINTS]
            squares.append(
                _Square(
                    left + x * side - (side - width) / 2,
                    top + y * side - (side - height) / 2,
                    _MESH_MARGIN * side * max(box_width, box_height),
                    float(np.arctan2(right_y - left_y, right_x - left_x)),
                )
            )
        return squares

    def _look(self, rgb: Image, square: _Square) -> FoundFace | None:
        """The mesh of the face in `square`, if there is one."""
        crop = _crop(rgb, square, _MESH_PX, cv2.BORDER_REPLICATE)
        self._mesh.setInput(cv2.dnn.blobFromImage(crop, 1 / 255))
        numbers, presence = self._mesh.forward(["conv2d_21", "conv2d_31"])
        score = float(_sigmoid(presence.reshape(-1))[0])
        if score < _MESH_SCORE:
            return None
        mesh = numbers.reshape(MESH_POINTS, 3)
        matrix = square.to_picture(_MESH_PX)
        points = np.empty_like(mesh)
        points[:, :2] = mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        points[:, 2] = mesh[:, 2] * (square.side / _MESH_PX)
        return FoundFace(points, score)


def create_finder(weights: WeightsSettings) -> FaceFinder:
    """Raises WeightsMissing, WeightsCorrupt."""
    directory = locate(MODEL, weights.dir)
    return FaceFinder(directory / "face_detection_short_range.tflite", directory / "face_landmark.tflite")


def open_network(path: Path, model: str) -> Any:
    """A TFLite file of the catalog's `model` as a network of OpenCV's. Raises WeightsCorrupt."""
    # OpenCV 5's new engine offers only the first output of these files; OpenCV 4 has no other engine than the classic.
    options = {"engine": cv2.dnn.ENGINE_CLASSIC} if hasattr(cv2.dnn, "ENGINE_CLASSIC") else {}
    try:
        return cv2.dnn.readNetFromTFLite(str(path), **options)
    except cv2.error:
        raise WeightsCorrupt(f"{path.name} cannot be read; run `python -m models fetch {model}`.") from None


def _anchors() -> Floats:
    """Centres [896, 2] of the detector's anchors in shares of its picture: 2 per cell of 8 px, then 6 per 16 px."""
    centres = []
    for cells, per_cell in ((_DETECTION_PX // 8, 2), (_DETECTION_PX // 16, 6)):
        places = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(places, places, indexing="ij")
        centres.append(np.repeat(np.stack((x, y), axis=-1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(centres).astype(np.float32)


def _tiles(width: int, height: int, share: float) -> Iterator[tuple[int, int, int]]:
    """Left, top and side of overlapping squares that cover the picture."""
    side = min(width, height, round(share * max(width, height)))
    across, down = (round(np.ceil(1.5 * length / side)) if length > side else 1 for length in (width, height))
    for top in np.linspace(0, height - side, down).round():
        for left in np.linspace(0, width - side, across).round():
            yield int(left), int(top), side


def _crop(rgb: Image, square: _Square, size_px: int, border: int) -> Image:
    matrix = square.to_picture(size_px)
    # A strong reduction needs a mean over the px that fall together; warping alone would pick single ones.
    factor = square.side / size_px
    if factor > 2:
        share = 1 / (factor / 1.5)
        rgb = cv2.resize(rgb, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        matrix = matrix * np.float32(share)
        matrix[:, 2] += np.float32((share - 1) / 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(rgb, matrix, (size_px, size_px), flags=flags, borderMode=border), np.uint8)


def _merged(boxes: Floats, scores: Floats) -> list[Floats]:
    """One box per face: the mean, weighted by score, of those that overlap the best (BlazeFace, section 3.4)."""
    merged = []
    order = np.argsort(-scores)
    while len(order):
        overlap = _overlaps(boxes[order[0]], boxes[order])
        together = overlap > _SAME_FACE_OVERLAP
        together[0] = True
        weights = scores[order[together], None]
        merged.append(np.asarray((boxes[order[together]] * weights).sum(axis=0) / weights.sum(), np.float32))
        order = order[~together]
    return merged


def _overlaps(box: Floats, others: Floats) -> Floats:
    """Intersection over union of centred boxes."""
    low = np.maximum(box[:2] - box[2:4] / 2, others[:, :2] - others[:, 2:4] / 2)
    high = np.minimum(box[:2] + box[2:4] / 2, others[:, :2] + others[:, 2:4] / 2)
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(shared / (box[2:4].prod() + others[:, 2:4].prod(axis=1) - shared), np.float32)


def _square_around(face: FoundFace) -> _Square:
    """The square in which the mesh sees a face whose points are known."""
    flat = face.points[:, :2]
    eyes = flat[EYE_RIGHT_OUTER] - flat[EYE_LEFT_OUTER]
    angle = float(np.arctan2(eyes[1], eyes[0]))
    cos, sin = np.cos(angle), np.sin(angle)
    level = flat @ np.array([[cos, -sin], [sin, cos]], np.float32)
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = (low + high) / 2
    return _Square(x * cos - y * sin, x * sin + y * cos, _MESH_MARGIN * float((high - low).max()), angle)


def _same(one: FoundFace, other: FoundFace) -> bool:
    """Whether two finds are one face: their middles are nearer than a third of its size."""
    apart = one.points[:, :2].mean(axis=0) - other.points[:, :2].mean(axis=0)
    return float(np.hypot(*apart)) < max(one.size_px, other.size_px) / 3


def _sigmoid(values: NDArray[Any]) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
