"""All frames of all recordings, counted through, and the frames that are mixed of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.face.avatar.blending import between
from models.face.avatar.boxes import BoxSize, rough_boxes, size_of, steady_boxes, to_face
from models.face.avatar.film import Mix
from models.face.avatar.mask import mask_of, steady
from models.face.avatar.recording import Recording
from models.face.avatar.rules import Version
from models.face.avatar.smoothing import Floats
from models.face.avatar.tracking import Track
from models.interfaces import Image


@dataclass(frozen=True, slots=True, eq=False)
class Detail:
    """What is known about one frame, besides its picture."""

    box: Floats
    mask: Image
    """[256, 256]"""
    face_points: Floats
    """[468, 2] in the face box's coordinates."""
    mouth: float
    """Height between the inner lips by the mouth's width."""


class Footage:
    """Recordings with their tracks, and one face box for all, of the size that the main one has."""

    def __init__(self, recordings: Sequence[Recording], tracks: Sequence[Track], version: Version) -> None:
        self.size: BoxSize = size_of(rough_boxes(tracks[0].points, version))
        self.boxes = [
            steady_boxes(track.points, self.size, version, loops=recording.loops)
            for track, recording in zip(tracks, recordings, strict=True)
        ]
        """[N, 4] of each recording."""
        self.picture_px = (recordings[0].width_px, recordings[0].height_px)
        self._recordings = recordings
        self._starts = np.cumsum([0, *(len(track) for track in tracks)])
        self._all_boxes = np.concatenate(self.boxes)
        self._mouth = np.concatenate([track.mouth for track in tracks])
        in_face = [to_face(track.points, boxes) for track, boxes in zip(tracks, self.boxes, strict=True)]
        self._face_points = np.concatenate(in_face)
        self._mask_points = np.concatenate(
            [steady(points, loops=recording.loops) for points, recording in zip(in_face, recordings, strict=True)]
        )

    def detail(self, mix: Mix) -> Detail:
        """Box, mask and landmarks of a frame, also between those of two."""

        def mean(values: Floats) -> Floats:
            return np.asarray(values[mix.first] * (1 - mix.weight) + values[mix.second] * mix.weight, np.float32)

        return Detail(
            box=mean(self._all_boxes),
            mask=mask_of(mean(self._mask_points), self.size.height_px / self.size.width_px),
            face_points=mean(self._face_points),
            mouth=float(mean(self._mouth)),
        )

    def picture(self, mix: Mix) -> Image:
        """The I420 frame."""
        return between(self._frame(mix.first), self._frame(mix.second), mix.weight)

    def _frame(self, frame: int) -> Image:
        clip = int(np.searchsorted(self._starts, frame, side="right")) - 1
        return np.asarray(self._recordings[clip].frames[frame - int(self._starts[clip])])
