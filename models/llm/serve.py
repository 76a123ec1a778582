"""The command that starts llama-cpp-python's server with a model of the catalog."""

import importlib.util
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from models.errors import EngineUnavailable
from models.servers import is_loopback

DEFAULT_MODEL = "mamaylm-gemma-2-9b-it-v0.1"
PORT = 8001
CONTEXT_TOKENS = 8192
BATCH_TOKENS = 512

_PACKAGES = ("llama_cpp", "fastapi", "sse_starlette", "starlette_context", "uvicorn")
_OUR_KEY = "UNDERSTUDY_LLM__KEY"
_KEY = "API_KEY"
_KEPT = ("CUDA_", "GGML_", "GOMP_", "KMP_", "LLAMA_", "LC_", "LD_", "NVIDIA_", "OMP_", "PYTHON", "XDG_")
"""Beginnings of variables that the server's process inherits, beside the _NEEDED ones."""
_NEEDED = frozenset({"HOME", "LANG", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USER", "VIRTUAL_ENV"})


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """How the server is started: everything but the key, which no list of processes may show, is on its command line.

    The server reads every one of its options from variables with plain names too (HOST, PORT, MODEL, CACHE…), HOST and
    PORT even before its command line; so it inherits only what it needs.
    """

    model: Path
    alias: str
    """Its name on the server, which tells the client whether there is a system role."""
    host: str = "127.0.0.1"
    port: int = PORT
    context_tokens: int = CONTEXT_TOKENS
    gpu_layers: int = -1
    threads: int | None = None
    lora: Path | None = None

    def arguments(self) -> list[str]:
        """Flash attention on; the cache of sliding windows is whole by itself in this version (llama.cpp's swa_full).

        Without `logits_all false` the server keeps a float of every word of the vocabulary for every token of the
        context: 8 GB with Gemma's.
        """
        options = {
            "model": str(self.model),
            "model_alias": self.alias,
            "host": self.host,
            "port": str(self.port),
            "n_ctx": str(self.context_tokens),
            "n_batch": str(BATCH_TOKENS),
            "n_gpu_layers": str(self.gpu_layers),
            "flash_attn": "true",
            "logits_all": "false",
            "verbose": "false",
        }
        if self.threads is not None:
            options |= {"n_threads": str(self.threads), "n_threads_batch": str(self.threads)}
        if self.lora is not None:
            options["lora_path"] = str(self.lora)
        return [sys.executable, "-m", "llama_cpp.server"] + [
            word for name, value in options.items() for word in (f"--{name}", value)
        ]

    def environment(self, key: SecretStr, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The variables of the server's process. Threads that wait at a barrier soon sleep, see gguf.py."""
        kept = {name: value for name, value in inherited.items() if name.upper() in _NEEDED or name.startswith(_KEPT)}
        if "OMP_WAIT_POLICY" not in kept:
            kept.setdefault("GOMP_SPINCOUNT", "1000")
        return kept | {_KEY: key.get_secret_value()}

    def shown(self) -> str:
        """For a shell; the key stays a name."""
        return f'{_KEY}="${_OUR_KEY}" {shlex.join(self.arguments())}'


def require_key(key: SecretStr | None, host: str) -> SecretStr:
    """Raises EngineUnavailable without one, and for an address that others reach and a key that they may guess."""
    if key is None or not key.get_secret_value():
        raise EngineUnavailable(
            f"The server needs a key; set {_OUR_KEY}, for example to what `openssl rand -hex 16` says."
        )
    if not is_loopback(host) and len(key.get_secret_value()) < 16:
        raise EngineUnavailable(f"A server that others can reach needs a key of 16 characters or more in {_OUR_KEY}.")
    return key


def require_packages(names: Sequence[str] = _PACKAGES) -> None:
    """Raises EngineUnavailable when the server is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise EngineUnavailable(
                f"The server needs the Python package {name.replace('_', '-')}; "
                "run `python -m pip install -c constraints.txt -e '.[llm-server]'`."
            )


def require_adapter(lora: Path | None) -> None:
    if lora is not None and not lora.is_file():
        raise EngineUnavailable(f"There is no adapter {lora}; check UNDERSTUDY_LLM__LORA or --lora.")
