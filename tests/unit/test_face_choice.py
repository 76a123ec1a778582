from pathlib import Path

import pytest

from models.errors import AvatarError, EngineUnavailable
from models.face import choice
from models.face.choice import best_face, sees_gpu
from models.face.host.face import HostFace
from models.registry import ENGINES, create
from models.settings import EngineSettings, FaceSettings

PHOTO = Path("me.jpg")
AVATAR = Path("avatars/me")


@pytest.mark.parametrize(
    ("photo", "avatar", "gpu", "engine"),
    [
        (None, None, True, "host"),
        (PHOTO, None, True, "puppet"),
        (PHOTO, AVATAR, True, "musetalk"),
        (None, AVATAR, True, "musetalk"),
        (PHOTO, AVATAR, False, "puppet"),
        (None, AVATAR, False, "host"),
    ],
)
def test_auto_takes_the_best_face_that_there_is(
    photo: Path | None, avatar: Path | None, gpu: bool, engine: str
) -> None:
    assert best_face(FaceSettings(photo=photo, avatar=avatar), gpu=gpu) == engine


def test_hidden_devices_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not sees_gpu()


def test_an_avatar_that_is_not_there_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match=r"UNDERSTUDY_FACE__AVATAR.*make avatar"):
        create("face", EngineSettings(face=FaceSettings(avatar=tmp_path / "me")))


async def test_a_gpu_that_cannot_be_used_leaves_the_next_best_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "sees_gpu", lambda: True)
    monkeypatch.setitem(ENGINES["face"], "musetalk", "package_that_nobody_has.face:create")
    face = create("face", EngineSettings(face=FaceSettings(avatar=tmp_path, size_px=128)))
    assert isinstance(face, HostFace)
    await face.aclose()


@pytest.mark.parametrize("key", ["photo", "avatar"])
def test_an_empty_path_is_none(key: str) -> None:
    assert getattr(FaceSettings.model_validate({key: ""}), key) is None


async def test_auto_becomes_the_face_that_was_chosen() -> None:
    face = create("face", EngineSettings(face=FaceSettings(size_px=128)))
    assert isinstance(face, HostFace)
    assert face.width_px == 128
    await face.aclose()


@pytest.mark.skipif(sees_gpu(), reason="there is a GPU")
def test_musetalk_without_a_gpu_is_refused_in_one_sentence() -> None:
    with pytest.raises(EngineUnavailable, match=r"needs an NVIDIA GPU.*UNDERSTUDY_FACE__ENGINE") as caught:
        create("face", EngineSettings(face=FaceSettings(engine="musetalk", avatar=AVATAR)))
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


async def test_the_face_that_was_chosen_has_a_name() -> None:
    settings = EngineSettings(face=FaceSettings(size_px=128))
    face = create("face", settings)
    assert choice.name_of(face, settings.face) == "host"
    assert choice.name_of(face, FaceSettings(engine="remote")) == "remote"
    await face.aclose()
