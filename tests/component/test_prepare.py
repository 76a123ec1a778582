"""The whole command: a video of a face becomes an avatar that is fit for use, with networks of random weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.face.__main__ import main
from models.face.avatar.boxes import rough_boxes, size_of
from models.face.avatar.changes import changes_of
from models.face.avatar.pack import problem_of
from models.face.avatar.store import load
from models.face.landmarks import MODEL, create_finder
from models.face.musetalk.manifest import FILES, VAE_FILE, ConvertedFile, Manifest, converted_directory, sha256_of
from models.face.musetalk.networks import build_vae
from models.face.musetalk.preparing import encoder_name
from models.face.musetalk.random_weights import fill_randomly
from models.face.puppet.portrait import read_photo
from models.interfaces import Image
from models.settings import WeightsSettings
from models.weights import locate
from tests.recordings import encode, swaying, with_closed_mouth

pytestmark = pytest.mark.weights

torch.set_num_threads(1)

FRAMES = 75
PERIOD = 40


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real landmarks, and an encoder of the right shape with random weights."""
    directory = tmp_path_factory.mktemp("weights")
    shutil.copytree(locate(MODEL, WeightsSettings().dir), directory / MODEL)
    converted = converted_directory(directory, "1.5")
    converted.mkdir()
    vae: Any = build_vae("tiny").to_empty(device="cpu")
    fill_randomly(vae, torch.Generator().manual_seed(1))
    save_file({name: tensor.half() for name, tensor in vae.state_dict().items()}, converted / VAE_FILE)
    described = ConvertedFile(sha256_of(converted / VAE_FILE), (converted / VAE_FILE).stat().st_size)
    Manifest("musetalk-1.5", "tiny", dict.fromkeys(FILES, described), {}, {}, {}).write(converted)
    return directory


@pytest.fixture(scope="module")
def smile() -> Image:
    photo = read_photo(locate("test-photo", WeightsSettings().dir) / "astronaut.png")
    return np.asarray(cv2.resize(photo, (640, 640), interpolation=cv2.INTER_CUBIC)[:480], np.uint8)


@pytest.fixture(scope="module")
def video(smile: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A silent person who sways and comes back to the same pose."""
    face = create_finder(WeightsSettings()).find(smile)[0]
    calm = with_closed_mouth(smile, face.points)
    frames = swaying(calm, (index / PERIOD for index in range(FRAMES)))
    return encode(tmp_path_factory.mktemp("video") / "me.mp4", frames)


@pytest.fixture(scope="module")
def place(weights: Path, video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("avatars") / "me"
    assert main(["prepare", str(video), "--out", str(place), "--weights", str(weights), "--device", "cpu"]) == 0
    return place


def test_a_video_becomes_an_avatar_that_can_be_used(place: Path, weights: Path) -> None:
    pack = load(place, encoder=encoder_name(weights, "1.5"), musetalk="1.5")
    assert problem_of(pack) is None
    assert (pack.width_px, pack.height_px) == (640, 480)
    assert len(pack.schedule) == pytest.approx(PERIOD, abs=3)
    assert len(np.unique(pack.latents[:, :4], axis=0)) == pack.frame_count
    assert np.abs(pack.latents.astype(np.float32)).max() < 100
    # The upper half is the same in both, the lower one is not.
    assert (pack.latents[:, :4, 20:] != pack.latents[:, 4:, 20:]).any()


def test_the_box_follows_the_head_and_keeps_its_size(place: Path, smile: Image) -> None:
    pack = load(place)
    face = create_finder(WeightsSettings()).find(smile)[0]
    expected = size_of(rough_boxes(face.points[None], "1.5"))
    width_px, height_px = (pack.boxes[:, 2:] - pack.boxes[:, :2]).T
    assert np.ptp(width_px) < 1e-3
    assert width_px[0] == pytest.approx(expected.width_px, rel=0.06)
    assert height_px[0] == pytest.approx(expected.height_px, rel=0.06)
    middle = (pack.boxes[:, :2] + pack.boxes[:, 2:])[pack.schedule] / 2
    assert np.ptp(middle[:, 0]) == pytest.approx(2 * 6.0, abs=8)
    # No frame's box leaves the line through its neighbours by more than a third of a pixel.
    bend = np.abs(middle[1:-1] - (middle[:-2] + middle[2:]) / 2)
    assert bend.max() < 0.35


def test_the_loop_has_no_seam(place: Path) -> None:
    changes = changes_of(load(place))
    assert changes[-11:].max() <= 1.3 * changes[:-11].max()


def test_person_and_program_find_what_they_need_beside_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {path.name for path in place.iterdir()} == {
        "pack.json",
        "report.txt",
        "contact-sheet.jpg",
        *(f"{name}.npy" for name in ("frames", "latents", "masks", "boxes", "rois", "schedule")),
    }
    assert json.loads((place / "pack.json").read_text())["meta"]["recordings"] == ["me.mp4"]
    assert main(["show", str(place)]) == 0
    assert "Every byte is right." in capsys.readouterr().out


def test_a_smile_that_shows_the_teeth_is_refused(
    smile: Image, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = encode(tmp_path / "smile.mp4", [smile] * 51)
    arguments = ["prepare", str(video), "--out", str(tmp_path / "me"), "--weights", str(weights), "--device", "cpu"]
    assert main(arguments) == 1
    assert "The mouth in smile.mp4 is open for 100% of the time" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["smile.mp4"]
