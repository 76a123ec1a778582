"""From recordings to a pack on disk, in stages that a progress bar shows.

read ─► follow the face ─► plan the loop ─► boxes, masks ─► frames, latents ─► references ─► report ─► rename
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.boxes import face_of, mouth_regions, refuse_size
from models.face.avatar.film import Plan, round_about
from models.face.avatar.footage import Detail, Footage
from models.face.avatar.loops import plan
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
    refuse_mixture(paths)
    try:
        with Draft(place, force=force) as draft:
            if is_photo(paths[0]):
                recordings = _animate(paths[0], animate, draft.scratch, rules, stages)
            else:
                recordings = _read(paths, draft.scratch, rules, stages)
            return _make(draft, recordings, finder, encoder, encoder_name, rules, stages)
    except OSError as error:
        raise AvatarError(f"The avatar cannot be written to {place}: {error.strerror or error}.") from error


def refuse_mixture(paths: Sequence[Path]) -> None:
    """Raises AvatarError unless `paths` are one photo or videos only."""
    if len(paths) > 1 and any(is_photo(path) for path in paths):
        raise AvatarError("A photo cannot be joined with other recordings; give one photo, or one or more videos.")


def _animate(photo: Path, animate: Animator, scratch: Path, rules: Rules, stages: Stages) -> tuple[Recording, ...]:
    advance = stages.begin("Animating", 1)
    recording = recorded(photo.name, animate(photo, rules.height_px), scratch / "photo.i420")
    advance(1)
    return (recording,)


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
    footage = Footage(recordings, tracks, rules.version)
    warnings += _warnings_of_size(recordings, footage, rules)
    planned = round_about(len(tracks[0])) if recordings[0].loops else plan(tracks, footage.size.height_px)
    warnings += _warnings_of_plan(planned, recordings)
    details = [footage.detail(mix) for mix in planned.frames]
    pack = _pack(draft, footage, planned, details, encoder, rules, stages)
    report = Report(
        recordings=tuple(recording.name for recording in recordings),
        kind=planned.kind,
        seams=planned.seams,
        seam_distance=planned.seam_distance,
        mouth=np.array([detail.mouth for detail in details], np.float32),
        warnings=tuple(warnings),
    )
    write_report(draft.directory, pack, report, rules)
    draft.finish(pack, _meta(report, encoder_name, rules))
    return report


def _meta(report: Report, encoder_name: str, rules: Rules) -> PackMeta:
    return PackMeta(
        musetalk=rules.version,
        encoder=encoder_name,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        recordings=report.recordings,
        loop=report.kind,
        warnings=report.warnings,
    )


def _follow(
    recordings: Sequence[Recording], finder: Finder, rules: Rules, stages: Stages
) -> tuple[list[Track], list[str]]:
    advance = stages.begin("Following the face", sum(len(recording.frames) for recording in recordings))
    tracks = []
    warnings: list[str] = []
    for recording in recordings:
        track = follow(recording, finder, rules, lambda: advance(1))
        warnings += [*recording.notes, *refuse_unfit(recording.name, track, rules, photo=recording.loops)]
        tracks.append(track)
    return tracks, warnings


def _warnings_of_size(recordings: Sequence[Recording], footage: Footage, rules: Rules) -> list[str]:
    warnings: list[str] = []
    for recording, boxes in zip(recordings, footage.boxes, strict=True):
        notes = refuse_size(recording.name, boxes, (recording.width_px, recording.height_px), rules)
        warnings += [note for note in notes if note not in warnings]
    return warnings


def _warnings_of_plan(planned: Plan, recordings: Sequence[Recording]) -> list[str]:
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


def _pack(
    draft: Draft,
    footage: Footage,
    planned: Plan,
    details: Sequence[Detail],
    encoder: FaceEncoder,
    rules: Rules,
    stages: Stages,
) -> AvatarPack:
    """Write every frame of the plan, encode its face, and lay all that belongs to it beside it."""
    masks = np.stack([detail.mask for detail in details])
    boxes = np.stack([detail.box for detail in details])
    mouth = np.array([detail.mouth for detail in details], np.float32)
    poses = np.stack([detail.face_points for detail in details])
    rois, roi_width_px, roi_height_px = mouth_regions(masks, boxes, footage.picture_px)
    latents = _write_frames(draft, footage, planned, boxes, encoder, stages)
    return AvatarPack(
        frames=draft.written_frames(),
        latents=with_closed_mouths(latents, mouth, poses, rules),
        masks=masks,
        boxes=boxes,
        rois=rois,
        roi_width_px=roi_width_px,
        roi_height_px=roi_height_px,
        schedule=planned.schedule,
    )


def _write_frames(
    draft: Draft, footage: Footage, planned: Plan, boxes: Floats, encoder: FaceEncoder, stages: Stages
) -> NDArray[np.float16]:
    """Write the frames and return the latents of their faces, [N, 8, 32, 32]."""
    count = len(planned.frames)
    latents = np.empty((count, *LATENT_SHAPE), np.float16)
    faces = np.empty((_ENCODED_AT_ONCE, FACE_PX, FACE_PX, 3), np.uint8)
    advance = stages.begin("Encoding the face", count)
    with draft.frames(count, *footage.picture_px) as writer:
        for first in range(0, count, _ENCODED_AT_ONCE):
            some = planned.frames[first : first + _ENCODED_AT_ONCE]
            for place, mix in enumerate(some):
                i420 = footage.picture(mix)
                writer.put(i420)
                faces[place] = face_of(to_rgb(i420), boxes[first + place])
            latents[first : first + len(some)] = encoder.encode(faces[: len(some)])
            advance(len(some))
    return latents
