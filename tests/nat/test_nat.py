"""From a home network to a rented machine: real signaling, performer, TURN server and laptop, behind real NATs.

The bounds are those that users were promised; times are measured inside the laptop's process.
"""

import json
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.certificate import ensure
from deploy.turn import RelaySettings, write_configuration
from signaling.auth import issue
from signaling.connection_string import ConnectionString
from signaling.protocol import Role
from tests.nat.lab import CONTAINER, PUBLIC, PUBLISHED, SIGNALING, TURN, Lab, Nat, lab, why_not

pytestmark = pytest.mark.skipif((reason := why_not()) is not None, reason=f"no network lab: {reason}")

PATIENCE_S = 30.0
SECRET, TURN_SECRET = "correct horse battery", "another-secret-of-coturn"
DIRECT_S, RELAYED_S, RECOVERED_S = 0.5, 2.0, 5.0
METRICS = 9100
READ_METRICS = f"from urllib.request import urlopen; print(urlopen('http://127.0.0.1:{METRICS}').read().decode())"
MEDIA_PORTS = sorted(port for kind, port in PUBLISHED if kind == "udp")
ENGINES = {
    "UNDERSTUDY_LLM__ENGINE": "scripted",
    "UNDERSTUDY_TTS__ENGINE": "tone",
    "UNDERSTUDY_FACE__ENGINE": "counter",
    "UNDERSTUDY_FACE__SIZE_PX": "128",
    "UNDERSTUDY_VAD__ENGINE": "energy",
    "UNDERSTUDY_TURN__ENGINE": "always",
    "UNDERSTUDY_ASR__ENGINE": "scripted",
    "UNDERSTUDY_PERSONA__OPENINGS": "[]",
}


@dataclass
class Laptop:
    """The operator's process, and what it tells."""

    process: "subprocess.Popen[str]"
    events: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put({"event": "ended"})

    def until(self, event: str) -> dict[str, Any]:
        ends_s = time.monotonic() + PATIENCE_S
        while True:
            told = self.events.get(timeout=max(0.0, ends_s - time.monotonic()))
            if told["event"] == event:
                return told
            assert told["event"] != "ended", "the laptop's process ended"

    def order(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()


@dataclass
class Rented:
    """A double on the machine behind the port mapping, and the way to it."""

    lab: Lab
    operator: ConnectionString
    viewer: ConnectionString
    folder: Path

    @contextmanager
    def laptop(self) -> Iterator[Laptop]:
        process = self._start(self.operator)
        laptop = Laptop(process)
        try:
            yield laptop
        finally:
            _end(process)

    def probe(self, *addresses: str) -> dict[str, str]:
        """What the TURN server does for a viewer, for each address."""
        process = self._start(self.viewer, "probe", *addresses)
        out, _ = process.communicate(timeout=PATIENCE_S)
        return {told["address"]: told["event"] for told in map(json.loads, out.splitlines())}

    def _start(self, connection: ConnectionString, *arguments: str) -> "subprocess.Popen[str]":
        environment = {"UNDERSTUDY_LOCAL__CONNECTION": str(connection)}
        command = (sys.executable, "-m", "tests.nat.laptop", *arguments)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return self.lab.start(self.lab.laptop, command, environment, cwd=self.folder, **pipes)

    def figure(self, name: str) -> float:
        """A metric of the performer."""
        page = self.lab.on(self.lab.container, sys.executable, "-c", READ_METRICS)
        return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"understudy_{name} "))


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


@pytest.fixture(scope="module")
def rented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rented]:
    folder = tmp_path_factory.mktemp("rented")
    certificate = ensure(folder / "tls", [PUBLIC])
    write_configuration(folder / "turnserver.conf", RelaySettings(address=CONTAINER, port=TURN), TURN_SECRET)
    now_s = time.time()
    roles: tuple[Role, ...] = ("performer", "operator", "viewer")
    token = {role: issue(SECRET, room="main", role=role, lifetime_s=3600, now_s=now_s) for role in roles}
    service = {
        "HOST": "0.0.0.0",
        "PORT": str(SIGNALING),
        "SECRET": SECRET,
        "TLS_CERTIFICATE": str(certificate.certificate),
        "TLS_KEY": str(certificate.key),
        "TURN_URLS": f"turn:{PUBLIC}:{PUBLISHED['tcp', TURN]}?transport=tcp",
        "TURN_SECRET": TURN_SECRET,
    }
    performer = {
        "SIGNALING_URL": f"wss://127.0.0.1:{SIGNALING}/ws",
        "SIGNALING_PIN": certificate.pin,
        "TOKEN": token["performer"],
        "METRICS_PORT": str(METRICS),
        "MEDIA_PORTS": ",".join(map(str, MEDIA_PORTS)),
        "PUBLIC_ADDRESS": PUBLIC,
        "PUBLIC_PORTS": ",".join(f"{port}:{PUBLISHED['udp', port]}" for port in MEDIA_PORTS),
    }
    operator, viewer = (
        ConnectionString(PUBLIC, PUBLISHED["tcp", SIGNALING], "main", token[role], pin=certificate.pin)
        for role in ("operator", "viewer")
    )
    with ExitStack() as stack:
        network = stack.enter_context(lab())
        logs = stack.enter_context((folder / "log").open("w"))
        programs = (
            ([sys.executable, "-m", "signaling"], {f"UNDERSTUDY_SIGNALING__{key}": service[key] for key in service}),
            (["turnserver", "-c", str(folder / "turnserver.conf")], {}),
            (
                [sys.executable, "-m", "peer_remote"],
                ENGINES | {f"UNDERSTUDY_REMOTE__{key}": performer[key] for key in performer},
            ),
        )
        for command, environment in programs:
            process = network.start(network.container, command, environment, cwd=folder, stdout=logs, stderr=logs)
            stack.callback(_end, process)
        yield Rented(network, operator, viewer, folder)


@pytest.fixture(scope="module")
def laptop(rented: Rented) -> Iterator[Laptop]:
    """The operator, who has connected once."""
    with rented.laptop() as one:
        one.until("connected")
        yield one


def connect(laptop: Laptop, *, relayed: bool, count: int) -> float:
    """The median time of some connections in a row, in s; all must be direct, or all relayed."""
    took_s = []
    for _ in range(count):
        laptop.order("renew")
        told = laptop.until("connected")
        assert told["relayed"] is relayed
        took_s.append(told["took_s"])
    print(f"connected in {', '.join(f'{each:.2f}' for each in took_s)} s")
    return statistics.median(took_s)


@pytest.mark.parametrize("nat", ["cone", "symmetric"])
def test_a_home_network_connects_directly(rented: Rented, laptop: Laptop, nat: Nat) -> None:
    rented.lab.block_udp(False)
    rented.lab.set_nat(nat)
    assert connect(laptop, relayed=False, count=5) <= DIRECT_S
    assert rented.figure("relayed_viewers") == 0


@pytest.mark.parametrize("nat", ["cone", "symmetric"])
def test_without_udp_the_relay_connects_and_the_performer_notices(rented: Rented, laptop: Laptop, nat: Nat) -> None:
    rented.lab.block_udp(True)
    rented.lab.set_nat(nat)
    assert connect(laptop, relayed=True, count=3) <= RELAYED_S
    assert rented.figure("relayed_viewers") == 1


def test_the_call_goes_on_over_the_relay_when_udp_is_switched_off(rented: Rented, laptop: Laptop) -> None:
    rented.lab.block_udp(False)
    connect(laptop, relayed=False, count=1)
    rented.lab.block_udp(True)
    blocked_s = time.monotonic()
    back = laptop.until("connected")
    print(f"recovered in {back['at_s'] - blocked_s:.2f} s")
    assert back["relayed"] is True
    assert back["at_s"] - blocked_s <= RECOVERED_S


def test_the_relay_is_of_no_use_to_strangers(rented: Rented, laptop: Laptop) -> None:
    answers = rented.probe(CONTAINER, "172.17.0.1", "127.0.0.1", PUBLIC, "192.168.1.10", "8.8.8.8", "224.0.0.1")
    assert answers.pop(CONTAINER) == "relayed"
    assert set(answers.values()) == {"refused"} and len(answers) == 6


def test_a_viewer_that_leaves_gives_its_port_back(rented: Rented, laptop: Laptop) -> None:
    rented.lab.block_udp(False)
    connect(laptop, relayed=False, count=1)
    assert rented.lab.udp_ports() & set(MEDIA_PORTS)
    laptop.order("quit")
    ends_s = time.monotonic() + PATIENCE_S
    while rented.lab.udp_ports() & set(MEDIA_PORTS):
        assert time.monotonic() < ends_s, "a media port is still bound"
        time.sleep(0.05)
