"""What is rewritten when networks are loaded computes what was there before, and can be compiled."""

import copy
from collections.abc import Callable

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.nn import functional as F

from models.face.musetalk.latents import SD_SCALE
from models.face.musetalk.networks import (
    UNET,
    UNET_COMMON,
    MouthNetwork,
    Networks,
    SdDecoder,
    TinyDecoder,
    build_taesd,
    build_unet,
    build_vae,
    random_networks,
    sinusoidal_positions,
)
from models.face.musetalk.random_weights import fill_randomly
from models.face.musetalk.rewrites import (
    SubpixelForm,
    SubpixelUpsample,
    fold_timestep,
    fuse_projections,
    subpixel_upsampling,
)

torch.set_num_threads(1)

FORMS: tuple[SubpixelForm, ...] = ("shuffle", "transposed")


def filled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights everywhere, also in biases and norms, where ones and zeros would hide a mistake."""
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    fill_randomly(network, generator)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(9))


@pytest.fixture(scope="module")
def networks() -> Networks:
    return random_networks(size="tiny", seed=1)


def far(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


@torch.inference_mode()
def test_the_mouth_network_is_the_published_network_at_time_step_zero() -> None:
    unet = filled(build_unet("tiny"))
    latents, windows = noise(2, 8, 32, 32), noise(2, 50, 384)
    heard = windows + sinusoidal_positions(50, 384)
    published = unet(latents, torch.tensor([0]), encoder_hidden_states=heard).sample
    assert far(published, unet(latents, torch.tensor([500]), encoder_hidden_states=heard).sample) > 1e-2
    mouth = MouthNetwork(unet)
    assert far(mouth(latents, windows), published) < 1e-5
    fuse_projections(mouth)
    mouth.to(memory_format=torch.channels_last)
    assert far(mouth(latents, windows), published) < 1e-5


def test_nothing_of_the_time_step_is_left() -> None:
    unet = build_unet()
    blocks = [module for module in unet.modules() if isinstance(module, ResnetBlock2D)]
    assert len(blocks) == 22
    fold_timestep(unet)
    assert not [name for name in unet.state_dict() if "time" in name]


@torch.inference_mode()
def test_the_sd_decoder_takes_scaled_latents_and_gives_what_the_published_decoder_gives() -> None:
    vae = filled(build_vae("tiny"))
    latents = noise(2, 4, 32, 32)
    published = vae.decode(latents / SD_SCALE).sample
    decoder = SdDecoder(vae)
    assert far(decoder(latents), published) < 1e-5
    fuse_projections(decoder)
    decoder.to(memory_format=torch.channels_last)
    assert far(decoder(latents), published) < 1e-5


@torch.inference_mode()
def test_taesd_takes_scaled_latents_as_they_are() -> None:
    vae = filled(build_taesd("tiny"))
    latents = noise(2, 4, 32, 32)
    drawn = TinyDecoder(vae)(latents)
    assert far(drawn, vae.decode(latents).sample) < 1e-5
    assert far(drawn, vae.decode(latents / SD_SCALE).sample) > 1e-2


def test_fusing_leaves_no_projection_twice(networks: Networks) -> None:
    for network in (networks.mouth, networks.decoder):
        names = {name.split(".")[-2] for name in network.state_dict() if ".to_" in name and ".to_out" not in name}
        assert names <= {"to_qkv", "to_kv", "to_q"}
    self_attention = networks.mouth.mid_block.attentions[0].transformer_blocks[0].attn1
    cross_attention = networks.mouth.mid_block.attentions[0].transformer_blocks[0].attn2
    assert {name.split(".")[0] for name, _ in self_attention.named_parameters()} == {"to_qkv", "to_out"}
    assert {name.split(".")[0] for name, _ in cross_attention.named_parameters()} == {"to_q", "to_kv", "to_out"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_doubling_and_its_convolution_are_the_same_at_the_small_size(form: SubpixelForm, bias: bool) -> None:
    conv = filled(nn.Conv2d(6, 10, 3, padding=1, bias=bias))
    hidden = noise(2, 6, 5, 7)
    doubled = conv(F.interpolate(hidden, scale_factor=2.0, mode="nearest"))
    assert far(SubpixelUpsample(conv, form)(hidden), doubled) < 1e-5


@pytest.mark.parametrize("form", FORMS)
@torch.inference_mode()
def test_every_doubling_of_every_network_can_be_replaced(form: SubpixelForm, networks: Networks) -> None:
    latents, windows = noise(1, 8, 32, 32), noise(1, 50, 384)
    taesd = TinyDecoder(filled(build_taesd("tiny")))
    cases: tuple[tuple[nn.Module, tuple[Tensor, ...]], ...] = (
        (networks.mouth, (latents, windows)),
        (networks.decoder, (latents[:, :4],)),
        (taesd, (latents[:, :4],)),
    )
    for network, inputs in cases:
        rewritten = copy.deepcopy(network)
        assert subpixel_upsampling(rewritten, form) == 3
        assert not [layer for layer in rewritten.modules() if isinstance(layer, Upsample2D | nn.Upsample)]
        assert far(rewritten(*inputs), network(*inputs)) < 1e-5


def test_a_doubling_without_a_plain_convolution_stays() -> None:
    strided = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3, padding=1, stride=2))
    smooth = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 3, padding=1))
    tripled = nn.Sequential(nn.Upsample(scale_factor=3), nn.Conv2d(4, 4, 3, padding=1))
    for network in (strided, smooth, tripled):
        assert subpixel_upsampling(network) == 0


def traced(network: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[..., Tensor]:
    """As AOTInductor sees it."""
    return torch.export.export(network, inputs).module()


def compiled(network: nn.Module, _: tuple[Tensor, ...]) -> Callable[..., Tensor]:
    """As torch.compile sees it; `aot_eager` traces everything and generates no code."""
    torch.compiler.reset()
    return torch.compile(network, backend="aot_eager", fullgraph=True)


WAYS = (traced, compiled)
Way = Callable[[nn.Module, tuple[Tensor, ...]], Callable[..., Tensor]]


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_a_mouth_network_with_every_kind_of_block_is_one_graph(way: Way) -> None:
    short = UNET_COMMON | UNET["tiny"] | {"layers_per_block": 1, "block_out_channels": (32, 64)}
    short |= {
        "down_block_types": UNET_COMMON["down_block_types"][2:],
        "up_block_types": UNET_COMMON["up_block_types"][:2],
    }
    mouth = MouthNetwork(filled(UNet2DConditionModel(**short)))
    fuse_projections(mouth)
    assert subpixel_upsampling(mouth) == 1
    inputs = (noise(1, 8, 32, 32), noise(1, 50, 384))
    assert far(way(mouth, inputs)(*inputs), mouth(*inputs)) < 1e-5


@pytest.mark.parametrize("way", WAYS)
@torch.no_grad()
def test_the_decoders_are_one_graph_each(way: Way, networks: Networks) -> None:
    latents = noise(1, 4, 32, 32)
    for decoder in (networks.decoder, TinyDecoder(filled(build_taesd("tiny")))):
        assert far(way(decoder, (latents,))(latents), decoder(latents)) < 1e-5


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_doubling_at_the_small_size_is_one_graph(form: SubpixelForm, way: Way) -> None:
    layer = SubpixelUpsample(filled(nn.Conv2d(6, 10, 3, padding=1)), form)
    hidden = noise(2, 6, 5, 7)
    assert far(way(layer, (hidden,))(hidden), layer(hidden)) < 1e-5
