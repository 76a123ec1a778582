"""MuseTalk's networks: their exact size, and that random weights make pictures that are neither flat nor endless."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.face.musetalk.networks import (
    MouthNetwork,
    Networks,
    SdDecoder,
    TinyDecoder,
    build_taesd,
    build_unet,
    build_vae,
    build_whisper,
    random_networks,
    sinusoidal_positions,
)

torch.set_num_threads(1)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(scope="module")
def tiny() -> Networks:
    return random_networks(size="tiny", seed=1)


@pytest.fixture(scope="module")
def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, 8, 32, 32, generator=generator), torch.randn(2, 50, 384, generator=generator)


def test_the_full_networks_have_the_published_number_of_weights() -> None:
    unet, vae = build_unet(), build_vae()
    assert len(unet.state_dict()) == 686
    assert count(unet) == 849_947_844
    assert count(vae) == 83_653_863
    assert count(build_taesd().decoder) == 1_222_531
    assert count(build_whisper()) == 8_208_384


def test_the_full_networks_have_the_published_shapes() -> None:
    latents, windows = (torch.empty(2, *shape, device="meta") for shape in ((8, 32, 32), (50, 384)))
    with torch.inference_mode():
        mouth = MouthNetwork(build_unet())(latents, windows)
        assert mouth.shape == (2, 4, 32, 32)
        assert SdDecoder(build_vae())(mouth).shape == (2, 3, 256, 256)
        assert TinyDecoder(build_taesd())(mouth).shape == (2, 3, 256, 256)


def test_the_tiny_networks_have_the_names_of_the_full_ones() -> None:
    for build in (build_unet, build_vae, build_taesd, build_whisper):
        assert build("tiny").state_dict().keys() == build("full").state_dict().keys()
        assert count(build("tiny")) < count(build("full")) / 2


@pytest.mark.parametrize("decoder", ["sd", "taesd"])
def test_random_weights_draw_a_picture_with_something_in_it(decoder: str, inputs: tuple[Tensor, Tensor]) -> None:
    networks = random_networks(size="tiny", decoder=decoder, seed=3)  # type: ignore[arg-type]
    with torch.inference_mode():
        mouth = networks.mouth(*inputs)
        picture = networks.decoder(mouth)
        assert picture.shape == (2, 3, 256, 256)
        assert 0.3 < mouth.std() < 1.5
        assert abs(picture.mean()) < 0.5
        assert 0.1 < picture.std() < 1.5
    assert networks.config.decoder == decoder


def test_no_activation_of_random_weights_comes_near_the_end_of_half_precision(
    tiny: Networks, inputs: tuple[Tensor, Tensor]
) -> None:
    peaks: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, __, out: peaks.append(out.abs().max()) if torch.is_tensor(out) else None)
        for network in (tiny.mouth, tiny.decoder)
        for module in network.modules()
    ]
    with torch.inference_mode():
        tiny.decoder(tiny.mouth(*inputs))
    for hook in hooks:
        hook.remove()
    assert len(peaks) > 300
    assert max(peaks) < 1_000


def test_a_seed_decides_every_weight(tiny: Networks, inputs: tuple[Tensor, Tensor]) -> None:
    with torch.inference_mode():
        drawn = tiny.mouth(*inputs)
        assert torch.equal(random_networks(size="tiny", seed=1).mouth(*inputs), drawn)
        assert not torch.equal(random_networks(size="tiny", seed=4).mouth(*inputs), drawn)


def test_networks_are_made_in_the_type_asked_for() -> None:
    networks = random_networks(size="tiny", dtype=torch.float16)
    assert networks.dtype == torch.float16
    assert networks.device == torch.device("cpu")
    for network in (networks.mouth, networks.decoder, networks.audio, networks.encoder):
        assert network is not None
        assert not network.training
        tensors = [*network.parameters(), *network.buffers()]
        assert {tensor.dtype for tensor in tensors} == {torch.float16}
        assert not any(tensor.requires_grad for tensor in tensors)


def test_the_windows_and_the_latents_decide_what_is_drawn(tiny: Networks, inputs: tuple[Tensor, Tensor]) -> None:
    latents, windows = inputs
    with torch.inference_mode():
        drawn = tiny.mouth(latents, windows)
        for other in (tiny.mouth(latents, windows.flip(1)), tiny.mouth(latents.flip(1), windows)):
            assert (other - drawn).abs().mean() > 0.01


def test_positions_are_added_to_the_windows_unless_they_are_switched_off(inputs: tuple[Tensor, Tensor]) -> None:
    latents, windows = inputs
    marked, plain = (random_networks(size="tiny", seed=5, pos_enc=switch).mouth for switch in (True, False))
    with torch.inference_mode():
        assert torch.allclose(marked(latents, windows), plain(latents, windows + sinusoidal_positions(50, 384)))
        assert not torch.allclose(marked(latents, windows), plain(latents, windows))


def test_positions_are_sines_and_cosines_in_turn() -> None:
    positions = sinusoidal_positions(50, 384).numpy()
    place, pair = 7, 30
    angle = place / 10_000 ** (2 * pair / 384)
    assert positions[place, 2 * pair] == pytest.approx(np.sin(angle), abs=1e-6)
    assert positions[place, 2 * pair + 1] == pytest.approx(np.cos(angle), abs=1e-6)


def test_whisper_counts_its_positions_and_hears(tiny: Networks) -> None:
    heard = build_whisper("full").config
    assert (heard.num_mel_bins, heard.encoder_layers, heard.encoder_attention_heads) == (80, 4, 6)
    with torch.inference_mode():
        out = tiny.audio(torch.randn(1, 80, 3000), output_hidden_states=True)
    assert [tuple(layer.shape) for layer in out.hidden_states] == [(1, 1500, 384)] * 5
    positions = tiny.audio.embed_positions.weight
    assert positions[0].tolist() == [0.0] * 192 + [1.0] * 192
    assert positions[3, 1].item() == pytest.approx(np.sin(3 * 10_000 ** (-1 / 191)), abs=1e-5)
