"""Loads converted weights: `python -m models convert` made them (conversion.py), nothing else is ever read here.

manifest ─► sha256 of each file ─► safetensors ─► strict names ─► exact rewrites ─► device, type, channels last
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from models.errors import WeightsCorrupt
from models.face.musetalk.config import DecoderName, Edge, MuseTalkConfig, Version
from models.face.musetalk.latents import LatentEncoder
from models.face.musetalk.manifest import (
    TAESD_FILE,
    UNET_FILE,
    VAE_FILE,
    WHISPER_FILE,
    Manifest,
    converted_directory,
)
from models.face.musetalk.networks import (
    Networks,
    assemble,
    build_taesd,
    build_unet,
    build_vae,
    build_whisper,
    laid_out,
)


def load_networks(
    weights_dir: Path,
    *,
    version: Version = "1.5",
    decoder: DecoderName = "sd",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    pos_enc: bool = True,
    final_layer_norm: bool = True,
    edge: Edge = "zero",
) -> Networks:
    """What draws mouths, ready to run; without the encoder. See MuseTalkConfig for the choices.

    `weights_dir` is where all weights lie. float16 on a GPU, float32 on a CPU. Raises WeightsMissing when nothing was
    converted, WeightsCorrupt when a file is not what its manifest says.
    """
    config = MuseTalkConfig(version, decoder, pos_enc, final_layer_norm, edge)
    stored = _Stored(weights_dir, version, device, dtype)
    unet, whisper = build_unet(stored.size), build_whisper(stored.size)
    stored.load(unet, UNET_FILE)
    stored.load(whisper, WHISPER_FILE)
    if decoder == "sd":
        picture = build_vae(stored.size)
        picture.encoder = picture.quant_conv = None
        stored.load(picture, VAE_FILE)
    else:
        picture = build_taesd(stored.size)
        picture.encoder = None
        stored.load(picture, TAESD_FILE)
    return assemble(unet, picture, whisper, None, config)


def load_encoder(
    weights_dir: Path,
    *,
    version: Version = "1.5",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LatentEncoder:
    """What makes an avatar's latents, of 68 MB in float16; both versions have the same. Raises as `load_networks`."""
    stored = _Stored(weights_dir, version, device, dtype)
    vae = build_vae(stored.size)
    vae.decoder = vae.post_quant_conv = None
    stored.load(vae, VAE_FILE)
    encoder = LatentEncoder(vae)
    return laid_out(encoder)


class _Stored:
    """The converted files of one version."""

    def __init__(self, weights_dir: Path, version: Version, device: torch.device | str, dtype: torch.dtype) -> None:
        self._directory = converted_directory(weights_dir, version)
        self._manifest = Manifest.read(self._directory, version)
        self._device = torch.device(device)
        self._dtype = dtype
        self.size = self._manifest.size

    def load(self, network: nn.Module, name: str) -> None:
        """Give `network`, of the meta device, the weights that it has names for; it must find every one."""
        path = self._manifest.check(self._directory, name)
        wanted = network.state_dict()
        try:
            with safe_open(path, framework="pt", device=str(self._device)) as file:
                tensors = {key: file.get_tensor(key).to(self._dtype) for key in wanted}
            network.load_state_dict(tensors, strict=True, assign=True)
        except (SafetensorError, RuntimeError) as error:
            raise WeightsCorrupt(
                f"{name} in {self._directory} does not fit this program ({str(error).splitlines()[0]}); "
                f"run `python -m models convert --fetch {self._manifest.model}`."
            ) from None
