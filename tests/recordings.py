"""Recordings for tests: drawn or photographed faces that sway, and the small videos made of them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.avatar.recording import Recording, to_i420
from models.face.landmark_table import (
    CHIN,
    FACE_OVAL,
    FOREHEAD,
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    MESH_POINTS,
    NOSE_BRIDGE,
)
from models.face.landmarks import FoundFace
from models.interfaces import Image

Floats = NDArray[np.float32]

_NOSE = (248, 456, 420, 360, 278, 294, 327, 326, 2, 97, 98, 64, 48, 131, 198, 236, 3)
"""Around the nose, clockwise from its ridge."""


def encode(
    path: Path,
    frames: Iterable[Image],
    *,
    rate_hz: int = 25,
    times_ms: Sequence[int] | None = None,
    turn_deg: int = 0,
    bt709: bool = False,
) -> Path:
    """Write RGB frames as H.264 in MP4; `turn_deg` is how far a player has to turn them clockwise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"preset": "ultrafast", "crf": "10"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1_000)
        if bt709:
            stream.codec_context.colorspace = 1
        for index, rgb in enumerate(frames):
            if index == 0:
                stream.height, stream.width = rgb.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709" if bt709 else "ITU601")
            frame.pts = times_ms[index] if times_ms else round(1_000 * index / rate_hz)
            frame.time_base = Fraction(1, 1_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if turn_deg:
        _turn(path, turn_deg)
    return path


def _turn(path: Path, degrees: int) -> None:
    """Set the matrix in the track header (ISO/IEC 14496-12, 8.3.2): a, b, u, c, d, v, x, y, w after 40 bytes."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    cos, sin = round(np.cos(np.radians(degrees))), round(np.sin(np.radians(degrees)))
    matrix = np.array([cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30], ">i4")
    content[start : start + 36] = matrix.tobytes()
    path.write_bytes(content)


def recording_of(frames: Sequence[Image], name: str = "me.mp4") -> Recording:
    """RGB frames as a recording that needs no file."""
    return Recording(name, np.stack([to_i420(frame) for frame in frames]))


def swaying(rgb: Image, phases: Iterable[float], *, sway_px: float = 6.0, turn_deg: float = 1.5) -> list[Image]:
    """The picture moved sideways and turned a little; a phase of 1 is a whole period."""
    height, width = rgb.shape[:2]
    frames = []
    for phase in phases:
        angle = 2 * np.pi * phase
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg * np.cos(angle), 1.0)
        matrix[:, 2] += (sway_px * np.sin(angle), sway_px / 3 * np.cos(angle))
        frames.append(cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))
    return frames


def mesh(
    x: float, y: float, height_px: float, *, gap: float = 0.01, yaw_deg: float = 0.0, pitch_deg: float = 0.0
) -> Floats:
    """468 points of an oval face around (x, y); `gap` is the height between the lips by the mouth's width."""
    points = np.zeros((MESH_POINTS, 3))
    spread = np.random.default_rng(1).uniform(-0.25, 0.25, (MESH_POINTS, 2))
    points[:, :2] = spread
    angles = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    points[list(FACE_OVAL), :2] = np.stack((0.38 * np.sin(angles), -0.5 * np.cos(angles)), axis=1)
    points[[FOREHEAD, CHIN], :2] = ((0, -0.5), (0, 0.5))
    points[list(NOSE_BRIDGE), 1] = np.linspace(-0.15, 0.12, len(NOSE_BRIDGE))
    points[list(NOSE_BRIDGE), 0] = 0
    around = np.linspace(0, 2 * np.pi, len(_NOSE), endpoint=False)
    points[list(_NOSE), :2] = np.stack((0.09 * np.sin(around), 0.06 - 0.1 * np.cos(around)), axis=1)
    for lips, lift in (
        (LIPS_OUTER_UPPER, -0.03),
        (LIPS_OUTER_LOWER, 0.04),
        (LIPS_INNER_UPPER, -0.15 * gap),
        (LIPS_INNER_LOWER, 0.15 * gap),
    ):
        across = np.linspace(-0.15, 0.15, len(lips))
        points[list(lips), 0] = across
        points[list(lips), 1] = 0.25 + lift * np.sqrt(np.maximum(0, 1 - (across / 0.15) ** 2))
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    sideways = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    nodding = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return np.asarray(points @ (nodding @ sideways).T * height_px + (x, y, 0), np.float32)


class DrawnFinder:
    """Finds the bright ovals that `drawn` paints: their area says how large the face is."""

    def __init__(self) -> None:
        self.looked_around = 0

    def find(self, rgb: Image) -> list[FoundFace]:
        self.looked_around += 1
        _, _, numbers, centres = cv2.connectedComponentsWithStats((rgb[..., 0] > 190).astype(np.uint8))
        faces = []
        for (_, _, _, height, area), (x, y) in list(zip(numbers, centres, strict=True))[1:]:
            if area > 200:
                faces.append(FoundFace(mesh(x, y, height), 1.0))
        return sorted(faces, key=lambda face: -face.size_px)

    def follow(self, rgb: Image, before: FoundFace) -> FoundFace | None:
        near = [face for face in self.find(rgb) if np.abs(face.points - before.points).max() < 60]
        self.looked_around -= 1
        return near[0] if near else None


def drawn(*faces: tuple[float, float, float], width_px: int = 320, height_px: int = 240, light: int = 220) -> Image:
    """A dim wall with bright ovals: x, y and height of each."""
    luma = np.add.outer(np.linspace(60, 90, height_px), np.linspace(0, 40, width_px))
    rgb = np.repeat(luma[..., None], 3, axis=2).astype(np.uint8)
    for x, y, face_px in faces:
        centre, axes = (round(16 * x), round(16 * y)), (round(16 * 0.38 * face_px), round(8 * face_px))
        cv2.ellipse(rgb, centre, axes, 0, 0, 360, (light, light, light), -1, cv2.LINE_AA, 4)
    return rgb


def with_closed_mouth(rgb: Image, points: Floats) -> Image:
    """A portrait whose lips meet: what is below the upper lip's inner edge is drawn up to it, less towards the chin."""
    height, width = rgb.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    upper, lower = points[list(LIPS_INNER_UPPER), :2], points[list(LIPS_INNER_LOWER), :2]
    edge = np.interp(x[0], upper[:, 0], upper[:, 1])
    gap = np.interp(x[0], lower[:, 0], lower[:, 1] - np.interp(lower[:, 0], upper[:, 0], upper[:, 1]), left=0, right=0)
    rest = np.clip((points[CHIN, 1] - y) / np.maximum(points[CHIN, 1] - edge, 1), 0, 1)
    drawn_up = np.where(y >= edge, gap * np.sqrt(rest), 0).astype(np.float32)
    return np.asarray(cv2.remap(rgb, x, y + drawn_up, cv2.INTER_CUBIC), np.uint8)
