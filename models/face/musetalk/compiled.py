"""Faster networks for one batch size each, made behind the back of a face that is already speaking.

    a process of its own:  random weights ─► torch.compile, Triton ─► their caches on disk       minutes, once
    a thread of ours:      the real network ─► the same, out of these caches ─► same result? ─► Network

The process does the heavy part, which a program with a call to carry cannot spare; what is left for the thread takes
seconds. Both happen while plain CUDA graphs serve. The caches are kept for every later start.
"""

import argparse
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from models.face.avatar.pack import LATENT_SHAPE
from models.face.musetalk.config import DecoderName, Size
from models.face.musetalk.kernels.choice import fast_decoder
from models.face.musetalk.networks import random_networks
from models.face.musetalk.steps import WINDOW_SHAPE, Network

logger = logging.getLogger(__name__)

Part = Callable[[int], Network | None]
NetworkName = Literal["mouth", "sd", "taesd", "kernels"]
"""`kernels` is the decoder sd by kernels of our own, which are compiled too."""

COMPILE_TIMEOUT_S = 1_800
POLL_S = 0.3
JOIN_TIMEOUT_S = 5.0
MOST_DIFFERENCE = 0.02
"""Norm of the difference to the plain network over the norm of its result: ten times what fp16 rounding makes."""


class CompiledNetworks:
    """The cache of one kind of device, library and source; what others left is not seen."""

    def __init__(self, directory: Path, device: torch.device, *, size: Size = "full") -> None:
        self._directory = directory.resolve() / _fingerprint(device, size)
        self._device = device
        self._size = size
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(self._directory / "inductor")
        os.environ["TRITON_CACHE_DIR"] = str(self._directory / "triton")

    def has(self, name: NetworkName, batch: int) -> bool:
        """Whether the heavy part is done."""
        return self._mark(name, batch).is_file()

    def build(self, name: NetworkName, batch: int, stopped: threading.Event | None = None) -> bool:
        """Do the heavy part in a process of its own, with low priority; false when that failed, which is logged.

        When `stopped` is set, the process is ended and the next start begins this part again.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", __name__, name, str(batch), "--size", self._size]
        command += ["--device", str(self._device)]
        problem = _run(command, stopped or threading.Event())
        if problem is None:
            self._mark(name, batch).touch()
        else:
            logger.warning("face_compile_failed", extra={"network": name, "batch": batch, "reason": problem})
        return problem is None

    def load(self, name: NetworkName, batch: int, plain: nn.Module) -> Network | None:
        """`plain` compiled for batches of `batch`, or None when the result is not usable, which is logged.

        Takes seconds when the heavy part is done. May run beside other threads.
        """
        told = {"network": name, "batch": batch}
        try:
            with torch.no_grad():
                inputs = _inputs(name, batch, self._device, next(plain.parameters()).dtype)
                compiled = _compiled(plain)
                difference = _difference(compiled(*inputs), plain(*inputs))
        except Exception as error:
            logger.warning("face_compiled_unusable", extra={**told, "reason": str(error).partition("\n")[0]})
            return None
        if not difference <= MOST_DIFFERENCE:
            logger.warning("face_compiled_differs", extra={**told, "difference": difference})
            return None
        return compiled

    def _mark(self, name: NetworkName, batch: int) -> Path:
        return self._directory / f"{name}-{batch}.done"


class BackgroundCompiler:
    """Makes faster networks for all `batches` on a thread of its own, one after another, in the order of `parts`.

    A part gives the network for a batch size, in seconds, once its heavy part is done. `ready` is told on that thread
    all that is there for a batch size whenever something is added.
    """

    def __init__(
        self,
        store: CompiledNetworks,
        parts: Mapping[NetworkName, Part],
        batches: Sequence[int],
        *,
        ready: Callable[[int, Mapping[NetworkName, Network]], None],
    ) -> None:
        self._store, self._parts, self._batches, self._ready = store, parts, batches, ready
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="face-compile", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new and end the process; what was done is kept for the next start."""
        self._stopped.set()
        self._thread.join(JOIN_TIMEOUT_S)

    def _work(self) -> None:
        made: dict[int, dict[NetworkName, Network]] = {batch: {} for batch in self._batches}
        for name in self._parts:
            for batch in self._batches:
                network = self._made(name, batch)
                if network is None or self._stopped.is_set():
                    break
                made[batch][name] = network
                self._ready(batch, dict(made[batch]))

    def _made(self, name: NetworkName, batch: int) -> Network | None:
        if not (self._store.has(name, batch) or self._store.build(name, batch, self._stopped)):
            return None
        try:
            return self._parts[name](batch)
        except Exception:
            logger.exception("face_part_failed", extra={"network": name, "batch": batch})
            return None


def _run(command: Sequence[str], stopped: threading.Event) -> str | None:
    """Run a program to its end; what went wrong, or None. Its own processes end with it."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    until_s = time.monotonic() + COMPILE_TIMEOUT_S
    while True:
        try:
            _, said = process.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if not stopped.is_set() and time.monotonic() < until_s:
                continue
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "stopped" if stopped.is_set() else f"not done after {COMPILE_TIMEOUT_S} s"
        return None if process.returncode == 0 else (said.strip().splitlines() or ["no word"])[-1]


def _fingerprint(device: torch.device, size: Size) -> str:
    """Names everything that compiled code depends on."""
    parts = [size, device.type, *(f"{name} {_version(name)}" for name in ("torch", "diffusers", "triton"))]
    if device.type == "cuda":
        parts += [torch.cuda.get_device_name(device), str(torch.cuda.get_device_capability(device))]
    here = Path(__file__).parent
    for source in (here / "networks.py", here / "rewrites.py", *sorted((here / "kernels").glob("*.py"))):
        parts.append(hashlib.sha256(source.read_bytes()).hexdigest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"


def _compiled(network: nn.Module) -> Network:
    # The default mode: others capture graphs of their own, which belong to one thread, or search for many minutes.
    compiled: Network = torch.compile(network, fullgraph=True, dynamic=False)
    return compiled


def _difference(result: Tensor, expected: Tensor) -> float:
    return float((result.float() - expected.float()).norm() / expected.float().norm())


def _inputs(name: NetworkName, batch: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """What the network is given, in the memory layout of steps.Batch."""
    generator = torch.Generator(device).manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator, device=device, dtype=dtype)

    return (random(*LATENT_SHAPE), random(*WINDOW_SHAPE)) if name == "mouth" else (random(4, *LATENT_SHAPE[1:]),)


def main(arguments: Sequence[str] | None = None) -> int:
    """The process of its own."""
    parser = argparse.ArgumentParser(prog="python -m models.face.musetalk.compiled", description="Compile one network.")
    parser.add_argument("network", choices=get_args(NetworkName))
    parser.add_argument("batch", type=int)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    options = parser.parse_args(arguments)
    if hasattr(os, "nice"):
        os.nice(10)
    decoder: DecoderName = "taesd" if options.network == "taesd" else "sd"
    dtype = torch.float16 if options.device.type == "cuda" else torch.float32
    made = random_networks(size=options.size, decoder=decoder, device=options.device, dtype=dtype)
    inputs = _inputs(options.network, options.batch, options.device, dtype)
    with torch.no_grad():
        if options.network == "kernels":
            fast_decoder(made.decoder, inputs[0])[0](*inputs)
        else:
            _compiled(made.mouth if options.network == "mouth" else made.decoder)(*inputs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
