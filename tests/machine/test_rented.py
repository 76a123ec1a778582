"""`make deploy-gpu` to its end: a Vast.ai whose host runs the start-up text in a container of namespaces.

What is fake is the API and the GPU: the embedded engines perform. The program rents, follows the log, asks the double
behind the certificate that it sent, makes the test call and writes how `make local` gets there; then the machine, left
alone, gives itself back with its own key.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from deploy.settings import DeploySettings
from deploy.vast.checking import COMMAND
from deploy.vast.client import Vast
from deploy.vast.desk import Desk
from deploy.vast.driver import Stops
from deploy.vast.ledger import Ledger
from deploy.vast.listening import read_health
from deploy.vast.order import CHECKOUT, MEDIA_PORTS, SIGNALING_PORT, TURN_PORT
from deploy.vast.record import Records
from deploy.vast.source import Source, git_in
from deploy.vast.up import look_around, rent, tell
from deploy.vast.wire import Wire
from signaling.connection_string import ConnectionString
from tests.vast_api import KEY, FakeVast, Plan, offer
from tests.vast_serving import serving

ROOT = Path(__file__).resolve().parents[2]
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""The first process there is the container's, whose environment and output are looked for at /proc/1."""
GONE_S = 240


def _containers_work() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    return subprocess.run([*CONTAINER, "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(
        not _containers_work() or not (ROOT / ".git").exists(),
        reason="needs Linux, the right to make namespaces, and a checkout with its history",
    ),
]


class NamespaceHost:
    """A host without a GPU whose containers are processes of this machine."""

    address = "127.0.0.1"

    def __init__(self, folder: Path, server: Callable[[], str]) -> None:
        self._folder = folder
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._ports: dict[str, int] = {}

    def outside(self, inside: str) -> int:
        return self._ports.setdefault(inside, _free_port(udp="/udp" in inside))

    def begin(self, instance: int, key: str, order: Mapping[str, Any]) -> None:
        home = self._folder / "home"
        home.mkdir()
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        ordered = {name: value for name, value in order["env"].items() if not name.startswith("-p ")}
        del ordered["UNDERSTUDY_MACHINE__SERVICES"]  # which need a GPU
        tcp = {port: str(self.outside(str(port))) for port in (SIGNALING_PORT, TURN_PORT)}
        udp = [str(self.outside(f"{port}/udp")) for port in MEDIA_PORTS]
        # The container shares this machine's network, so that it listens where it is reached from outside.
        mapped = {
            "UNDERSTUDY_MACHINE__SIGNALING_PORT": tcp[SIGNALING_PORT],
            "UNDERSTUDY_MACHINE__TURN_PORT": tcp[TURN_PORT],
            "UNDERSTUDY_MACHINE__MEDIA_PORTS": ",".join(udp),
            "UNDERSTUDY_MACHINE__METRICS_PORT": str(self.outside("metrics")),
            **{f"VAST_TCP_PORT_{port}": port for port in tcp.values()},
            **{f"VAST_UDP_PORT_{port}": port for port in udp},
        }
        environment = {
            **ordered,
            **mapped,
            "HOME": str(home),
            "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(cache),
            "UNDERSTUDY_WEIGHTS__DIR": os.environ.get("UNDERSTUDY_WEIGHTS__DIR") or str(cache / "understudy/weights"),
            "UNDERSTUDY_MACHINE__DIR": str(self._folder / "state"),
            "PUBLIC_IPADDR": self.address,
            "CONTAINER_ID": str(instance),
            "CONTAINER_API_KEY": key,
            "VAST_URL": self._server(),
        }
        for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            if name in os.environ:
                environment[name] = os.environ[name]
        script = self._folder / "onstart"
        script.write_text(order["onstart"].replace(CHECKOUT, str(self._folder / "source")))
        self._output = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [*CONTAINER, "bash", "-c", f"bash {script}; sleep infinity"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._output is not None:
            self._output.close()


def _free_port(*, udp: bool) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_rented_machine_is_talked_to_and_gives_itself_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    head = git_in(ROOT)("rev-parse", "HEAD")
    assert head is not None
    fake = FakeVast(offers=[offer(1)])
    host = NamespaceHost(tmp_path, lambda: fake.url)
    fake.plans[1] = Plan(schedule_s=0.1, image_s=0.1, host=host)
    (tmp_path / "laptop").mkdir()
    with serving(fake):
        settings = DeploySettings(dir=tmp_path / "rental", tries=1, idle_minutes=1.0, warn_minutes=0.5)
        desk = Desk(
            settings,
            Vast(Wire(KEY, server=fake.url)),
            Ledger(settings.dir),
            Records(settings.dir),
            root=tmp_path / "laptop",
            health=read_health,
            check_command=COMMAND,
        )
        try:
            record = desk.records.make("understudy", "main", settings.max_hours)
            rental = rent(desk, look_around(desk), Source(str(ROOT), head), record, Stops())
            assert tell(desk, rental, record) == 0, host.log()[-4_000:]
            written = (tmp_path / "laptop" / ".env.deployed").read_text().splitlines()[-1].partition("=")[2]
            assert replace(ConnectionString.parse(written), token="").pin == record.pin
            assert len(fake.rented) == 1
            log = host.log()
            assert not any(secret in log for secret in (record.secret, KEY, written))
            until_s = time.monotonic() + GONE_S
            while fake.rented and time.monotonic() < until_s:
                time.sleep(1)
            assert not fake.rented, host.log()[-4_000:]
        finally:
            host.end()
