"""Follows the face through a recording and refuses what cannot become an avatar.

find ─► follow, frame by frame ─► gaps interpolated, points smoothed ─► Track ─► refusals, warnings
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.recording import Recording, planes_of
from models.face.avatar.rules import DEFAULT_RULES, Rules
from models.face.avatar.smoothing import Floats, filled, smooth
from models.face.landmark_table import CHIN, FACE_OVAL, FOREHEAD, MESH_POINTS, MUSETALK_LEFT, MUSETALK_RIGHT
from models.face.landmarks import FoundFace
from models.interfaces import BEATS_PER_SECOND, Image

GREY_HEIGHT_PX, GREY_WIDTH_PX = 36, 64
_LOOK_AROUND_FRAMES = 25
"""Once a second the whole picture is searched, so that a second person is noticed."""
_OTHER_FACE_SHARE = 0.4
"""Smaller faces, in heights of the main one, are pictures on the wall."""
_WINDOW_FRAMES, _ORDER = 9, 2
"""Follows a nod of 2 Hz to 1 % and halves the landmarks' jitter."""
_LIP_UPPER, _LIP_LOWER = 13, 14
_LIP_LEFT, _LIP_RIGHT = 61, 291


class Finder(Protocol):
    """What models.face.landmarks.FaceFinder does."""

    def find(self, rgb: Image) -> list[FoundFace]: ...

    def follow(self, rgb: Image, before: FoundFace) -> FoundFace | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A face over the N frames of a recording."""

    points: Floats
    """[N, 468, 3] in px of the frame, smoothed over time."""
    found: NDArray[np.bool_]
    """[N]: False where the points are interpolated."""
    mouth: Floats
    """[N]: height between the inner lips by width of the mouth."""
    yaw_deg: Floats
    pitch_deg: Floats
    luma: Floats
    """[N]: median brightness of the face, 16 to 235."""
    greys: Floats
    """[N, 36, 64]: luma of the whole picture, small."""

    def __len__(self) -> int:
        return len(self.points)


def follow(
    recording: Recording,
    finder: Finder,
    rules: Rules = DEFAULT_RULES,
    on_frame: Callable[[], None] = lambda: None,
) -> Track:
    """The face of a recording in all its frames. Raises AvatarError when there is none, several, or a cut.

    Takes 5 ms a frame of 720p on one core.
    """
    count = len(recording.frames)
    raw = np.zeros((count, MESH_POINTS, 3), np.float32)
    found = np.zeros(count, bool)
    luma = np.zeros(count, np.float32)
    greys = np.zeros((count, GREY_HEIGHT_PX, GREY_WIDTH_PX), np.float32)
    face: FoundFace | None = None
    for frame in range(count):
        rgb = recording.rgb(frame)
        face = finder.follow(rgb, face) if face is not None else None
        if face is None or frame % _LOOK_AROUND_FRAMES == 0:
            faces = finder.find(rgb)
            _refuse_others(recording, frame, faces)
            face = face or (faces[0] if faces else None)
        grey = planes_of(recording.frames[frame])[0]
        greys[frame] = cv2.resize(grey, (GREY_WIDTH_PX, GREY_HEIGHT_PX), interpolation=cv2.INTER_AREA)
        if face is not None:
            raw[frame], found[frame] = face.points, True
            luma[frame] = _luma(grey, face.points)
        _refuse_gap(recording, found[: frame + 1], rules)
        on_frame()
    _refuse_lost(recording, found, rules)
    _refuse_cuts(recording, raw, found, greys, rules)
    points = smooth(filled(raw, found), _WINDOW_FRAMES, _ORDER, loops=recording.loops)
    return measured(points, found, filled(luma, found), greys)


def measured(points: Floats, found: NDArray[np.bool_], luma: Floats, greys: Floats) -> Track:
    """A track with what its points say about pose and mouth."""
    gap = np.linalg.norm(points[:, _LIP_UPPER, :2] - points[:, _LIP_LOWER, :2], axis=1)
    width = np.linalg.norm(points[:, _LIP_LEFT, :2] - points[:, _LIP_RIGHT, :2], axis=1)
    across = points[:, MUSETALK_RIGHT] - points[:, MUSETALK_LEFT]
    down = points[:, CHIN] - points[:, FOREHEAD]
    return Track(
        points=points,
        found=found,
        mouth=np.asarray(gap / np.maximum(width, 1e-3), np.float32),
        yaw_deg=np.degrees(np.arctan2(across[:, 2], np.hypot(across[:, 0], across[:, 1]))),
        pitch_deg=np.degrees(np.arctan2(down[:, 2], np.hypot(down[:, 0], down[:, 1]))),
        luma=luma,
        greys=greys,
    )


def refuse_unfit(name: str, track: Track, rules: Rules = DEFAULT_RULES, *, photo: bool = False) -> list[str]:
    """Warnings about how the face is turned, lit and held. Raises AvatarError when no avatar can come of it.

    `photo` says that the track is of a photo that was animated.
    """
    warnings = []
    turned = (np.abs(track.yaw_deg) > rules.turned_deg) | (np.abs(track.pitch_deg) > rules.tilted_deg)
    if turned.mean() > rules.few:
        worst = int(np.argmax(np.maximum(np.abs(track.yaw_deg), np.abs(track.pitch_deg))))
        raise AvatarError(
            f"The face in {name} is turned away for {turned.mean():.0%} of the time, most at "
            f"{_at(worst)} ({track.yaw_deg[worst]:.0f}° sideways, {track.pitch_deg[worst]:.0f}° up or down); "
            "look at the camera while you record."
        )
    if turned.any():
        warnings.append(f"The face in {name} is turned away at {_at(int(np.argmax(turned)))}.")
    open_mouth = track.mouth > rules.open_mouth
    if photo and open_mouth.mean() > rules.mostly:
        raise AvatarError(f"The mouth in {name} is open; take a photo with the lips closed and at rest.")
    if open_mouth.mean() > rules.mostly:
        raise AvatarError(
            f"The mouth in {name} is open for {open_mouth.mean():.0%} of the time; record yourself silent, with "
            "the lips closed and at rest."
        )
    if open_mouth.mean() > rules.few:
        warnings.append(
            f"The mouth in {name} is open for {open_mouth.mean():.0%} of the time; a double that is silent shows it."
        )
    if float(np.median(track.luma)) < rules.darkest_luma:
        raise AvatarError(f"The face in {name} is too dark; put a lamp or a window in front of you and record again.")
    if not track.found.all():
        warnings.append(f"The face in {name} was lost in {int((~track.found).sum())} frames, which are interpolated.")
    return warnings


def _luma(grey: Image, points: Floats) -> float:
    """Median luma between the face's outermost points."""
    oval = points[list(FACE_OVAL), :2]
    (left, top), (right, bottom) = np.maximum(oval.min(axis=0), 0).astype(int), oval.max(axis=0).astype(int)
    inside = grey[top : bottom + 1 : 4, left : right + 1 : 4]
    return float(np.median(inside)) if inside.size else 0.0


def _refuse_others(recording: Recording, frame: int, faces: list[FoundFace]) -> None:
    if len(faces) > 1 and faces[1].size_px > _OTHER_FACE_SHARE * faces[0].size_px:
        raise AvatarError(
            f"{recording.name} shows {len(faces)} faces at {_at(frame)}; record yourself alone, also without "
            "pictures of people behind you."
        )


def _refuse_gap(recording: Recording, found: NDArray[np.bool_], rules: Rules) -> None:
    """`found` are the frames so far: looking on through a recording that is refused anyway would take minutes."""
    seen = np.flatnonzero(found)
    gap = len(found) - (int(seen[-1]) + 1 if len(seen) else 0)
    if gap <= rules.longest_gap_frames:
        return
    if not len(seen):
        _refuse_faceless(recording)
    raise AvatarError(
        f"The face in {recording.name} is lost at {_at(len(found) - gap)}; keep it in the picture and your hands away "
        "from it."
    )


def _refuse_lost(recording: Recording, found: NDArray[np.bool_], rules: Rules) -> None:
    if not found.any():
        _refuse_faceless(recording)
    if (~found).mean() > rules.few:
        raise AvatarError(
            f"The face in {recording.name} is lost in {(~found).mean():.0%} of the frames, first at "
            f"{_at(int(np.argmin(found)))}; keep it in the picture and your hands away from it."
        )


def _refuse_faceless(recording: Recording) -> NoReturn:
    raise AvatarError(
        f"No face was found in {recording.name}; record your face from the front, well lit, with nothing before it, "
        "from the first moment on."
    )


def _refuse_cuts(recording: Recording, points: Floats, found: NDArray[np.bool_], greys: Floats, rules: Rules) -> None:
    """A scene is one shot: neither the face nor the picture changes at once."""
    middle, size = points[:, :, :2].mean(axis=1), np.ptp(points[:, :, 1], axis=1)
    seen = np.flatnonzero(found)
    moved = np.linalg.norm(np.diff(middle[seen], axis=0), axis=1) / np.diff(seen) / np.maximum(size[seen[1:]], 1)
    changed = np.abs(np.diff(greys, axis=0)).mean(axis=(1, 2))
    jumps = seen[1:][moved > rules.jump_share]
    cuts = np.flatnonzero((changed > rules.cut_luma) & (changed > 10 * np.median(changed))) + 1
    if len(jumps) or len(cuts):
        first = int(min((*jumps, *cuts)))
        raise AvatarError(
            f"{recording.name} jumps at {_at(first)}; give one continuous recording, or the scenes as separate files."
        )


def _at(frame: int) -> str:
    return f"{frame / BEATS_PER_SECOND:.1f} s"
