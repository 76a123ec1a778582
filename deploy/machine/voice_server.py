"""Sets up Fish Speech's server: `python -m deploy.machine.voice_server`, once per machine.

The pinned commit in a folder of its own and, by uv, an environment of its own: its dependencies contradict ours.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from deploy.console import SetupError, say
from deploy.machine.plan import find_gpu
from deploy.system import Apt
from models.tts.fish_server_command import COMMIT, LICENCE

REPOSITORY: Final = "https://github.com/fishaudio/fish-speech.git"
CHECKOUT: Final = "UNDERSTUDY_TTS__FISH_SPEECH__SERVER__CHECKOUT"
STAMP: Final = "understudy.stamp"
GIT_S: Final = 300
INSTALL_S: Final = 1_800
EXTRAS: Final = (((12, 9), "cu129"), ((12, 8), "cu128"), ((12, 6), "cu126"))
"""Its extras by the CUDA that PyTorch is built for, newest first."""
PORTAUDIO: Final = Path("/usr/include/portaudio.h")
"""PyAudio, which it wants for its command line, is compiled against it."""

Run = Callable[[Sequence[str], Path | None, int], None]


def run(command: Sequence[str], cwd: Path | None, timeout_s: int) -> None:
    """Run a command; its output is ours. Raises SetupError."""
    say(f"$ {' '.join(command)}")
    try:
        status = subprocess.run(command, cwd=cwd, timeout=timeout_s, stderr=subprocess.STDOUT).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{command[0]} did not end well ({type(error).__name__}).") from None
    if status != 0:
        raise SetupError(f"{' '.join(command[:3])} failed with status {status}; the lines above say why.")


def extra_for(cuda: tuple[int, int] | None) -> str:
    """Which of Fish Speech's extras the driver can run. Raises SetupError for a driver that is too old."""
    if cuda is None:
        return "cpu"
    for version, name in EXTRAS:
        if cuda >= version:
            return name
    raise SetupError(f"Fish Speech needs a driver for CUDA 12.6, and this one stops at {cuda[0]}.{cuda[1]}.")


def set_up(checkout: Path, cuda: tuple[int, int] | None, *, run: Run = run, apt: Apt | None = None) -> None:
    """Make the checkout and its environment, unless they are there. Raises SetupError."""
    extra = extra_for(cuda)
    wanted = f"{COMMIT} {extra}\n"
    stamp = checkout / ".venv" / STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    say(LICENCE)
    if not PORTAUDIO.is_file():
        (apt or Apt()).install(["portaudio19-dev"], "PortAudio's header")
    checkout.mkdir(parents=True, exist_ok=True)
    if not (checkout / ".git").is_dir():
        run(["git", "init", "-q"], checkout, GIT_S)
        run(["git", "remote", "add", "origin", REPOSITORY], checkout, GIT_S)
    # GitHub gives a commit by its whole name only; the branch's history is small.
    run(["git", "fetch", "-q", "--filter=blob:none", "origin", "main"], checkout, GIT_S)
    run(["git", "checkout", "-q", "--detach", COMMIT], checkout, GIT_S)
    run([str(_uv(checkout.parent / "uv", run)), "sync", "--frozen", "--extra", extra], checkout, INSTALL_S)
    stamp.write_text(wanted)


def _uv(folder: Path, run: Run) -> Path:
    """uv, in an environment of its own."""
    if found := shutil.which("uv"):
        return Path(found)
    uv = folder / "bin" / "uv"
    if not uv.is_file():
        run([sys.executable, "-m", "venv", "--clear", str(folder)], None, INSTALL_S)
        run([str(folder / "bin" / "pip"), "install", "--quiet", "uv"], None, INSTALL_S)
    return uv


def main() -> int:
    gpu = find_gpu()
    directory = Path(os.environ.get("UNDERSTUDY_MACHINE__DIR", "."))
    try:
        set_up(Path(os.environ.get(CHECKOUT) or directory / "fish-speech"), gpu.cuda if gpu else None)
    except SetupError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
