import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.face.musetalk import compiled
from models.face.musetalk.compiled import BackgroundCompiler, CompiledNetworks, NetworkName
from models.face.musetalk.steps import Network

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CompiledNetworks:
    """A store whose environment is undone, and whose compiling does nothing."""
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(compiled, "_run", lambda command, stopped: None)
    return CompiledNetworks(tmp_path, CPU, size="tiny")


class Doubling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0), requires_grad=False)

    def forward(self, latents: Tensor) -> Tensor:
        return latents * self.factor


def test_what_was_built_once_is_known_to_the_next_start_and_to_no_other_size(
    store: CompiledNetworks, tmp_path: Path
) -> None:
    assert not store.has("mouth", 2)
    assert store.build("mouth", 2)
    assert CompiledNetworks(tmp_path, CPU, size="tiny").has("mouth", 2)
    assert not CompiledNetworks(tmp_path, CPU).has("mouth", 2)
    assert not store.has("mouth", 4)


def test_a_network_that_computes_something_else_is_not_used(
    store: CompiledNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_compiled", lambda network: lambda latents: 2.1 * latents)
    assert store.load("sd", 1, Doubling()) is None
    monkeypatch.setattr(compiled, "_compiled", lambda network: lambda latents: 0 * latents / 0)
    assert store.load("sd", 1, Doubling()) is None
    monkeypatch.setattr(compiled, "_compiled", lambda network: network)
    assert store.load("sd", 1, Doubling()) is not None


def test_a_network_that_cannot_be_compiled_leaves_the_plain_one(
    store: CompiledNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(network: nn.Module) -> Network:
        raise RuntimeError("no compiler\nsecond line")

    monkeypatch.setattr(compiled, "_compiled", broken)
    assert store.load("sd", 1, Doubling()) is None


def test_networks_get_faster_one_by_one_and_a_part_that_fails_stops_no_other(
    store: CompiledNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, tuple[NetworkName, ...]]] = []
    done = threading.Event()

    def ready(batch: int, made: Mapping[NetworkName, Network]) -> None:
        told.append((batch, tuple(made)))
        if len(told) == 3:
            done.set()

    def broken(batch: int) -> Network | None:
        if batch == 2:
            raise ValueError("no")
        return Doubling()

    parts = {"kernels": broken, "mouth": lambda batch: Doubling()}
    compiler = BackgroundCompiler(store, parts, (1, 2), ready=ready)  # type: ignore[arg-type]
    assert done.wait(30)
    compiler.stop()
    assert told == [(1, ("kernels",)), (1, ("kernels", "mouth")), (2, ("mouth",))]


def test_stopping_ends_the_process_that_compiles() -> None:
    stopped = threading.Event()
    stopped.set()
    assert compiled._run([sys.executable, "-c", "import time; time.sleep(600)"], stopped) == "stopped"


def test_what_a_process_says_last_is_the_reason() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('first\\nlast words')"]
    assert compiled._run(command, threading.Event()) == "last words"
    assert compiled._run([sys.executable, "-c", ""], threading.Event()) is None
