"""The encoder that prepares avatars: on which device it runs, and the name of its weights."""

import os
from pathlib import Path
from typing import Literal

import torch

from models.errors import AvatarError
from models.face.musetalk.config import Version
from models.face.musetalk.latents import LatentEncoder
from models.face.musetalk.manifest import VAE_FILE, Manifest, converted_directory
from models.face.musetalk.weights import load_encoder

Device = Literal["auto", "cuda", "cpu"]
_HASH_LETTERS = 16


def encoder_name(weights_dir: Path, version: Version) -> str:
    """Equal for equal weights: what stands in a pack and is compared when it is used. Raises WeightsMissing."""
    manifest = Manifest.read(converted_directory(weights_dir, version), version)
    return f"sd-vae {manifest.files[VAE_FILE].sha256[:_HASH_LETTERS]}"


def create_encoder(weights_dir: Path, version: Version, device: Device) -> LatentEncoder:
    """The encoder on `device`; auto takes a GPU where there is one.

    Raises AvatarError when there is none, WeightsMissing and WeightsCorrupt.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise AvatarError("No NVIDIA GPU can be used here; prepare with --device cpu, which takes longer.")
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return load_encoder(weights_dir, version=version, device="cuda", dtype=torch.float16)
    torch.set_num_threads(os.cpu_count() or 1)
    return load_encoder(weights_dir, version=version, device="cpu", dtype=torch.float32)


def device_of(encoder: LatentEncoder) -> str:
    """ "cuda" or "cpu"."""
    return str(encoder.quant_conv.weight.device.type)
