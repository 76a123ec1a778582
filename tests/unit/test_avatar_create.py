"""From recordings to a pack: every part belongs to its frame, and what is stopped leaves nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.boxes import face_of
from models.face.avatar.changes import changes_of, seam_places
from models.face.avatar.create import prepare
from models.face.avatar.pack import problem_of
from models.face.avatar.recording import to_rgb
from models.face.avatar.references import with_closed_mouths
from models.face.avatar.rules import Rules
from models.face.avatar.store import load, read_meta
from models.face.landmarks import FoundFace
from models.interfaces import Image
from tests.recordings import DrawnFinder, drawn, encode, mesh

RULES = Rules(shortest_s=1.0)


class ThumbnailEncoder:
    """Latents that say which face they were made of: 32x32 thumbnails, the masked half first."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, faces: NDArray[np.uint8]) -> NDArray[np.float16]:
        self.batches.append(len(faces))
        small = np.stack([thumbnail(face) for face in faces])
        return np.repeat(small[:, None], 8, axis=1).astype(np.float16)


class InterruptedEncoder:
    def encode(self, faces: NDArray[np.uint8]) -> NDArray[np.float16]:
        raise KeyboardInterrupt


class Bars:
    """Remembers the stages and how far each came."""

    def __init__(self) -> None:
        self.stages: dict[str, list[float]] = {}

    def begin(self, title: str, total: float) -> Callable[[float], None]:
        self.stages[title] = [total, 0.0]

        def advance(step: float) -> None:
            self.stages[title][1] += step

        return advance


def thumbnail(face: Image) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(face[..., 1], (32, 32), interpolation=cv2.INTER_AREA), np.float32)


def swaying(count: int, period: float = 40, *, height: float = 8) -> list[Image]:
    return [drawn((160 + height * np.sin(2 * np.pi * index / period), 120, 130)) for index in range(count)]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recordings")
    encode(directory / "me.mp4", swaying(60))
    encode(directory / "more.mp4", swaying(60, 43, height=7))
    encode(directory / "away.mp4", [np.roll(frame, 60, axis=1) for frame in swaying(50)])
    return directory


def animated(photo: Path, highest_px: int) -> Iterator[Image]:
    """A photo that sways for a second and a half."""
    assert (photo.name, highest_px) == ("me.jpg", 720)
    yield from swaying(40, 40)


def made(paths: list[Path], place: Path, **options: object) -> None:
    usual = {
        "finder": DrawnFinder(),
        "encoder": ThumbnailEncoder(),
        "encoder_name": "thumbnails",
        "animate": animated,
        "rules": RULES,
    }
    prepare(paths, place, **(usual | options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def place(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar of one recording; only to be read."""
    place = tmp_path_factory.mktemp("avatars") / "me"
    made([recordings / "me.mp4"], place)
    return place


def test_a_recording_becomes_a_sound_pack(place: Path) -> None:
    pack = load(place, encoder="thumbnails", musetalk="1.5")
    assert problem_of(pack) is None
    assert (pack.width_px, pack.height_px) == (320, 240)
    assert len(pack.schedule) == pytest.approx(40, abs=1)
    assert sorted(set(pack.schedule.tolist())) == list(range(pack.frame_count))
    meta = read_meta(place).meta
    assert (meta.loop, meta.recordings, meta.encoder) == ("loop", ("me.mp4",), "thumbnails")


def test_the_latents_of_every_frame_are_those_of_its_own_face(place: Path) -> None:
    pack = load(place)
    for frame in range(pack.frame_count):
        face = thumbnail(face_of(to_rgb(pack.frames[frame]), pack.boxes[frame]))
        assert np.abs(pack.latents[frame, 0] - face).max() < 1


def test_the_face_stays_in_its_box_also_in_faded_frames(place: Path) -> None:
    pack = load(place)
    for frame in range(pack.frame_count):
        bright = to_rgb(pack.frames[frame])[..., 1] > 190
        columns = np.flatnonzero(bright.any(axis=0))
        middle = (columns[0] + columns[-1] + 1) / 2
        assert middle == pytest.approx(float(pack.boxes[frame, 0] + pack.boxes[frame, 2]) / 2, abs=1.2)


def test_the_film_has_no_seam(place: Path) -> None:
    pack = load(place)
    changes = changes_of(pack)
    seams = seam_places(len(changes), [len(pack.schedule) - 10])
    assert changes[seams].max() <= 1.3 * np.delete(changes, seams).max()


def test_report_and_contact_sheet_lie_beside_the_pack(place: Path) -> None:
    report = (place / "report.txt").read_text()
    assert "Avatar of me.mp4, for MuseTalk 1.5" in report
    assert "1 fade of 10 frames" in report
    assert "open in 0 of" in report
    assert "Warning: The face is only" in report
    sheet = cv2.imread(str(place / "contact-sheet.jpg"))
    assert sheet.shape[1] == 1_600
    assert sheet.shape[0] > 900
    assert not (place / "scratch").exists()


def test_stages_are_shown_to_their_end(recordings: Path, tmp_path: Path) -> None:
    bars = Bars()
    encoder = ThumbnailEncoder()
    made([recordings / "me.mp4"], tmp_path / "me", stages=bars, encoder=encoder)
    assert list(bars.stages) == ["Reading", "Following the face", "Encoding the face"]
    for total, done in bars.stages.values():
        assert done == pytest.approx(total)
    assert max(encoder.batches) <= 8


def test_several_recordings_are_joined(recordings: Path, tmp_path: Path) -> None:
    made([recordings / "me.mp4", recordings / "more.mp4"], tmp_path / "me")
    pack = load(tmp_path / "me")
    assert pack.frame_count > 70
    assert read_meta(tmp_path / "me").meta.recordings == ("me.mp4", "more.mp4")
    assert np.ptp(pack.boxes[:, 2] - pack.boxes[:, 0]) < 1e-3


def test_a_recording_in_another_pose_is_left_out_and_said(recordings: Path, tmp_path: Path) -> None:
    made([recordings / "me.mp4", recordings / "away.mp4"], tmp_path / "me")
    assert any("away.mp4 never comes near" in warning for warning in read_meta(tmp_path / "me").meta.warnings)


def test_a_photo_is_animated_and_its_loop_kept_as_it_is(tmp_path: Path) -> None:
    made([tmp_path / "me.jpg"], tmp_path / "me")
    pack = load(tmp_path / "me")
    assert pack.schedule.tolist() == list(range(40))
    assert read_meta(tmp_path / "me").meta.loop == "loop"
    changes = changes_of(pack)
    assert changes[-1] <= 1.1 * changes[:-1].max()


def test_a_photo_and_a_video_do_not_go_together(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="A photo cannot be joined with other recordings"):
        made([recordings / "me.mp4", tmp_path / "me.jpg"], tmp_path / "me")


def test_what_is_stopped_leaves_nothing(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        made([recordings / "me.mp4"], tmp_path / "me", encoder=InterruptedEncoder())
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_leaves_nothing(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="500 are needed"):
        made([recordings / "me.mp4"], tmp_path / "me", rules=Rules(shortest_s=1.0, lowest_face_px=500))
    assert list(tmp_path.iterdir()) == []


class FullDisk:
    def encode(self, faces: NDArray[np.uint8]) -> NDArray[np.float16]:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_said_in_one_sentence(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match=r"cannot be written to .*me: No space left on device"):
        made([recordings / "me.mp4"], tmp_path / "me", encoder=FullDisk())
    assert list(tmp_path.iterdir()) == []


class TalkingFinder(DrawnFinder):
    """The mouth is open in some frames of those that are followed."""

    def __init__(self, opened: range) -> None:
        super().__init__()
        self._opened = opened
        self._frame = 0

    def follow(self, rgb: Image, before: FoundFace) -> FoundFace | None:
        face = super().follow(rgb, before)
        self._frame += 1
        if face is None or self._frame not in self._opened:
            return face
        x, y = face.points[168, 0], (face.points[10, 1] + face.points[152, 1]) / 2
        return FoundFace(mesh(float(x), float(y), float(np.ptp(face.points[[10, 152], 1])), gap=0.35), 1.0)


def test_a_frame_with_an_open_mouth_takes_its_reference_from_a_closed_one(recordings: Path, tmp_path: Path) -> None:
    made([recordings / "me.mp4"], tmp_path / "me", finder=TalkingFinder(range(25, 40)))
    pack = load(tmp_path / "me")
    replaced = [frame for frame in range(pack.frame_count) if (pack.latents[frame, 0] != pack.latents[frame, 4]).any()]
    assert 8 <= len(replaced) <= 18
    for frame in replaced:
        same = [other for other in range(pack.frame_count) if (pack.latents[other, 0] == pack.latents[frame, 4]).all()]
        assert same
        assert not set(same) & set(replaced)
    assert "take their reference" in (tmp_path / "me" / "report.txt").read_text()


def test_the_reference_is_the_closed_frame_of_the_nearest_pose() -> None:
    latents = np.arange(4, dtype=np.float16)[:, None, None, None] * np.ones((1, 8, 32, 32), np.float16)
    poses = np.stack([mesh(128 + offset, 128, 200)[:, :2] for offset in (0.0, 10.0, 20.0, 12.0)])
    mouth = np.array([0.02, 0.02, 0.02, 0.4], np.float32)
    changed = with_closed_mouths(latents, mouth, poses)
    assert changed[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert changed[:, 4, 0, 0].tolist() == [0, 1, 2, 1]
    assert latents[3, 4, 0, 0] == 3
