"""From packages of the operating system to a machine whose services run: `bootstrap.py serve`, called by onstart.sh.

    source       which commit this is
    environment  .venv with the extras of the services that this machine will run; Fish Speech's own environment
    weights      fetched and converted; what is there is only looked at
    …            python -m deploy.machine up

Each phase is told by deploy/machine/progress.py, a failed one with its log's last lines. Standard library only.
"""

import os
import subprocess
import sys
from pathlib import Path

from deploy.console import SetupError, run_logged
from deploy.environment import Environment
from deploy.machine.plan import Plan, find_gpu, make_plan
from deploy.machine.progress import Progress, begin_anew, last_lines
from deploy.system import Apt, cache_directory, require_libraries

DIRECTORY = "UNDERSTUDY_MACHINE__DIR"
WEIGHTS = "UNDERSTUDY_WEIGHTS__DIR"
GIT_TIMEOUT_S = 10


def serve(root: Path, arguments: list[str]) -> int:
    """Prepare this machine and become `python -m deploy.machine up`. Raises SetupError."""
    directory = Path(os.environ.get(DIRECTORY) or "")
    if not directory.is_absolute():
        raise SetupError(f"{DIRECTORY} is not set to a folder; start the machine with `bash deploy/onstart.sh`.")
    _keep_on_the_volume(directory)
    begin_anew(directory / "progress")
    progress = Progress(directory / "progress")
    with progress.phase("source"):
        plan = make_plan(os.environ, find_gpu(), directory=directory, weights=_weights())
        progress.note("source", commit(root))
        for note in plan.notes:
            progress.note("source", note)
    with progress.phase("environment"):
        apt = Apt()
        require_libraries(apt)
        environment = Environment(root, apt, cuda=plan.gpu.cuda if plan.gpu and "llm-server" in plan.extras else None)
        environment.ensure(plan.extras)
        if plan.voice_server:
            _step(root, environment, directory, "voice-server", ["-m", "deploy.machine.voice_server"])
    with progress.phase("weights", ", ".join(plan.weights)):
        _fetch(root, environment, directory, plan)
    sys.stdout.flush()
    os.chdir(root)
    command = [str(environment.python), "-m", "deploy.machine", "up", *arguments]
    os.execv(command[0], command)


def _keep_on_the_volume(directory: Path) -> None:
    """Weights, wheels and compiled networks outlive the container where its volume does."""
    if directory.is_relative_to("/workspace"):
        os.environ.setdefault("XDG_CACHE_HOME", str(directory / "cache"))
        os.environ.setdefault(WEIGHTS, str(directory / "weights"))


def _weights() -> Path:
    return Path(os.environ.get(WEIGHTS) or cache_directory() / "weights").expanduser()


def _fetch(root: Path, environment: Environment, directory: Path, plan: Plan) -> None:
    _step(root, environment, directory, "weights", ["-m", "models", "fetch", *plan.weights])
    if plan.musetalk:
        _step(root, environment, directory, "weights", ["-m", "models", "convert", "musetalk"])


def _step(root: Path, environment: Environment, directory: Path, name: str, arguments: list[str]) -> None:
    """Run one of our programs; its last line is the sentence that says why it failed."""
    log = directory / "log" / f"{name}.log"
    if not run_logged([str(environment.python), *arguments], name, log, cwd=root):
        raise SetupError((last_lines(log, 1) or [f"{name} failed without a word; its log is {log}."])[0])


def commit(root: Path) -> str:
    """What is checked out, for people."""
    try:
        ask = ["git", "-C", str(root), "log", "-1", "--format=%h %s"]
        done = subprocess.run(ask, capture_output=True, text=True, timeout=GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return "no git repository"
    return done.stdout.strip() if done.returncode == 0 else "no git repository"
