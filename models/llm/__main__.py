"""`python -m models.llm serve`: start a server for the language model on this machine."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from models.environment import ProgramSettings, read
from models.errors import ModelError
from models.llm.gguf import model_file
from models.llm.serve import (
    CONTEXT_TOKENS,
    DEFAULT_MODEL,
    PORT,
    ServerCommand,
    require_adapter,
    require_key,
    require_packages,
)
from models.settings import LlmSettings
from models.weights import Catalog
from models.weights.environment import weights_directory


class _Environment(ProgramSettings):
    llm: LlmSettings = LlmSettings()


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the server; the exit code is 1 with one sentence on standard error when something is missing."""
    options = _parser().parse_args(arguments)
    try:
        llm = read(_Environment).llm
        lora = options.lora or llm.lora
        require_adapter(lora)
        command = ServerCommand(
            _weights(options.model, options.dir or weights_directory(), only_named=options.print_command),
            alias=options.model,
            host=options.host,
            port=options.port,
            context_tokens=options.context_tokens,
            gpu_layers=options.gpu_layers,
            threads=options.threads,
            lora=lora,
        )
        if options.print_command:
            print(command.shown())
            return 0
        key = require_key(llm.key, options.host)
        require_packages()
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    return _become(command.arguments(), command.environment(key))


def _become(arguments: list[str], environment: dict[str, str]) -> int:
    """Replace this process, so that whoever started it supervises the server itself."""
    sys.stdout.flush()
    if sys.platform == "win32":  # there a new process would outlive this one's handle
        return subprocess.run(arguments, env=environment).returncode
    os.execve(arguments[0], arguments, environment)


def _weights(model: str, directory: Path, *, only_named: bool) -> Path:
    """The model's file; with `only_named` it need not be here."""
    if only_named:
        return directory / model / Catalog.read().model(model).files[0].name
    return model_file(model, directory)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.llm", description="The language model's server.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{serve}")
    serve = commands.add_parser(
        "serve",
        help="start llama-cpp-python's server on this machine",
        description="Start llama-cpp-python's server. Clients need UNDERSTUDY_LLM__ENGINE=openai and the same key, "
        "UNDERSTUDY_LLM__KEY.",
    )
    serve.add_argument("--model", default=DEFAULT_MODEL, help="a name of the catalog (default: %(default)s)")
    serve.add_argument("--lora", type=Path, help="a LoRA adapter, GGUF (default: UNDERSTUDY_LLM__LORA)")
    serve.add_argument("--host", default="127.0.0.1", help="where it listens (default: %(default)s, only this machine)")
    serve.add_argument("--port", type=int, default=PORT, help="(default: %(default)s)")
    serve.add_argument("--context-tokens", type=int, default=CONTEXT_TOKENS, help="(default: %(default)s)")
    serve.add_argument("--gpu-layers", type=int, default=-1, help="layers on the GPU (default: all)")
    serve.add_argument("--threads", type=int, help="on the CPU (default: half of its threads, all for long prompts)")
    serve.add_argument("--dir", type=Path, help="where the weights lie (default: UNDERSTUDY_WEIGHTS__DIR)")
    serve.add_argument("--print-command", action="store_true", help="show what would be run, without the key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
