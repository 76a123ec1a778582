"""Turns the published weights into float16 safetensors: once, strictly, without ever running what a pickle holds.

    musetalk-1.5/unet.pth ────────── 686 names ─────────────► unet.safetensors
    sd-vae-ft-mse/….safetensors ──── old names renamed ─────► vae.safetensors      ─► manifest.json ─► renamed to
    taesd/….safetensors ──────────── the decoder's ─────────► taesd.safetensors                        its place
    whisper-tiny/model.safetensors ─ the encoder's ─────────► whisper.safetensors

It reads 3.8 GB in about half a minute, writes 1.9 GB, and takes 2 GB of memory besides the files that it maps.
"""

import json
import os
import pickle
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.errors import WeightsCorrupt, WeightsError, WeightsMissing
from models.face.musetalk.config import Size, Version
from models.face.musetalk.manifest import (
    MANIFEST_NAME,
    TAESD_FILE,
    UNET_FILE,
    VAE_FILE,
    WHISPER_FILE,
    ConvertedFile,
    Manifest,
    converted_directory,
    model_name,
    sha256_of,
)
from models.face.musetalk.networks import (
    UNET,
    UNET_COMMON,
    VAE,
    VAE_COMMON,
    build_taesd,
    build_unet,
    build_vae,
    build_whisper,
)
from models.weights import Catalog, fetch, locate
from models.weights.exclusive import exclusive
from models.weights.progress import View, megabytes, view_for
from models.weights.store import Store

SHARED_MODELS = ("sd-vae-ft-mse", "taesd", "whisper-tiny")
"""What both versions need besides their own network."""
UNET_SOURCES: dict[Version, str] = {"1.5": "unet.pth", "1.0": "pytorch_model.bin"}
PACKAGES = ("torch", "diffusers", "transformers", "safetensors")
WORKING = ".converting-"
SPARE_BYTES = 200_000_000

OLD_VAE_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""What diffusers called the projections of the middle blocks' attention before its version 0.17."""
NOT_ARCHITECTURE = {"sample_size", "scaling_factor"}

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class _Part:
    """One file to write, and where from."""

    name: str
    model: str
    file: str
    network: nn.Module
    """Without memory: for the names and shapes that must be there, all of them and no others."""
    choose: Callable[[Tensors], Tensors]
    config_file: str = ""
    config: dict[str, Any] | None = None


def sources_of(version: Version) -> tuple[str, ...]:
    """Models of the catalog that are converted."""
    return (model_name(version), *SHARED_MODELS)


def convert(
    version: Version,
    weights_dir: Path,
    *,
    fetch_first: bool = False,
    catalog: Catalog | None = None,
    size: Size = "full",
    view: View | None = None,
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> Path:
    """The directory of the converted weights; whole ones that are there already stay as they are.

    `fetch_first` brings what is missing. Only one process works in a directory of weights at a time. Raises
    WeightsMissing when the published weights or room for the new ones are not there, WeightsCorrupt when a file is
    not what it should be; a conversion that fails leaves nothing behind, and what was there before.
    """
    view = view or view_for(Console(stderr=True))
    target = converted_directory(weights_dir, version)
    if is_converted(version, weights_dir):
        view.say(f"MuseTalk {version} is converted already: {target}.")
        return target
    catalog = catalog or Catalog.read()
    if fetch_first:
        fetch(sources_of(version), weights_dir, catalog=catalog)
    sources = _locate(version, weights_dir, catalog)
    try:
        with exclusive(
            weights_dir / ".lock", on_wait=lambda: view.say("Another process works on these weights; waiting for it.")
        ):
            if is_converted(version, weights_dir):
                return target
            for leftover in weights_dir.glob(f"{WORKING}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            _require_room(sources, weights_dir, free_bytes)
            for model in sources:
                entry = catalog.models[model]
                view.say(f"{model}: licence {entry.licence}.{' ' + entry.note if entry.note else ''}")
            with tempfile.TemporaryDirectory(prefix=WORKING, dir=weights_dir) as folder, view:
                made = Path(folder) / target.name
                made.mkdir()
                _convert(_parts(version, size), sources, made, view)
                _describe(version, size, sources, Store(weights_dir, catalog), made)
                _put(made, target)
    except OSError as error:
        raise WeightsMissing(f"{weights_dir} cannot be written to ({error.strerror or error}).") from None
    published = sources[model_name(version)] / UNET_SOURCES[version]
    view.say(f"MuseTalk {version} is converted: {target}; {published} is not read any more and may be deleted.")
    return target


def is_converted(version: Version, weights_dir: Path) -> bool:
    """Whether a whole conversion is there; reads and hashes it, some seconds for the full size."""
    directory = converted_directory(weights_dir, version)
    try:
        manifest = Manifest.read(directory, version)
        for name in manifest.files:
            manifest.check(directory, name)
    except WeightsError:
        return False
    return True


def _locate(version: Version, weights_dir: Path, catalog: Catalog) -> dict[str, Path]:
    """Where the fetched models lie, in the official layout of each."""
    found, missing = {}, []
    for model in sources_of(version):
        try:
            found[model] = locate(model, weights_dir, catalog=catalog)
        except WeightsMissing:
            missing.append(model)
    if missing:
        raise WeightsMissing(
            f"The weights of {', '.join(missing)} are not here, or not complete; "
            f"run `python -m models convert --fetch {model_name(version)}`."
        )
    return found


def _require_room(sources: dict[str, Path], weights_dir: Path, free_bytes: Callable[[Path], int]) -> None:
    """Half of what is read is written, at most."""
    needed = sum(_size(directory) for directory in sources.values()) // 2 + SPARE_BYTES
    free = free_bytes(weights_dir)
    if free < needed:
        raise WeightsMissing(
            f"The disk that holds {weights_dir} has {megabytes(free)} free, but {megabytes(needed)} are needed; "
            "make room, or choose another place with UNDERSTUDY_WEIGHTS__DIR."
        )


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir() if file.is_file())


def _parts(version: Version, size: Size) -> Iterator[_Part]:
    yield _Part(
        UNET_FILE,
        model_name(version),
        UNET_SOURCES[version],
        build_unet(size),
        lambda tensors: tensors,
        "musetalk.json",
        UNET_COMMON | UNET[size],
    )
    yield _Part(
        VAE_FILE,
        "sd-vae-ft-mse",
        "diffusion_pytorch_model.safetensors",
        build_vae(size),
        _with_new_names,
        "config.json",
        VAE_COMMON | VAE[size],
    )
    taesd = build_taesd(size)
    taesd.encoder = None
    yield _Part(
        TAESD_FILE, "taesd", "diffusion_pytorch_model.safetensors", taesd, lambda tensors: _below("decoder.", tensors)
    )
    whisper = build_whisper(size)
    heard = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins")
    yield _Part(
        WHISPER_FILE,
        "whisper-tiny",
        "model.safetensors",
        whisper,
        lambda tensors: _without("model.encoder.", tensors),
        "config.json",
        {name: getattr(whisper.config, name) for name in heard},
    )


def _convert(parts: Iterator[_Part], sources: dict[str, Path], target: Path, view: View) -> None:
    for part in parts:
        path = sources[part.model] / part.file
        if part.config is not None:
            _require_config(sources[part.model] / part.config_file, part.config)
        tensors = part.choose(read_tensors(path))
        _require_same(tensors, part.network.state_dict(), path)
        total = sum(tensor.nbytes for tensor in tensors.values())
        done = 0
        halves = {}
        for name, tensor in tensors.items():
            halves[name] = _half(tensor, name, path)
            done += tensor.nbytes
            view.update(part.model, done, total)
        save_file(halves, target / part.name)


def read_tensors(path: Path) -> Tensors:
    """Named tensors of a safetensors file or of a pickle, which is never allowed to run anything.

    Raises WeightsCorrupt when it wants to, or when the file is damaged.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings(action="ignore"):  # about pickles that it is not sure to read; we refuse those
            # Only files of the zip format, which PyTorch writes since 1.6, can be mapped instead of read whole.
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError:
        raise WeightsCorrupt(
            f"{path} wants to run something when it is opened and was refused; delete it and fetch it again."
        ) from None
    except (SafetensorError, RuntimeError, ValueError, KeyError, EOFError, OSError):
        raise WeightsCorrupt(f"{path} is damaged; delete it and fetch it again.") from None
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise WeightsCorrupt(f"{path} does not hold the weights of one network; delete it and fetch it again.")
    return dict(held)


def _require_config(path: Path, expected: dict[str, Any]) -> None:
    """Refuse weights whose description names another network than ours."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        ours = json.loads(json.dumps(expected))
        other = [name for name in ours.keys() & found.keys() - NOT_ARCHITECTURE if found[name] != ours[name]]
    except (OSError, ValueError, AttributeError):
        raise WeightsCorrupt(f"{path} cannot be read; delete it and fetch it again.") from None
    if other:
        raise WeightsCorrupt(
            f"{path} describes another network than the one that this program has "
            f"({', '.join(sorted(other))}); fetch the weights that the catalog names."
        )


def _require_same(found: Tensors, expected: Tensors, path: Path) -> None:
    """Every name with its shape, and no other."""
    wrong = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of another shape": sorted(
            name for name in expected.keys() & found.keys() if found[name].shape != expected[name].shape
        ),
    }
    told = [f"{len(names)} {how}, such as {names[0]}" for how, names in wrong.items() if names]
    if told:
        raise WeightsCorrupt(
            f"{path} is not the network that it should be: of {len(expected)} weights {'; '.join(told)}; "
            "delete it and fetch it again."
        )


def _half(tensor: Tensor, name: str, path: Path) -> Tensor:
    half = tensor.to(torch.float16).contiguous()
    if not torch.isfinite(half).all():
        raise WeightsCorrupt(f"{name} in {path} does not fit into half precision; delete it and fetch it again.")
    return half


def _with_new_names(tensors: Tensors) -> Tensors:
    """Weights of a Stable Diffusion autoencoder by the names that diffusers uses now."""
    renamed = {}
    for name, tensor in tensors.items():
        words = name.split(".")
        if "attentions" in words:
            words = [OLD_VAE_NAMES.get(word, word) for word in words]
        renamed[".".join(words)] = tensor
    return renamed


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _without(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in _below(prefix, tensors).items()}


def _describe(version: Version, size: Size, sources: dict[str, Path], store: Store, target: Path) -> None:
    """Write the manifest."""
    made = sorted(target.iterdir())
    Manifest(
        model=model_name(version),
        size=size,
        files={path.name: ConvertedFile(sha256_of(path), path.stat().st_size) for path in made},
        sources={
            f"{model}/{file.name}": store.expected_sha256(model, file) or sha256_of(directory / file.name)
            for model, directory in sources.items()
            for file in store.catalog.models[model].files
        },
        licences={model: store.catalog.models[model].licence for model in sources},
        versions={package: package_version(package) for package in PACKAGES},
    ).write(target)
    for path in made:
        shutil.copymode(target / MANIFEST_NAME, path)  # safetensors lets only their owner read them


def _put(made: Path, target: Path) -> None:
    """Move a finished directory to its place; what was there goes with the temporary directory."""
    before = made.parent / "before"
    if target.exists():
        os.replace(target, before)
    try:
        os.replace(made, target)
    except OSError:
        if before.exists():
            os.replace(before, target)
        raise
