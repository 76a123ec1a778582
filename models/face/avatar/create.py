"""From recordings to a pack on disk, in stages that a progress bar shows.

read ─► follow the face ─► plan the loop ─► boxes, masks ─► frames, latents ─► references ─► report ─► rename
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.blending import between
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
from models.face.avatar.loops import Mix, Plan, plan, round_about
from models.face.avatar.mask import mask_of, steady
from models.face.avatar.pack import FACE_PX, LATENT_SHAPE, AvatarPack
from models.face.avatar.recording import Recording, is_photo, read_video, recorded, to_rgb
from models.face.avatar.references import with_closed_mouths
from models.face.avatar.report import Report, write_report
from models.face.avatar.rules import DEFAULT_RULES, Rules
from models.face.avatar.smoothing import Floats
from models.face.avatar.store import Draft, PackMeta
from models.face.avatar.tracking import Finder, Track, follow, refuse_unfit
from models.interfaces import Image

_ENCODED_AT_ONCE = 8


class FaceEncoder(Protocol):
    """What models.face.musetalk.latents.LatentEncoder does."""

    def encode(self, faces: NDArray[np.uint8]) -> NDArray[np.float16]:
        """RGB faces uint8 [B, 256, 256, 3] to latents float16 [B, 8, 32, 32]: masked, then whole."""
        ...


class Stages(Protocol):
    """Who shows how far it is."""

    def begin(self, title: str, total: float) -> Callable[[float], None]:
        """A stage begins that is done at `total`; what is returned advances it."""
        ...


class Silent:
    """Shows nothing."""

    def begin(self, title: str, total: float) -> Callable[[float], None]:
        return lambda step: None


Animator = Callable[[Path, int], Iterable[Image]]
"""Makes a clip of a photo, no higher than so many px: RGB pictures, the last one followed by the first one."""


def prepare(
    paths: Sequence[Path],
    place: Path,
    *,
    finder: Finder,
    encoder: FaceEncoder,
    encoder_name: str,
    animate: Animator,
    rules: Rules = DEFAULT_RULES,
    force: bool = False,
    stages: Stages | None = None,
) -> Report:
    """Make a pack at `place` of one photo or of videos, the main one first.

    `encoder_name` stands in the pack for the weights. Nothing is left behind when it fails or is stopped. Raises
    AvatarError.
    """
    stages = stages or Silent()
    photo = any(is_photo(path) for path in paths)
    if photo and len(paths) > 1:
        raise AvatarError("A photo cannot be joined with other recordings; give one photo, or one or more videos.")
    with Draft(place, force=force) as draft:
        if photo:
            stages.begin("Animating", 1)
            pictures = animate(paths[0], rules.height_px)
            recordings: tuple[Recording, ...] = (recorded(paths[0].name, pictures, draft.scratch / "photo.i420"),)
        else:
            recordings = _read(paths, draft.scratch, rules, stages)
        return _make(draft, recordings, finder, encoder, encoder_name, rules, stages)


def _read(paths: Sequence[Path], scratch: Path, rules: Rules, stages: Stages) -> tuple[Recording, ...]:
    recordings: list[Recording] = []
    advance = stages.begin("Reading", len(paths))
    for index, path in enumerate(paths):
        size_px = (recordings[0].width_px, recordings[0].height_px) if recordings else None
        done = [0.0]

        def on_share(share: float, done: list[float] = done) -> None:
            advance(share - done[0])
            done[0] = share

        recordings.append(read_video(path, scratch / f"{index}.i420", rules=rules, size_px=size_px, on_share=on_share))
        advance(1 - done[0])
    return tuple(recordings)


def _make(
    draft: Draft,
    recordings: tuple[Recording, ...],
    finder: Finder,
    encoder: FaceEncoder,
    encoder_name: str,
    rules: Rules,
    stages: Stages,
) -> Report:
    tracks, warnings = _follow(recordings, finder, rules, stages)
    size = size_of(rough_boxes(tracks[0].points, rules.version))
    boxes = [
        steady_boxes(track.points, size, rules.version, loops=recording.loops)
        for track, recording in zip(tracks, recordings, strict=True)
    ]
    picture_px = (recordings[0].width_px, recordings[0].height_px)
    for recording, clip_boxes in zip(recordings, boxes, strict=True):
        warnings += [
            note for note in refuse_size(recording.name, clip_boxes, picture_px, rules) if note not in warnings
        ]
    planned = round_about(len(tracks[0])) if recordings[0].loops else plan(tracks, size.height_px)
    warnings += _warnings_of(planned, recordings)
    source = _Source(recordings, tracks, boxes, size)
    rows = [source.mixed(mix) for mix in planned.frames]
    masks = np.stack([row.mask for row in rows])
    mixed_boxes = np.stack([row.box for row in rows])
    rois, roi_width_px, roi_height_px = mouth_regions(masks, mixed_boxes, picture_px)
    latents = _write_frames(draft, planned, source, mixed_boxes, picture_px, encoder, stages)
    mouth = np.array([row.mouth for row in rows], np.float32)
    poses = np.stack([row.face_points for row in rows])
    latents, replaced = with_closed_mouths(latents, mouth, poses, rules)
    pack = AvatarPack(
        frames=draft.written_frames(),
        latents=latents,
        masks=masks,
        boxes=mixed_boxes,
        rois=rois,
        roi_width_px=roi_width_px,
        roi_height_px=roi_height_px,
        schedule=planned.schedule,
    )
    report = Report(
        recordings=tuple(recording.name for recording in recordings),
        kind=planned.kind,
        seams=planned.seams,
        seam_distance=planned.seam_distance,
        mouth=mouth,
        replaced=replaced,
        warnings=tuple(warnings),
    )
    write_report(draft.directory, pack, report, rules)
    meta = PackMeta(
        musetalk=rules.version,
        encoder=encoder_name,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        recordings=report.recordings,
        loop=planned.kind,
        warnings=report.warnings,
    )
    draft.finish(pack, meta)
    return report


def _follow(
    recordings: Sequence[Recording], finder: Finder, rules: Rules, stages: Stages
) -> tuple[list[Track], list[str]]:
    advance = stages.begin("Following the face", sum(len(recording.frames) for recording in recordings))
    tracks = []
    warnings: list[str] = []
    for recording in recordings:
        track = follow(recording, finder, rules, lambda: advance(1))
        warnings += [*recording.notes, *refuse_unfit(recording.name, track, rules)]
        tracks.append(track)
    return tracks, warnings


def _warnings_of(planned: Plan, recordings: Sequence[Recording]) -> list[str]:
    warnings = [
        f"{recordings[clip].name} never comes near the pose of the other recordings and is left out; begin and end "
        "every clip in the same pose."
        for clip in planned.left_out
    ]
    if planned.kind == "ping-pong":
        warnings.append(
            "You never come back to a pose you had before, so the recording runs forwards and backwards; sit still, "
            "look at the camera and come back to the same pose every few seconds."
        )
    return warnings


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """What a pack holds about one frame, besides its picture."""

    box: Floats
    mask: Image
    face_points: Floats
    """[468, 2] in the face box's coordinates."""
    mouth: float


class _Source:
    """All frames of all recordings, counted through, and the frames that are mixed of them."""

    def __init__(
        self, recordings: Sequence[Recording], tracks: Sequence[Track], boxes: Sequence[Floats], size: BoxSize
    ) -> None:
        self._recordings = recordings
        self._starts = np.cumsum([0, *(len(track) for track in tracks)])
        self._boxes = np.concatenate(boxes)
        self._mouth = np.concatenate([track.mouth for track in tracks])
        in_face = [to_face(track.points, clip_boxes) for track, clip_boxes in zip(tracks, boxes, strict=True)]
        self._face_points = np.concatenate(in_face)
        self._mask_points = np.concatenate(
            [steady(points, loops=recording.loops) for points, recording in zip(in_face, recordings, strict=True)]
        )
        self._aspect = size.height_px / size.width_px

    def mixed(self, mix: Mix) -> _Row:
        def mean(values: Floats) -> Floats:
            return np.asarray(values[mix.first] * (1 - mix.weight) + values[mix.second] * mix.weight, np.float32)

        return _Row(
            box=mean(self._boxes),
            mask=mask_of(mean(self._mask_points), self._aspect),
            face_points=mean(self._face_points),
            mouth=float(mean(self._mouth)),
        )

    def picture(self, mix: Mix) -> Image:
        """The I420 frame."""
        return between(self._frame(mix.first), self._frame(mix.second), mix.weight)

    def _frame(self, frame: int) -> Image:
        clip = int(np.searchsorted(self._starts, frame, side="right")) - 1
        return np.asarray(self._recordings[clip].frames[frame - int(self._starts[clip])])


def _write_frames(
    draft: Draft,
    planned: Plan,
    source: _Source,
    boxes: Floats,
    picture_px: tuple[int, int],
    encoder: FaceEncoder,
    stages: Stages,
) -> NDArray[np.float16]:
    """Write every frame of the plan and return the latents of its face."""
    count = len(planned.frames)
    latents = np.empty((count, *LATENT_SHAPE), np.float16)
    faces = np.empty((_ENCODED_AT_ONCE, FACE_PX, FACE_PX, 3), np.uint8)
    advance = stages.begin("Encoding the face", count)
    with draft.frames(count, *picture_px) as writer:
        for first in range(0, count, _ENCODED_AT_ONCE):
            some = planned.frames[first : first + _ENCODED_AT_ONCE]
            for place, mix in enumerate(some):
                i420 = source.picture(mix)
                writer.put(i420)
                faces[place] = face_of(to_rgb(i420), boxes[first + place])
            latents[first : first + len(some)] = encoder.encode(faces[: len(some)])
            advance(len(some))
    return latents
