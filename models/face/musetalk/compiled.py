"""Networks compiled for one batch size, in a process of their own, and kept for every later start.

    python -m models.face.musetalk.compiled mouth 4 OUT.pt2
        random weights ─► torch.export ─► AOTInductor ─► package without weights
    load ─► package + the weights that are on the device already ─► same result as the plain network? ─► Network

Compiling takes a minute for each network and batch size and most of a processor core, which a process with a call to
carry cannot spare. Loading takes a few milliseconds.
"""

import argparse
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from models.face.avatar.pack import LATENT_SHAPE
from models.face.musetalk import networks, rewrites
from models.face.musetalk.config import DecoderName, Size
from models.face.musetalk.networks import Networks, random_networks
from models.face.musetalk.steps import WINDOW_SHAPE, Network, Pair

logger = logging.getLogger(__name__)

NetworkName = Literal["mouth", "sd", "taesd"]

COMPILE_TIMEOUT_S = 1_800
MOST_DIFFERENCE = 0.02
"""Norm of the difference to the plain network over the norm of its result: ten times what fp16 rounding makes."""


class CompiledNetworks:
    """The packages of one kind of device, library and source; what was made by others is not seen."""

    def __init__(self, directory: Path, device: torch.device, *, size: Size = "full") -> None:
        self._directory = directory.resolve() / _fingerprint(device, size)
        self._device = device
        self._size = size

    def path(self, name: NetworkName, batch: int) -> Path:
        return self._directory / f"{name}-{batch}.pt2"

    def has(self, decoder: DecoderName, batch: int) -> bool:
        """Whether both networks of a picture are there for `batch`."""
        return self.path("mouth", batch).is_file() and self.path(decoder, batch).is_file()

    def pair(self, plain: Networks, batch: int) -> Pair | None:
        """The compiled mouth network and decoder with the weights of `plain`, or None when they cannot be used."""
        decoder = plain.config.decoder
        if not self.has(decoder, batch):
            return None
        latents, windows = _mouth_inputs(batch, self._device, plain.mouth.conv_in.weight.dtype)
        mouth = self._load("mouth", batch, plain.mouth, latents, windows)
        picture = self._load(decoder, batch, plain.decoder, latents[:, :4].contiguous())
        return None if mouth is None or picture is None else (mouth, picture)

    def build(self, name: NetworkName, batch: int) -> bool:
        """Compile in a process of its own, with low priority; false when that failed, which is logged."""
        self._directory.mkdir(parents=True, exist_ok=True)
        target = self.path(name, batch)
        command = [sys.executable, "-m", __name__, name, str(batch), str(target), "--size", self._size]
        command += ["--device", str(self._device)]
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(self._directory / "inductor")}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, errors="replace", timeout=COMPILE_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            logger.warning("face_compile_timeout", extra={"network": name, "batch": batch})
            return False
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            logger.warning("face_compile_failed", extra={"network": name, "batch": batch, "reason": last})
        return done.returncode == 0 and target.is_file()

    def _load(self, name: NetworkName, batch: int, plain: nn.Module, *inputs: Tensor) -> Network | None:
        try:
            loaded = _load_package(self.path(name, batch), plain, self._device)
            difference = _difference(loaded(*inputs), plain(*inputs))
        except Exception as error:
            logger.warning("face_compiled_unusable", extra={"network": name, "batch": batch, "reason": str(error)})
            return None
        if not difference <= MOST_DIFFERENCE:
            logger.warning("face_compiled_differs", extra={"network": name, "batch": batch, "difference": difference})
            return None
        return loaded


class BackgroundCompiler:
    """Compiles what is missing, one process at a time, and tells when a batch size is complete. Owns its thread."""

    def __init__(
        self,
        store: CompiledNetworks,
        decoder: DecoderName,
        batches: Sequence[int],
        *,
        ready: Callable[[int], None],
    ) -> None:
        self._store, self._decoder, self._ready = store, decoder, ready
        self._batches = [batch for batch in batches if not store.has(decoder, batch)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="face-compile", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new; what is being compiled is kept for the next start."""
        self._stopped.set()

    def _work(self) -> None:
        names: tuple[NetworkName, ...] = ("mouth", self._decoder)
        for batch in self._batches:
            for name in names:
                if self._stopped.is_set():
                    return
                if not self._store.path(name, batch).is_file() and not self._store.build(name, batch):
                    return
            self._ready(batch)


def _fingerprint(device: torch.device, size: Size) -> str:
    """Names everything that a package depends on."""
    import diffusers

    parts: list[str] = [torch.__version__, diffusers.__version__, size]
    if device.type == "cuda":
        parts += [torch.cuda.get_device_name(device), str(torch.cuda.get_device_capability(device))]
    else:
        parts += [device.type]
    for module in (networks, rewrites):
        parts.append(hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _load_package(path: Path, plain: nn.Module, device: torch.device) -> Network:
    index = device.index or 0 if device.type == "cuda" else -1
    package: Any = torch._inductor.aoti_load_package(str(path), run_single_threaded=True, device_index=index)
    weights = {**dict(plain.named_parameters()), **dict(plain.named_buffers())}
    wanted = package.get_constant_fqns()
    package.load_constants({name: weights[name] for name in wanted}, check_full_update=True, user_managed=True)

    def network(*inputs: Tensor) -> Tensor:
        result: Tensor = package(*inputs)
        return result

    return network


def _difference(result: Tensor, expected: Tensor) -> float:
    return float((result.float() - expected.float()).norm() / expected.float().norm())


def _mouth_inputs(batch: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator(device).manual_seed(0)
    shapes = ((batch, *LATENT_SHAPE), (batch, *WINDOW_SHAPE))
    latents, windows = (torch.randn(shape, generator=generator, device=device, dtype=dtype) for shape in shapes)
    return latents, windows


def _compile(name: NetworkName, batch: int, target: Path, *, size: Size, device: torch.device) -> None:
    decoder: DecoderName = "taesd" if name == "taesd" else "sd"
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    made = random_networks(size=size, decoder=decoder, device=device, dtype=dtype)
    latents, windows = _mouth_inputs(batch, device, dtype)
    network, inputs = (
        (made.mouth, (latents, windows)) if name == "mouth" else (made.decoder, (latents[:, :4].contiguous(),))
    )
    with torch.no_grad():
        program = torch.export.export(network, inputs)
    part = target.with_suffix(f".{os.getpid()}.pt2")
    options = {"aot_inductor.package_constants_in_so": False}
    torch._inductor.aoti_compile_and_package(program, package_path=str(part), inductor_configs=options)
    part.replace(target)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.face.musetalk.compiled", description="Compile one network.")
    parser.add_argument("network", choices=("mouth", "sd", "taesd"))
    parser.add_argument("batch", type=int)
    parser.add_argument("target", type=Path)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    options = parser.parse_args(arguments)
    if hasattr(os, "nice"):
        os.nice(10)
    _compile(options.network, options.batch, options.target, size=options.size, device=options.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
