"""How Fish Speech's server is started here: the pinned commit in its own environment, compiled, on this machine only.

No release of Fish Speech contains the code of OpenAudio S1-mini, so the commit is named; a later one speaks with
another model under another licence. Its dependencies contradict ours, so its interpreter is one of its own.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from models.errors import EngineUnavailable
from models.settings import FishSpeechSettings
from models.tts.fish_api import address, on_loopback

COMMIT: Final = "d3df50503b36"
LICENCE: Final = (
    "Fish Speech's code at this commit is under Apache-2.0; the weights of OpenAudio S1-mini are under "
    "CC-BY-NC-SA-4.0: not for commercial use, and what is made of them is shared alike. Clone only a voice whose owner "
    "agrees."
)
KEY_VARIABLE: Final = "FISH_SPEECH_SERVER_KEY"
_LAUNCHER: Final = (
    "import os, runpy, sys; "
    f"sys.argv = [*sys.argv[1:], '--api-key', os.environ.pop('{KEY_VARIABLE}')]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""The server takes its key only as an argument, which every user of a machine can read; this hides it."""
_CHECKPOINT: Final = Path("checkpoints/openaudio-s1-mini")
_CHECKPOINT_FILES: Final = ("model.pth", "codec.pth", "config.json", "tokenizer.tiktoken")
_SCRIPT: Final = Path("tools/api_server.py")
_GIT_S: Final = 10.0


def command(settings: FishSpeechSettings) -> list[str]:
    """The arguments that start the server, without the key. Raises EngineUnavailable without the setting it needs."""
    server = settings.server
    if server.checkout is None:
        raise EngineUnavailable(
            f"Set UNDERSTUDY_TTS__FISH_SPEECH__SERVER__CHECKOUT to a checkout of Fish Speech at commit {COMMIT} "
            "(models/tts/README.md says how to make one)."
        )
    checkout = server.checkout.expanduser().absolute()
    checkpoint = (server.checkpoint or checkout / _CHECKPOINT).expanduser().absolute()
    host, port = _loopback(settings.url)
    arguments = [str(_python(settings, checkout)), "-c", _LAUNCHER, str(checkout / _SCRIPT)]
    arguments += ["--listen", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    arguments += ["--llama-checkpoint-path", str(checkpoint)]
    arguments += ["--decoder-checkpoint-path", str(checkpoint / "codec.pth"), "--decoder-config-name", "modded_dac_vq"]
    arguments += ["--compile"] if server.compile else []
    return [*arguments, *(["--half"] if server.half else [])]


def shown(arguments: list[str], settings: FishSpeechSettings) -> str:
    """The command as a person would type it, with a variable for the key."""
    return f"cd {shlex.quote(str(settings.server.dir))} && {KEY_VARIABLE}=… {shlex.join(arguments)}"


def environment(settings: FishSpeechSettings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the server inherits: nothing of our settings but its key. Raises EngineUnavailable without a key."""
    if settings.key is None:
        raise EngineUnavailable(
            "Set UNDERSTUDY_TTS__FISH_SPEECH__KEY to a long random text; the double needs the same to use the server."
        )
    ours = ("UNDERSTUDY_", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in inherited.items() if not name.startswith(ours)}
    return {**kept, KEY_VARIABLE: settings.key.get_secret_value()}


def require_installed(settings: FishSpeechSettings) -> None:
    """Raises EngineUnavailable with one sentence about the first thing that is missing."""
    arguments = command(settings)
    python, script = Path(arguments[0]), Path(arguments[3])
    checkout = script.parent.parent
    if not script.is_file():
        raise EngineUnavailable(f"There is no Fish Speech in {checkout}: {_SCRIPT} is missing.")
    if (commit := _commit(checkout)) and not commit.startswith(COMMIT):
        raise EngineUnavailable(
            f"Fish Speech in {checkout} is at commit {commit[:12]}, which speaks with another model; "
            f"run `git checkout {COMMIT}` there."
        )
    if not python.is_file():
        raise EngineUnavailable(
            f"Fish Speech's environment is missing: {python} does not exist; run `uv sync --frozen --extra cu126` in "
            f"{checkout}."
        )
    checkpoint = Path(arguments[arguments.index("--llama-checkpoint-path") + 1])
    missing = [name for name in _CHECKPOINT_FILES if not (checkpoint / name).is_file()]
    if missing:
        raise EngineUnavailable(
            f"The weights of OpenAudio S1-mini are not complete: {checkpoint} lacks {', '.join(missing)}; accept their "
            "terms at their hub, then download them there."
        )


def _python(settings: FishSpeechSettings, checkout: Path) -> Path:
    if settings.server.python is not None:
        return settings.server.python.expanduser().absolute()
    return checkout / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _loopback(url: str) -> tuple[str, int]:
    host, port = address(url)
    if not on_loopback(url) or url.startswith("https"):
        raise EngineUnavailable(
            f"The server is started for this machine only; UNDERSTUDY_TTS__FISH_SPEECH__URL is {url}, not on loopback."
        )
    return ("127.0.0.1" if host == "localhost" else host), port


def _commit(checkout: Path) -> str | None:
    """What is checked out there; None where git does not tell, as in a copy without its history."""
    try:
        found = subprocess.run(
            ["git", "-C", str(checkout), "rev-parse", "--show-toplevel", "HEAD"],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    top, _, commit = found.stdout.strip().partition("\n")
    return commit if found.returncode == 0 and Path(top) == checkout.resolve() else None
