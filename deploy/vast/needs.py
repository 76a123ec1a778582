"""What the chosen services need of a machine: memory of the GPU, and bytes to fetch before it can start."""

from collections.abc import Iterable
from dataclasses import dataclass

from models.weights.catalog import Catalog
from peer_remote.services.needs import MUSETALK_SD_GIB, S1_MINI_LONG_REFERENCE_GIB

GIB = 2**30
GB = 10**9

LANGUAGE_MODEL = "mamaylm-gemma-2-9b-it-v0.1"
WEIGHTS = {
    "voice": ("openaudio-s1-mini",),
    "face": ("musetalk-1.5", "sd-vae-ft-mse", "whisper-tiny", "taesd"),
}
VRAM_GIB = {"voice": S1_MINI_LONG_REFERENCE_GIB, "face": MUSETALK_SD_GIB}
BESIDE_WEIGHTS_GIB = 3.7
"""What a language model takes beside its weights: MamayLM 9B, 5.4 GiB, took 9.1 GiB with a context of 8,192 tokens."""
RESERVE = 1.08
"""A driver, a fragmented allocator and a picture on the way need room, too."""

SYSTEM_GB = 0.5
"""Packages of the system."""
PYTHON_GB = {"language": 0.6, "voice": 3.5, "face": 3.5}
"""Each one's Python packages; PyTorch for CUDA is most of it."""
ALWAYS_GB = 0.6
"""The product's own packages."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one machine."""

    vram_gib: float
    fetch_gb: float
    """Packages and weights, in 10**9 bytes, without the image."""
    compiles: bool
    """Whether the language model's server is built and networks are compiled there."""


def needs_of(services: Iterable[str], *, language_model: str = LANGUAGE_MODEL, vram_gib: float | None = None) -> Needs:
    """What `services` need; `vram_gib` takes the place of what they are known to use. Raises WeightsError."""
    catalog = Catalog.read()
    chosen = tuple(services)
    memory_gib = 0.0
    fetch_gb = SYSTEM_GB + ALWAYS_GB
    for service in chosen:
        weights = (language_model,) if service == "language" else WEIGHTS[service]
        weight_bytes = sum(catalog.model(name).expected_bytes for name in weights)
        fetch_gb += weight_bytes / GB + PYTHON_GB[service]
        memory_gib += weight_bytes / GIB + BESIDE_WEIGHTS_GIB if service == "language" else VRAM_GIB[service]
    return Needs(vram_gib or round(memory_gib * RESERVE, 1), round(fetch_gb, 1), bool(chosen))
