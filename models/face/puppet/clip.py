"""A silent clip of a photo that can be repeated without a seam, as if its person had been filmed listening."""

from collections.abc import Iterator
from dataclasses import fields

import cv2

from models.face.landmarks import FaceFinder
from models.face.motion import Expression, pose_at
from models.face.mouth_shape import REST
from models.face.pose import Pose
from models.face.puppet.painter import PuppetPainter
from models.face.puppet.person_mask import PersonMask
from models.face.puppet.portrait import make_portrait, only_face
from models.interfaces import Image

_JOIN_BEATS = 75
"""Over its last three seconds the clip goes over to how it begins."""
_FIRST_POSITION = 1_000


def idle_clip(
    photo: Image, finder: FaceFinder, mask: PersonMask, *, longest_px: int = 1280, beats: int = 250
) -> Iterator[Image]:
    """Yield `beats` pictures RGB uint8 [height, width, 3], 25 per second, of a photo in its own aspect ratio.

    The mouth stays as in the photo, the head sways, the eyes blink; the first picture follows the last one. The sides
    are even and at most `longest_px`. Raises AvatarError when the photo will not do.
    """
    face = only_face(photo, finder)
    height, width = photo.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    size = [max(2, 2 * round(length * scale / 2)) for length in (width, height)]
    portrait = make_portrait(photo, face, mask, (0.0, 0.0, width, height), width_px=size[0], height_px=size[1])
    return _pictures(PuppetPainter(portrait), beats)


def loop_pose(beat: int, beats: int) -> Pose:
    """The pose at `beat` of a loop of `beats`: that of an idle face, led back to where it began at the end."""
    here = pose_at(_FIRST_POSITION + beat, Expression())
    left = beats - beat
    join = min(_JOIN_BEATS, beats // 2)
    if left >= join:
        return here
    start = pose_at(_FIRST_POSITION - left, Expression())
    share = 1 - left / join
    share = share * share * (3 - 2 * share)
    mixed = {
        field.name: (1 - share) * getattr(here, field.name) + share * getattr(start, field.name)
        for field in fields(Pose)
        if field.name not in ("mouth", "lids")
    }
    # a blink is either that of the one or that of the other, never half of both
    return Pose(**mixed, mouth=REST, lids=min(here.lids, start.lids))


def _pictures(painter: PuppetPainter, beats: int) -> Iterator[Image]:
    cv2.setNumThreads(1)
    for beat in range(beats):
        yield painter.rgb(loop_pose(beat, beats))
