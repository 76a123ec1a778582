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
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.console import SetupError, run_logged
from deploy.environment import Environment
from deploy.machine.plan import VOICE_MODEL, Plan, find_gpu, make_plan
from deploy.machine.progress import Progress, begin_anew, last_lines
from deploy.system import Apt, cache_directory, require_libraries

DIRECTORY = "UNDERSTUDY_MACHINE__DIR"
WEIGHTS = "UNDERSTUDY_WEIGHTS__DIR"
VOICE_ENGINE = "UNDERSTUDY_TTS__ENGINE"
FETCH = ("-m", "models", "fetch")
SET_UP_VOICE = ("-m", "deploy.machine.voice_server")
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
    logs = directory / "log"
    install = root / ".venv" / "install.log"
    with progress.phase("environment", logs=(install, logs / "voice-server.log")):
        apt = Apt()
        require_libraries(apt)
        environment = Environment(root, apt, cuda=plan.gpu.cuda if plan.gpu and "llm-server" in plan.extras else None)
        environment.ensure(plan.extras)
        steps = Steps(root, environment.python, logs)
        if plan.voice_server:
            plan = attempt_voice(plan, progress, "environment", lambda: steps.run("voice-server", *SET_UP_VOICE))
    fetched = tuple(logs / f"{name}.log" for name in ("weights", "weights-voice", "weights-face"))
    with progress.phase("weights", ", ".join(plan.weights), logs=fetched):
        steps.run("weights", *FETCH, *(model for model in plan.weights if model != VOICE_MODEL))
        if plan.voice_server:
            plan = attempt_voice(plan, progress, "weights", lambda: steps.run("weights-voice", *FETCH, VOICE_MODEL))
        if plan.musetalk:
            steps.run("weights-face", "-m", "models", "convert", "musetalk")
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


@dataclass(frozen=True, slots=True)
class Steps:
    """Runs our own programs, each with a log."""

    root: Path
    python: Path
    logs: Path

    def run(self, name: str, *arguments: str) -> None:
        """Run one; its last line is the sentence that says why it failed. Raises SetupError."""
        log = self.logs / f"{name}.log"
        if not run_logged([str(self.python), *arguments], name, log, cwd=self.root):
            raise SetupError((last_lines(log, 1) or [f"{name} failed without a word; its log is {log}."])[0])


def attempt_voice(
    plan: Plan,
    progress: Progress,
    phase: str,
    step: Callable[[], None],
    variables: MutableMapping[str, str] = os.environ,
) -> Plan:
    """Do a step of the cloned voice; where it fails the embedded voice speaks, unless the user asked for this one.

    Its code and its weights come from elsewhere, the weights behind terms: no reason to have no double at all. Raises
    SetupError.
    """
    try:
        step()
    except SetupError as error:
        if variables.get(VOICE_ENGINE):
            raise
        variables[VOICE_ENGINE] = "kokoro"
        progress.note(phase, f"{error} Until then the embedded voice speaks.")
        return replace(plan, voice_server=False)
    return plan


def commit(root: Path) -> str:
    """What is checked out, for people."""
    try:
        ask = ["git", "-C", str(root), "log", "-1", "--format=%h %s"]
        done = subprocess.run(ask, capture_output=True, text=True, timeout=GIT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return "no git repository"
    return done.stdout.strip() if done.returncode == 0 else "no git repository"
