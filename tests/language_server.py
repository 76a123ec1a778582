"""llama-cpp-python's real server with the small test model, started as `python -m models.llm serve` starts it."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from models.llm.gguf import model_file
from models.llm.serve import ServerCommand
from models.llm.server import Server, served_models
from models.settings import WeightsSettings

KEY = SecretStr("open-sesame-to-tests")
MODEL = "smollm2-135m-instruct"
START_S = 60.0


def small_model() -> Path:
    return model_file(MODEL, WeightsSettings().dir)


@dataclass(frozen=True, slots=True)
class RunningServer(Server):
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)


@contextmanager
def language_server(
    model: Path | None = None,
    *,
    alias: str = MODEL,
    context_tokens: int = 512,
    threads: int = 2,
    port: int | None = None,
    lora: Path | None = None,
) -> Iterator[RunningServer]:
    """A server that is ready; it has ended when this is left."""
    port = port or free_port()
    command = ServerCommand(
        model or small_model(), alias=alias, port=port, context_tokens=context_tokens, threads=threads, lora=lora
    )
    process = subprocess.Popen(
        command.arguments(), env=command.environment(KEY), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = RunningServer(f"http://127.0.0.1:{port}/v1", KEY, process)
    try:
        served_models(server, wait_s=START_S, timeout_s=5.0)
        yield server
    finally:
        server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
