"""deploy/onstart.sh for real: from `git clone` to a double that can be met, and once more.

The embedded engines take the place of the GPU's. The clone has a home and a state of its own; wheels and weights of
this user are shared, so that the first start takes a minute and not ten.
"""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.machine.keeper import read_http
from deploy.machine.keys import read_variables
from deploy.machine.progress import PHASES, Line, parse_line

ROOT = Path(__file__).resolve().parents[2]
START_S = 600
WAIT_S = 180

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("git") is None or not (ROOT / ".git").exists(),
        reason="needs Linux, git and a checkout with its history",
    ),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Prefix:
    """A machine in a folder."""

    folder: Path
    environment: dict[str, str]

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def onstart(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run("bash", "deploy/onstart.sh", *arguments)

    def machine(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run(".venv/bin/python", "-m", "deploy.machine", *arguments)

    def run(self, *command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.source,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=START_S,
        )

    def pid(self, service: str) -> int:
        return int((self.state / "run" / f"{service}.pid").read_text())

    def health(self) -> dict[str, object]:
        port = self.environment["UNDERSTUDY_MACHINE__SIGNALING_PORT"]
        answer = read_http(f"https://127.0.0.1:{port}/healthz", 3.0, certificate=self.state / "tls" / "certificate.pem")
        found: dict[str, object] = json.loads(answer or b"{}")
        return found

    def performs(self) -> bool:
        rooms = self.health().get("rooms")
        return isinstance(rooms, dict) and bool(rooms.get("main", {}).get("performer"))


def events(text: str) -> list[Line]:
    return [line for line in map(parse_line, text.splitlines()) if line is not None]


def eventually(condition: Callable[[], bool]) -> bool:
    until_s = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.2)
    return True


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Processes that `pid` has started, but for those that only watch it."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"guard" not in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefix]:
    folder = tmp_path_factory.mktemp("machine")
    home = folder / "home"
    home.mkdir()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UNDERSTUDY_", "PYTHON"))}
    environment = kept | {
        "HOME": str(home),
        "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}",  # a version manager's stand-ins look into HOME
        "XDG_CACHE_HOME": str(cache),
        "UNDERSTUDY_WEIGHTS__DIR": os.environ.get("UNDERSTUDY_WEIGHTS__DIR") or str(cache / "understudy" / "weights"),
        "UNDERSTUDY_MACHINE__DIR": str(folder / "state"),
        "UNDERSTUDY_MACHINE__SIGNALING_PORT": str(free_port()),
        "UNDERSTUDY_MACHINE__TURN_PORT": str(free_port()),
        "UNDERSTUDY_MACHINE__METRICS_PORT": str(free_port()),
    }
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "source")], check=True, timeout=120)
    found = Prefix(folder, environment)
    yield found
    if (found.source / ".venv").is_dir():
        found.machine("down")


@pytest.fixture(scope="module")
def first(prefix: Prefix) -> "subprocess.CompletedProcess[str]":
    return prefix.onstart()


def test_a_fresh_clone_becomes_a_double_on_stage(prefix: Prefix, first: "subprocess.CompletedProcess[str]") -> None:
    assert first.returncode == 0, first.stdout[-3_000:] + first.stderr[-1_000:]
    told = events(first.stdout)
    assert [line.phase for line in told if line.state == "done"] == list(PHASES)
    assert not [line for line in told if line.state == "failed"]
    assert [str(line) for line in told] == (prefix.state / "progress").read_text().splitlines()
    assert prefix.performs()


def test_the_double_can_be_met_over_the_real_path(prefix: Prefix, first: object) -> None:
    connection = (prefix.state / "connection").read_text().strip()
    met = prefix.run(".venv/bin/python", "-m", "deploy", "check", UNDERSTUDY_LOCAL__CONNECTION=connection)
    assert met.returncode == 0, met.stdout + met.stderr
    assert "in room main as operator" in met.stdout


def test_secrets_are_in_no_file_that_others_read_and_in_no_list_of_processes(prefix: Prefix, first: object) -> None:
    keys = set(read_variables(prefix.state / "secrets.env").values())
    keys.add(read_variables(prefix.state / "machine.env")["UNDERSTUDY_REMOTE__TOKEN"])
    assert stat.S_IMODE(prefix.state.stat().st_mode) == 0o700
    for file in prefix.state.rglob("*"):
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            text = file.read_text(errors="replace")
            assert not [key for key in keys if key in text], file
            assert "PRIVATE KEY" not in text, file
    for log in filter(Path.is_file, (prefix.state / "log").rglob("*")):
        text = log.read_text(errors="replace")
        assert not [key for key in keys if key in text], log
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().decode(errors="replace")
        except OSError:
            continue
        assert not [key for key in keys if key in words]


def test_a_second_start_finds_everything_done(prefix: Prefix, first: object) -> None:
    before = {name: prefix.pid(name) for name in ("signaling", "performer")}
    again = prefix.onstart()
    assert again.returncode == 0, again.stdout[-3_000:]
    assert "Installing" not in again.stdout and "Building" not in again.stdout
    assert [line.phase for line in events(again.stdout) if line.state == "done"] == list(PHASES)
    assert {name: prefix.pid(name) for name in before} == before, "what runs well is left alone"


@pytest.mark.parametrize("service", ["signaling", "turn", "performer"])
def test_a_service_that_is_killed_comes_back(prefix: Prefix, first: object, service: str) -> None:
    if service == "turn" and shutil.which("turnserver") is None:
        pytest.skip("coturn is not installed here")
    killed = prefix.pid(service)
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: prefix.pid(service) != killed and alive(prefix.pid(service)))
    assert eventually(prefix.performs)


def test_a_double_that_is_killed_is_started_again_by_its_keeper(prefix: Prefix, first: object) -> None:
    keeper = prefix.pid("performer")
    (double,) = children(keeper)
    os.kill(double, signal.SIGKILL)
    assert eventually(lambda: bool(children(keeper)) and children(keeper) != [double])
    assert prefix.pid("performer") == keeper
    assert eventually(prefix.performs)


def test_a_keeper_that_is_killed_leaves_no_second_service(prefix: Prefix, first: object) -> None:
    served = prefix.pid("signaling")
    keeper = int(Path(f"/proc/{served}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    assert eventually(lambda: prefix.pid("signaling") != served and alive(prefix.pid("signaling")))
    assert eventually(lambda: not alive(served))
    assert eventually(prefix.performs)


def test_its_state_is_told(prefix: Prefix, first: object) -> None:
    assert eventually(lambda: prefix.machine("status").returncode == 0)
    shown = prefix.machine("status").stdout
    assert "The double is on stage." in shown and "watchdog" in shown


def test_it_ends_as_a_whole(prefix: Prefix, first: object) -> None:
    pids = [prefix.pid(name) for name in ("signaling", "performer", "watchdog")]
    ended = prefix.machine("down")
    assert (ended.returncode, ended.stdout) == (0, "All services have ended.\n")
    assert not [pid for pid in pids if alive(pid)]
    assert prefix.machine("status").returncode == 1


def test_as_the_first_process_of_a_container_it_ends_with_its_services(prefix: Prefix, first: object) -> None:
    process = subprocess.Popen(
        ["bash", "deploy/onstart.sh", "--stay"],
        cwd=prefix.source,
        env=prefix.environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        assert eventually(prefix.performs)
        pids = [prefix.pid(name) for name in ("signaling", "performer", "watchdog")]
        process.terminate()
        assert process.wait(WAIT_S) == 0
        assert not [pid for pid in pids if alive(pid)]
    finally:
        process.kill()
        process.wait()
