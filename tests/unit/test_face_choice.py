from pathlib import Path

import pytest

from models.errors import EngineUnavailable
from models.face.choice import chosen
from models.settings import FaceSettings

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
    assert chosen(FaceSettings(photo=photo, avatar=avatar), has_gpu=lambda: gpu) == engine


def test_a_face_that_is_named_is_taken() -> None:
    assert chosen(FaceSettings(engine="host", photo=PHOTO, avatar=AVATAR), has_gpu=lambda: True) == "host"


def test_musetalk_without_a_gpu_is_refused_in_one_sentence() -> None:
    with pytest.raises(EngineUnavailable, match=r"needs an NVIDIA GPU.*UNDERSTUDY_FACE__ENGINE") as caught:
        chosen(FaceSettings(engine="musetalk", avatar=AVATAR), has_gpu=lambda: False)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_hidden_devices_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert chosen(FaceSettings(avatar=AVATAR)) == "host"
