"""The commands of bootstrap.py, one function each. Standard library only."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.console import SetupError, say
from deploy.environment import Environment
from deploy.serve import serve
from deploy.system import Apt, require_browser, require_libraries, require_network_lab, require_sound_server

ROOT = Path(__file__).resolve().parents[1]
SUITES = ("unit", "component", "contract", "loopback", "nat", "browser")
"""The tests of a machine without a GPU."""
BENCH_NEEDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "deploy": (("dev",), ()),
    "musetalk": (("dev", "musetalk"), ()),
    "puppet": (("dev",), ("embedded", "test-photo")),
}
"""Extras and weights of the benches that need others than `dev` and `embedded`."""
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", "build", "out", "understudy.egg-info")


def run_command(name: str, arguments: list[str]) -> int:
    """Run one command and return its exit status. Raises SetupError."""
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": run,
        "local": local,
        "avatar": avatar,
        "setup": setup,
        "test": test,
        "deploy-gpu": lambda words: deploy(["up", *words]),
        "undeploy-gpu": lambda words: deploy(["down", *words]),
        "deploy": deploy,
        "machine": machine,
        "check": check,
        "bench": bench,
        "fetch": fetch,
        "serve": lambda words: serve(ROOT, words),
        "clean": clean,
    }
    if name not in commands:
        raise SetupError(f"{name} is not a command; commands are {', '.join(commands)}.")
    return commands[name](arguments)


def setup(_: list[str], extras: tuple[str, ...] = ()) -> int:
    _environment(extras)
    return 0


def run(arguments: list[str]) -> int:
    return _launch(arguments)


def local(arguments: list[str]) -> int:
    """Be the operator; what is not a run (doctor, takeover …, --help) goes to peer_local alone."""
    command = arguments and not arguments[0].startswith("-") and arguments[0] != "run"
    if command or {"-h", "--help", "--print-config"} & set(arguments):
        return _call(_environment(), "-m", "peer_local", *arguments)
    return _launch(["operator", *arguments], weights="ears" if _performs_elsewhere(arguments) else "embedded")


def _performs_elsewhere(arguments: list[str]) -> bool:
    flags = {argument.partition("=")[0].replace("-", "_") for argument in arguments}
    if flags & {"__local.signaling_url", "__local.connection"}:
        return True
    connection = "UNDERSTUDY_LOCAL__CONNECTION"
    return _is_set("UNDERSTUDY_LOCAL__SIGNALING_URL") or _is_set(connection) or _is_set(connection, ".env.deployed")


def _is_set(name: str, file: str = ".env") -> bool:
    """Whether the environment or the file gives this setting a value."""
    env_file = ROOT / file
    lines = env_file.read_text(errors="replace").splitlines() if env_file.is_file() else []
    return bool(os.environ.get(name)) or any(re.match(rf"\s*{name}\s*=\s*\S", line) for line in lines)


def _launch(arguments: list[str], *, weights: str = "embedded") -> int:
    on_a_gpu = _is_set("UNDERSTUDY_FACE__AVATAR") and shutil.which("nvidia-smi") is not None
    environment = _environment(("musetalk",) if on_a_gpu else ())
    if status := _call(environment, "-m", "models", "fetch", weights):
        return status
    return _become(environment, "-m", "deploy.local", *arguments)


def _become(environment: Environment, *arguments: str) -> int:
    """Go on as another program, so that signals reach it and nobody kills it while it cleans up."""
    command = [str(environment.python), *arguments]
    if sys.platform == "win32":
        return subprocess.call(command, cwd=ROOT)
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(command[0], command)


def deploy(arguments: list[str]) -> int:
    """Rent a GPU and what belongs to it; a test call listens, so that it needs ears."""
    environment = _environment()
    calls = arguments[:1] in (["up"], ["start"], ["check"]) and not {"-h", "--help"} & set(arguments)
    if calls and (status := _call(environment, "-m", "models", "fetch", "ears")):
        return status
    return _become(environment, "-m", "deploy", *arguments)


def avatar(arguments: list[str]) -> int:
    """Make an avatar of a recording; whoever only asks how does not wait for the packages that it needs."""
    asks = not arguments or {"-h", "--help"} & set(arguments)
    environment = _environment(() if asks else ("musetalk",))
    return _call(environment, "-m", "models.face", "prepare", "--fetch", *arguments)


def fetch(arguments: list[str]) -> int:
    return _call(_environment(), "-m", "models", "fetch", *(arguments or ["embedded"]))


def test(arguments: list[str]) -> int:
    apt = Apt()
    require_browser(apt)
    require_sound_server(apt)
    require_network_lab(apt)
    environment = _environment(("dev", "musetalk"))
    if status := _call(environment, "-m", "models", "fetch", "embedded", "tests"):
        return status
    _call(environment, "-m", "tests.vast_sdk")  # beside this environment, whose versions are not its own
    suites = [f"tests/{suite}" for suite in SUITES if any((ROOT / "tests" / suite).glob("test_*.py"))]
    return _call(environment, "-m", "pytest", "-q", "-W", "error", "--durations=10", *suites, *arguments)


def machine(arguments: list[str]) -> int:
    """Rehearse the start of a rented machine here, with the embedded engines."""
    environment = _environment(("dev",))
    if status := _call(environment, "-m", "models", "fetch", "embedded"):
        return status
    return _call(environment, "-m", "pytest", "-q", "-W", "error", "--durations=10", "tests/machine", *arguments)


def check(_: list[str]) -> int:
    environment = _environment(("dev",))
    steps = (("ruff", "format", "--check", "."), ("ruff", "check", "."), ("mypy",))
    statuses = []
    for step in steps:
        say(f"$ {' '.join(step)}")
        statuses.append(_call(environment, "-m", *step))
    return max(statuses)


def bench(arguments: list[str]) -> int:
    """Run a bench, after what it needs; the names of the benches need nothing."""
    name = arguments[0] if arguments else ""
    extras, weights = BENCH_NEEDS.get(name, (("dev",), ("embedded",)))
    environment = _environment(extras)
    fetches = weights and name and not name.startswith("-")
    if fetches and (status := _call(environment, "-m", "models", "fetch", *weights)):
        return status
    return _call(environment, "-m", "tests.bench", *arguments)


def clean(_: list[str]) -> int:
    Environment(ROOT, Apt()).remove()
    for name in CACHES:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for folder in ROOT.glob("*/**/__pycache__"):
        shutil.rmtree(folder, ignore_errors=True)
    say("Removed the virtual environment and the caches of this checkout; weights and built wheels stay.")
    return 0


def _environment(extras: tuple[str, ...] = ()) -> Environment:
    apt = Apt()
    require_libraries(apt)
    environment = Environment(ROOT, apt)
    environment.ensure(extras)
    return environment


def _call(environment: Environment, *arguments: str) -> int:
    return subprocess.call([str(environment.python), *arguments], cwd=ROOT)
