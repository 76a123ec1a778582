"""The latents that an avatar keeps: masked first, the same each time, in the scale that the networks take."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.face.musetalk.latents import BATCH, SD_SCALE, LatentEncoder
from models.face.musetalk.networks import build_vae, laid_out
from models.face.musetalk.random_weights import fill_randomly

torch.set_num_threads(1)

Faces = NDArray[np.uint8]


@pytest.fixture(scope="module")
def vae() -> object:
    network = build_vae("tiny").to_empty(device="cpu")
    fill_randomly(network, torch.Generator().manual_seed(1))
    return network


@pytest.fixture(scope="module")
def encoder(vae: object) -> LatentEncoder:
    return LatentEncoder(vae)


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Noise, smooth enough to have different colours everywhere."""
    coarse = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


@torch.inference_mode()
def published(vae: object, faces: Faces, rows_kept: int) -> Tensor:
    """As the published code prepares a picture: zeros for the mouth, then [0, 255] to [-1, 1]; the mode, scaled."""
    picture = faces.astype(np.float32) / 255
    picture[:, rows_kept:] = 0
    normalised = torch.from_numpy((picture - 0.5) / 0.5).permute(0, 3, 1, 2)
    return vae.encode(normalised).latent_dist.mode() * SD_SCALE  # type: ignore[attr-defined]


def test_latents_are_those_of_the_face_without_its_lower_half_then_of_the_whole_face(
    vae: object, encoder: LatentEncoder, faces: Faces
) -> None:
    latents = torch.from_numpy(encoder.encode(faces)).float()
    assert latents.shape == (2, 8, 32, 32)
    assert torch.allclose(latents[:, :4], published(vae, faces, rows_kept=128), atol=1e-3)
    assert torch.allclose(latents[:, 4:], published(vae, faces, rows_kept=256), atol=1e-3)
    assert not torch.allclose(latents[:, :4], latents[:, 4:], atol=1e-2)


def test_the_lower_half_is_not_in_the_masked_latents(encoder: LatentEncoder, faces: Faces) -> None:
    other = faces.copy()
    other[:, 128:] = 255 - other[:, 128:]
    ours, theirs = encoder.encode(faces), encoder.encode(other)
    assert np.array_equal(ours[:, :4], theirs[:, :4])
    assert np.abs(ours[:, 4:] - theirs[:, 4:]).max() > 0.01
    other[:, 127] = 255 - other[:, 127]
    assert not np.array_equal(ours[:, :4], encoder.encode(other)[:, :4])


def test_the_same_face_gives_the_same_latents(encoder: LatentEncoder, faces: Faces) -> None:
    assert np.array_equal(encoder.encode(faces), encoder.encode(faces))


def test_faces_are_encoded_a_few_at_a_time_and_in_order(
    encoder: LatentEncoder, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder.encode(faces)
    monkeypatch.setattr("models.face.musetalk.latents.BATCH", 1)
    assert BATCH > 1
    assert np.abs(encoder.encode(faces) - whole).max() < 1e-3
    assert encoder.encode(faces[:0]).shape == (0, 8, 32, 32)


def test_fused_projections_and_another_layout_change_nothing(vae: object, faces: Faces) -> None:
    network = build_vae("tiny").to_empty(device="cpu")
    network.load_state_dict(vae.state_dict())  # type: ignore[attr-defined]
    plain = LatentEncoder(vae).encode(faces)
    assert np.abs(laid_out(LatentEncoder(network)).encode(faces) - plain).max() < 1e-3


def test_pictures_of_another_shape_are_refused(encoder: LatentEncoder, faces: Faces) -> None:
    for wrong in (faces[0], faces[:, :128], faces.astype(np.float32)):
        with pytest.raises(ValueError, match=r"faces are uint8 \[N, 256, 256, 3\]"):
            encoder.encode(wrong)  # type: ignore[arg-type]


def test_half_precision_encodes_nearly_the_same(faces: Faces) -> None:
    latents = []
    for dtype in (torch.float32, torch.float16):
        network = build_vae("tiny").to_empty(device="cpu")
        fill_randomly(network, torch.Generator().manual_seed(1))
        latents.append(LatentEncoder(network.half().to(dtype)).encode(faces[:1]))
    assert latents[1].dtype == np.float16
    assert np.abs(latents[0] - latents[1]).max() < 0.01
