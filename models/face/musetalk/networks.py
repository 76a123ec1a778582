"""MuseTalk's networks, built by diffusers and transformers, with their exact shapes.

    latents [B, 8, 32, 32] ─► MouthNetwork ─► [B, 4, 32, 32] ─► SdDecoder or TinyDecoder ─► RGB [B, 3, 256, 256]
    windows [B, 50, 384]  ──►

There is a full size, whose figures are those of musetalk.json, of Stable Diffusion 1's autoencoder, of TAESD and of
Whisper tiny, and a tiny size of the same topology (the same names of weights, too) for tests on a CPU. MuseTalk 1.0
and 1.5 differ in their weights only. Source: github.com/TMElyralab/MuseTalk, arXiv 2410.10122.
"""

import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from models.face.musetalk.config import DecoderName, MuseTalkConfig, Size
from models.face.musetalk.latents import SD_SCALE, LatentEncoder
from models.face.musetalk.random_weights import fill_randomly, fill_taesd_randomly, sinusoids
from models.face.musetalk.rewrites import fold_input_scale, fold_timestep, fuse_projections

NetworkType = TypeVar("NetworkType", bound=nn.Module)

WINDOW_TOKENS = 50
"""Ten Whisper positions of 20 ms around a frame, five layers of each."""
WINDOW_CHANNELS = 384

UNET: dict[Size, dict[str, Any]] = {
    "full": {"block_out_channels": (320, 640, 1280, 1280), "norm_num_groups": 32, "attention_head_dim": 8},
    "tiny": {"block_out_channels": (32, 48, 64, 64), "norm_num_groups": 8, "attention_head_dim": 4},
}
UNET_COMMON: dict[str, Any] = {
    "sample_size": 64,
    "in_channels": 8,
    "out_channels": 4,
    "cross_attention_dim": WINDOW_CHANNELS,
    "layers_per_block": 2,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "act_fn": "silu",
    "center_input_sample": False,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-5,
}
VAE: dict[Size, dict[str, Any]] = {
    "full": {"block_out_channels": (128, 256, 512, 512), "norm_num_groups": 32},
    "tiny": {"block_out_channels": (16, 24, 32, 32), "norm_num_groups": 8},
}
VAE_COMMON: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "act_fn": "silu",
    "sample_size": 256,
    "scaling_factor": SD_SCALE,
}
TAESD_CHANNELS: dict[Size, int] = {"full": 64, "tiny": 8}
WHISPER_FFN: dict[Size, int] = {"full": 1536, "tiny": 64}


class MouthNetwork(nn.Module):
    """What moves the mouth: MuseTalk's UNet at time step 0, which it is always asked at.

    Takes the layers of `unet`, which cannot be used by itself afterwards. `pos_enc` adds a sinusoidal position to each
    token of a window, as the published inference code does (its training code does not).
    """

    def __init__(self, unet: UNet2DConditionModel, *, pos_enc: bool = True) -> None:
        super().__init__()
        fold_timestep(unet)
        self.conv_in = unet.conv_in
        self.down_blocks = unet.down_blocks
        self.mid_block = unet.mid_block
        self.up_blocks = unet.up_blocks
        self.conv_norm_out = unet.conv_norm_out
        self.conv_act = unet.conv_act
        self.conv_out = unet.conv_out
        weight = unet.conv_in.weight
        positions = sinusoidal_positions(WINDOW_TOKENS, WINDOW_CHANNELS).to(weight.device, weight.dtype)
        self.register_buffer("positions", positions[None] if pos_enc else None, persistent=False)

    def forward(self, latents: Tensor, windows: Tensor) -> Tensor:
        """Latents [B, 4, 32, 32] of the face that says `windows` [B, 50, 384].

        `latents` [B, 8, 32, 32] are those of the face without its lower half, then those of the whole face.
        """
        tokens = windows if self.positions is None else windows + self.positions
        hidden = self.conv_in(latents)
        kept: tuple[Tensor, ...] = (hidden,)
        for block in self.down_blocks:
            hidden, more = block(hidden, **_heard_by(block, tokens))
            kept += more
        hidden = self.mid_block(hidden, encoder_hidden_states=tokens)
        for block in self.up_blocks:
            count = len(block.resnets)
            hidden = block(hidden, res_hidden_states_tuple=kept[-count:], **_heard_by(block, tokens))
            kept = kept[:-count]
        return self.conv_out(self.conv_act(self.conv_norm_out(hidden)))


class SdDecoder(nn.Module):
    """Stable Diffusion's decoder: sharp, and three quarters of the arithmetic. Takes the layers of `vae`."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.post_quant_conv = vae.post_quant_conv
        fold_input_scale(self.post_quant_conv, 1 / SD_SCALE)
        self.decoder = vae.decoder

    def forward(self, latents: Tensor) -> Tensor:
        """RGB [B, 3, 256, 256], nominally in [-1, 1], of scaled latents [B, 4, 32, 32]."""
        return self.decoder(self.post_quant_conv(latents))


class TinyDecoder(nn.Module):
    """TAESD's decoder: several times faster and a little softer. It takes scaled latents as they are."""

    def __init__(self, vae: AutoencoderTiny) -> None:
        super().__init__()
        self.decoder = vae.decoder

    def forward(self, latents: Tensor) -> Tensor:
        """RGB [B, 3, 256, 256], nominally in [-1, 1], of scaled latents [B, 4, 32, 32]."""
        return self.decoder(latents)


@dataclass(slots=True)
class Networks:
    """Everything that one face engine runs, on one device and in one type.

    `encoder` only makes avatars and may be left out.
    """

    mouth: MouthNetwork
    decoder: SdDecoder | TinyDecoder
    audio: WhisperEncoder
    encoder: LatentEncoder | None = None
    config: MuseTalkConfig = field(default_factory=MuseTalkConfig)

    @property
    def device(self) -> torch.device:
        return self.mouth.conv_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.mouth.conv_in.weight.dtype


def build_unet(size: Size = "full") -> UNet2DConditionModel:
    """MuseTalk's UNet without memory for its weights (on the meta device), as all that this module builds."""
    with torch.device("meta"):
        return UNet2DConditionModel(**UNET_COMMON, **UNET[size]).eval().requires_grad_(False)


def build_vae(size: Size = "full") -> AutoencoderKL:
    """The autoencoder of Stable Diffusion 1."""
    with torch.device("meta"):
        return AutoencoderKL(**VAE_COMMON, **VAE[size]).eval().requires_grad_(False)


def build_taesd(size: Size = "full") -> AutoencoderTiny:
    """TAESD, in the layout of diffusers."""
    channels = (TAESD_CHANNELS[size],) * 4
    with torch.device("meta"):
        vae = AutoencoderTiny(encoder_block_out_channels=channels, decoder_block_out_channels=channels)
    return vae.eval().requires_grad_(False)


def build_whisper(size: Size = "full") -> WhisperEncoder:
    """The encoder of Whisper tiny: 80 mel bands, 1,500 positions, 384 channels, 4 layers."""
    config = WhisperConfig(
        num_mel_bins=80,
        d_model=WINDOW_CHANNELS,
        encoder_layers=4,
        encoder_attention_heads=6,
        encoder_ffn_dim=WHISPER_FFN[size],
        max_source_positions=1500,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
    )
    with torch.device("meta"):
        return WhisperEncoder(config).eval().requires_grad_(False)


def assemble(
    unet: UNet2DConditionModel,
    decoder: AutoencoderKL | AutoencoderTiny,
    whisper: WhisperEncoder,
    encoder: LatentEncoder | None,
    config: MuseTalkConfig,
) -> Networks:
    """Networks from layers that have their weights; they are rewritten for speed and cannot be used otherwise then."""
    mouth = laid_out(MouthNetwork(unet, pos_enc=config.pos_enc))
    picture = laid_out(SdDecoder(decoder) if isinstance(decoder, AutoencoderKL) else TinyDecoder(decoder))
    return Networks(mouth, picture, whisper.eval(), None if encoder is None else laid_out(encoder), config)


def laid_out(network: NetworkType) -> NetworkType:
    """`network` for inference, its projections fused and its weights where tensor cores like them (channels last)."""
    fuse_projections(network)
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def random_networks(
    *,
    size: Size = "full",
    decoder: DecoderName = "sd",
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    pos_enc: bool = True,
) -> Networks:
    """Networks with random weights, made where they are used: for tests, and for speed, which knows no content.

    The full UNet takes 3.4 GB in float32.
    """
    generator = torch.Generator(device).manual_seed(seed)
    unet, vae, whisper = build_unet(size), build_vae(size), build_whisper(size)
    for network in (unet, vae, whisper):
        fill_randomly(_allocate(network, device, dtype), generator)
    positions = whisper.embed_positions.weight
    positions.copy_(sinusoids(*positions.shape))
    picture = vae
    if decoder == "taesd":
        picture = build_taesd(size)
        picture.encoder = None
        fill_taesd_randomly(_allocate(picture, device, dtype), generator)
    return assemble(unet, picture, whisper, LatentEncoder(vae), MuseTalkConfig(decoder=decoder, pos_enc=pos_enc))


def sinusoidal_positions(count: int, channels: int) -> Tensor:
    """Positions [count, channels] of arXiv 1706.03762, section 3.5: sines in even columns, cosines in odd ones."""
    rates = torch.exp(torch.arange(0, channels, 2) * (-math.log(10_000.0) / channels))
    angles = torch.arange(count)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)


def _allocate(network: nn.Module, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    """Memory for the weights of a network of the meta device; what is in it is left to the caller."""
    return nn.Module.to(network, dtype=dtype).to_empty(device=device)  # diffusers' own `to` logs a warning about types


def _heard_by(block: nn.Module, tokens: Tensor) -> dict[str, Tensor]:
    """Only the blocks with attention listen."""
    return {"encoder_hidden_states": tokens} if hasattr(block, "attentions") else {}
