"""A prepared avatar on disk: whole or not there, and refused in one sentence when it cannot be used."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import AvatarError
from models.face.avatar.pack import AvatarPack, problem_of
from models.face.avatar.store import Draft, PackMeta, load, read_meta, save, verify
from tests.avatars import synthetic_pack

META = PackMeta(musetalk="1.5", encoder="sd-vae:abc", made="2026-01-01T00:00:00Z", recordings=("me.mp4",), loop="loop")


@pytest.fixture(scope="module")
def pack() -> AvatarPack:
    return synthetic_pack(frames=4, width_px=192, height_px=160, face_px=96)


@pytest.fixture
def place(tmp_path: Path, pack: AvatarPack) -> Path:
    save(pack, tmp_path / "me", META)
    return tmp_path / "me"


def rewrite(place: Path, **changes: Any) -> None:
    content = json.loads((place / "pack.json").read_text())
    (place / "pack.json").write_text(json.dumps(content | changes))


def test_what_was_saved_is_loaded(place: Path, pack: AvatarPack) -> None:
    loaded = load(place, encoder="sd-vae:abc", musetalk="1.5")
    for field in dataclasses.fields(AvatarPack):
        before, after = getattr(pack, field.name), getattr(loaded, field.name)
        assert np.array_equal(before, after)
        assert np.asarray(before).dtype == np.asarray(after).dtype
    assert (loaded.width_px, loaded.height_px, loaded.frame_count) == (192, 160, 4)
    assert [loaded.frame_at(position) for position in range(8)] == [0, 1, 2, 3, 0, 2, 0, 1]
    assert read_meta(place).meta == META
    assert verify(place).meta == META


def test_frames_are_mapped_and_not_read(place: Path) -> None:
    assert isinstance(load(place).frames, np.memmap)


def test_no_file_holds_a_pickle(place: Path) -> None:
    for path in place.glob("*.npy"):
        np.load(path, allow_pickle=False)


def test_a_place_that_is_taken_is_left_alone(place: Path, pack: AvatarPack, tmp_path: Path) -> None:
    before = (place / "pack.json").read_bytes()
    with pytest.raises(AvatarError, match="already holds an avatar; replace it with --force"):
        save(pack, place, META)
    assert (place / "pack.json").read_bytes() == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(AvatarError, match="exists and is no avatar"):
        save(pack, tmp_path / "notes", META, force=True)
    assert (tmp_path / "notes" / "a.txt").read_text() == "mine"


def test_force_replaces_a_pack_as_a_whole(place: Path) -> None:
    (place / "report.txt").write_text("old")
    save(synthetic_pack(frames=2, width_px=192, height_px=160, face_px=96), place, META, force=True)
    assert load(place).frame_count == 2
    assert not (place / "report.txt").exists()
    assert [path.name for path in place.parent.iterdir()] == ["me"]


def test_what_is_stopped_leaves_nothing(tmp_path: Path, pack: AvatarPack) -> None:
    with pytest.raises(KeyboardInterrupt), Draft(tmp_path / "me") as draft:
        with draft.frames(4, 192, 160) as writer:
            writer.put(pack.frames[0])
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_is_stopped_leaves_the_pack_that_was_there(place: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Draft(place, force=True):
        raise KeyboardInterrupt
    assert load(place).frame_count == 4
    assert [path.name for path in place.parent.iterdir()] == ["me"]


def test_frames_can_be_written_one_by_one(tmp_path: Path, pack: AvatarPack) -> None:
    with Draft(tmp_path / "me") as draft:
        with draft.frames(4, 192, 160) as writer:
            for frame in pack.frames:
                writer.put(frame)
        draft.finish(dataclasses.replace(pack, frames=draft.written_frames()), META)
    assert np.array_equal(load(tmp_path / "me").frames, pack.frames)


def test_too_few_frames_are_no_pack(tmp_path: Path, pack: AvatarPack) -> None:
    with Draft(tmp_path / "me") as draft, pytest.raises(ValueError, match="3 frames are missing"):
        with draft.frames(4, 192, 160) as writer:
            writer.put(pack.frames[0])
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="There is no avatar in"):
        load(tmp_path / "nobody")
    with pytest.raises(AvatarError, match=r"pack\.json is missing"):
        load(tmp_path)
    (tmp_path / "pack.json").write_text('{"format": "something else"}')
    with pytest.raises(AvatarError, match="does not describe an avatar"):
        load(tmp_path)


def test_a_newer_pack_is_refused(place: Path) -> None:
    rewrite(place, version=2)
    with pytest.raises(AvatarError, match="newer version of this program"):
        load(place)


@pytest.mark.parametrize("change", [{"version": 0}, {"files": {}}, {"meta": None}, {"surprise": 1}])
def test_a_wrong_description_is_refused(place: Path, change: dict[str, Any]) -> None:
    rewrite(place, **change)
    with pytest.raises(AvatarError, match="prepare it again"):
        load(place)


def test_a_description_that_is_no_text_is_refused(place: Path) -> None:
    (place / "pack.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(AvatarError, match="cannot be read"):
        load(place)


@pytest.mark.parametrize("name", ["frames", "latents", "masks", "boxes", "rois", "schedule"])
def test_a_missing_file_is_named(place: Path, name: str) -> None:
    (place / f"{name}.npy").unlink()
    with pytest.raises(AvatarError, match=rf"{name}\.npy is missing"):
        load(place)


@pytest.mark.parametrize("name", ["frames", "latents", "masks", "boxes", "rois", "schedule"])
def test_a_damaged_file_is_named(place: Path, name: str) -> None:
    path = place / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AvatarError, match=rf"{name}\.npy in .* is damaged"):
        load(place)


def test_a_changed_byte_of_a_frame_is_found_by_reading_all(place: Path) -> None:
    path = place / "frames.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load(place)
    with pytest.raises(AvatarError, match=r"frames\.npy in .* is damaged"):
        verify(place)


def test_another_shape_than_stated_is_refused(place: Path) -> None:
    content = json.loads((place / "pack.json").read_text())
    content["files"]["frames"]["shape"] = [4, 240, 191]
    rewrite(place, files=content["files"])
    with pytest.raises(AvatarError, match="does not have the shape"):
        load(place)


def test_a_region_outside_the_frame_is_refused(place: Path) -> None:
    rewrite(place, roi_width_px=256)
    with pytest.raises(AvatarError, match="mouth region leaves the frame"):
        load(place)


def test_other_weights_or_another_version_are_refused(place: Path) -> None:
    with pytest.raises(AvatarError, match="made with other weights"):
        load(place, encoder="sd-vae:def")
    with pytest.raises(AvatarError, match=r"prepared for MuseTalk 1\.5, and 1\.0 is in use"):
        load(place, musetalk="1.0")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"frames": np.zeros((0, 240, 192), np.uint8)}, "not pictures"),
        ({"frames": np.zeros((4, 241, 192), np.uint8)}, "planar I420"),
        ({"latents": np.zeros((4, 8, 32, 32), np.float32)}, "latents is float32"),
        ({"masks": np.full((4, 256, 256), 9, np.uint8)}, "touches the edge"),
        ({"boxes": np.zeros((4, 4), np.float32)}, "box is empty"),
        ({"boxes": np.full((4, 4), np.nan, np.float32)}, "not a number"),
        ({"rois": np.ones((4, 2), np.int32)}, "odd pixel"),
        ({"roi_height_px": 40}, "multiple of 32"),
        ({"schedule": np.array([0, 4], np.int32)}, "frames that are not there"),
        ({"schedule": np.array([], np.int32)}, "not a list of frames"),
    ],
)
def test_a_pack_that_contradicts_itself_is_not_saved(
    tmp_path: Path, pack: AvatarPack, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        save(dataclasses.replace(pack, **change), tmp_path / "me", META)
    assert list(tmp_path.iterdir()) == []


def test_a_made_up_pack_is_sound() -> None:
    assert problem_of(synthetic_pack()) is None
    assert problem_of(synthetic_pack(frames=3, width_px=1280, height_px=720, face_px=256)) is None
