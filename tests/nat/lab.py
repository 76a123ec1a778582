"""A rented machine and a laptop at home, in network namespaces of this machine:

    laptop 192.168.1.10 ── home router (NAT) 198.51.100.2 ── host 198.51.100.1 (port mapping) ── container 172.17.0.2

The home router is a cone NAT or, with random ports for every destination, a symmetric one. The host maps a few
published ports as Docker does, and drops everything else. Nothing of it touches the machine's own network.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[2]
PUBLIC = "198.51.100.1"
CONTAINER = "172.17.0.2"
SIGNALING, TURN = 8443, 3479
PUBLISHED = {
    ("tcp", SIGNALING): 33443,
    ("tcp", TURN): 33479,
    ("udp", 40000): 41235,
    ("udp", 40001): 41777,
    ("udp", 40002): 40999,
}
"""Ports of the container, and behind which public ports they are."""
TOOLS = ("ip", "iptables", "turnserver")
COMMAND_TIMEOUT_S = 20.0
Nat = Literal["cone", "symmetric"]


def why_not() -> str | None:
    """Why there can be no lab on this machine, or None."""
    if missing := [tool for tool in TOOLS if shutil.which(tool, path=_path()) is None]:
        return f"{' and '.join(missing)} is missing"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"understudy-{secrets.token_hex(3)}"
    try:
        _run("ip", "netns", "add", name)
        try:
            _run("ip", "netns", "exec", name, "iptables", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")
        finally:
            _run("ip", "netns", "del", name)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"network namespaces or address translation are not allowed here ({said.strip().splitlines()[-1][:80]})"
    return None


@dataclass(frozen=True, slots=True)
class Lab:
    """The four namespaces, by their names."""

    laptop: str
    router: str
    host: str
    container: str

    def on(self, place: str, *command: str) -> str:
        """Run a command in a namespace and return what it prints."""
        return _run("ip", "netns", "exec", place, *command)

    def start(
        self, place: str, command: Sequence[str], environment: Mapping[str, str], **options: Any
    ) -> "subprocess.Popen[str]":
        """Start a program in a namespace, with `environment` and no settings of this machine's user."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
        return subprocess.Popen(
            ["ip", "netns", "exec", place, *command],
            env={**inherited, "PATH": _path(), "PYTHONPATH": str(ROOT), **environment},
            text=True,
            **options,
        )

    def set_nat(self, nat: Nat) -> None:
        """What the home router is from now on; flows that it knows keep their ports."""
        self.on(self.router, "iptables", "-t", "nat", "-F", "POSTROUTING")
        random = ["--random-fully"] if nat == "symmetric" else []
        self.on(self.router, "iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "r1", "-j", "MASQUERADE", *random)

    def block_udp(self, blocked: bool) -> None:
        """Let no UDP through between the Internet and the machine, or let it through again; idempotent."""
        for direction in ("-i", "-o"):
            rule = ("FORWARD", direction, "h1", "-p", "udp", "-j", "DROP")
            with contextlib.suppress(subprocess.CalledProcessError):
                while True:
                    self.on(self.host, "iptables", "-D", *rule)
            if blocked:
                self.on(self.host, "iptables", "-I", *rule)

    def udp_ports(self) -> set[int]:
        """The UDP ports that are bound in the container."""
        lines = self.on(self.container, "cat", "/proc/net/udp").splitlines()[1:]
        return {int(line.split()[1].rpartition(":")[2], 16) for line in lines}


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Build it, and take it away again."""
    mark = secrets.token_hex(3)
    made = Lab(*(f"us-{mark}-{name}" for name in ("lap", "rtr", "hst", "ctr")))
    places = (made.laptop, made.router, made.host, made.container)
    try:
        for place in places:
            _run("ip", "netns", "add", place)
            _run("ip", "-n", place, "link", "set", "lo", "up")
        _cable(made.laptop, "l0", "192.168.1.10/24", made.router, "r0", "192.168.1.1/24")
        _cable(made.router, "r1", "198.51.100.2/24", made.host, "h1", f"{PUBLIC}/24")
        _cable(made.host, "h0", "172.17.0.1/16", made.container, "c0", f"{CONTAINER}/16")
        _run("ip", "-n", made.laptop, "route", "add", "default", "via", "192.168.1.1")
        _run("ip", "-n", made.container, "route", "add", "default", "via", "172.17.0.1")
        for place, inside, outside in ((made.router, "r0", "r1"), (made.host, "h0", "h1")):
            made.on(place, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            made.on(place, "iptables", "-P", "FORWARD", "DROP")
            made.on(place, "iptables", "-A", "FORWARD", "-i", inside, "-j", "ACCEPT")
            known = ("-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED")
            made.on(place, "iptables", "-A", "FORWARD", "-i", outside, *known, "-j", "ACCEPT")
        made.set_nat("cone")
        _publish(made)
        yield made
    finally:
        for place in places:
            with contextlib.suppress(subprocess.SubprocessError):
                _run("ip", "netns", "del", place)


def _publish(made: Lab) -> None:
    """What Docker does for `-p`: translate the address on the way in, and let it pass."""
    own = ("-s", "172.17.0.0/16", "!", "-o", "h0")
    made.on(made.host, "iptables", "-t", "nat", "-A", "POSTROUTING", *own, "-j", "MASQUERADE")
    for (kind, inside), outside in PUBLISHED.items():
        to = ("-j", "DNAT", "--to-destination", f"{CONTAINER}:{inside}")
        rule = ("-i", "h1", "-p", kind, "--dport", str(outside), *to)
        made.on(made.host, "iptables", "-t", "nat", "-A", "PREROUTING", *rule)
        allow = ("-i", "h1", "-d", CONTAINER, "-p", kind, "--dport", str(inside), "-j", "ACCEPT")
        made.on(made.host, "iptables", "-A", "FORWARD", *allow)


def _cable(one: str, one_end: str, one_address: str, other: str, other_end: str, other_address: str) -> None:
    _run("ip", "link", "add", one_end, "netns", one, "type", "veth", "peer", "name", other_end, "netns", other)
    for place, end, address in ((one, one_end, one_address), (other, other_end, other_address)):
        _run("ip", "-n", place, "addr", "add", address, "dev", end)
        _run("ip", "-n", place, "link", "set", end, "up")


def _run(*command: str) -> str:
    environment = {**os.environ, "PATH": _path()}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, env=environment
    )
    return done.stdout


def _path() -> str:
    """With the folders of the system's tools, which a user's shell may leave out."""
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
