"""One machine: its files, its services, its supervisord."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.certificate import Certificate
from deploy.machine.environment import Reach, certificate_of, connection, notice_file, reach, service_environment
from deploy.machine.keeper import is_well, read_http
from deploy.machine.keys import machine_keys, write_private, write_variables
from deploy.machine.services import engine_services, machine_services
from deploy.machine.settings import MachineSettings
from deploy.machine.supervisord import Layout, Supervisor, configuration
from deploy.turn import RelaySettings, write_configuration
from peer_remote.services.service import Health, Service
from signaling.network import main_address
from signaling.settings import StrictSettings

ROOT: Final = Path(__file__).resolve().parents[2]
END_S: Final = 45.0
"""How long all services together may take to end."""
POLL_S: Final = 0.2
STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Settings(StrictSettings):
    """What the machine itself reads; the services read the rest."""

    machine: MachineSettings = MachineSettings()


class MachineError(Exception):
    """The machine cannot be started or ended; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose files are written."""

    settings: MachineSettings
    layout: Layout
    certificate: Path
    services: tuple[Service, ...]
    where: Reach

    def well(self, health: Health) -> bool:
        """Put the question of a service's health once."""
        return is_well(health, certificate=self.certificate)

    def performs(self) -> bool:
        """Whether the double is in its room."""
        answer = read_http(
            f"https://127.0.0.1:{self.settings.signaling_port}/healthz", 3.0, certificate=self.certificate
        )
        try:
            return bool(json.loads(answer or b"{}")["rooms"][self.settings.room]["performer"])
        except (ValueError, LookupError, TypeError):
            return False

    @property
    def connection_file(self) -> Path:
        """One line that lets the operator in."""
        return self.layout.directory / "connection"

    @property
    def notice_file(self) -> Path:
        """What the performer tells everybody, as long as it is there."""
        return notice_file(self.layout.directory)


def describe(settings: MachineSettings, *, relays: bool | None = None) -> Machine:
    """The machine as its settings and this process's environment say, without writing anything."""
    layout = Layout(settings.dir.expanduser().absolute())
    own = main_address()
    relays = shutil.which("turnserver") is not None if relays is None else relays
    services = machine_services(
        settings,
        engine_services(),
        turn_configuration=layout.directory / "turnserver.conf" if relays else None,
        turn_address=own,
    )
    where = reach(settings, os.environ, own)
    return Machine(settings, layout, layout.directory / "tls" / "certificate.pem", services, where)


def prepare(settings: MachineSettings, defaults: Mapping[str, str], *, now_s: float) -> tuple[Machine, bool]:
    """Write every file; also whether something is different from what a running machine was started with.

    Raises SettingsError and OSError.
    """
    layout = Layout(settings.dir.expanduser().absolute())
    own = main_address()
    where = reach(settings, os.environ, own)
    layout.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.directory.chmod(0o700)
    before = _fingerprint(layout)
    keys = machine_keys(layout.directory / "secrets.env", os.environ)
    made: Certificate = certificate_of(settings, layout.directory / "tls", (where.address, own))
    relays = shutil.which("turnserver") is not None
    variables = service_environment(
        settings,
        os.environ,
        defaults,
        keys,
        certificate=made,
        where=where,
        own_address=own,
        relays=relays,
        now_s=now_s,
    )
    if relays:
        relay = RelaySettings(port=settings.turn_port, address=own)
        write_configuration(layout.directory / "turnserver.conf", relay, keys["UNDERSTUDY_SIGNALING__TURN_SECRET"])
    write_variables(layout.variables, variables)
    os.environ.update(variables)
    machine = describe(settings, relays=relays)
    text = configuration(machine.services, layout, python=Path(sys.executable), root=ROOT)
    write_private(layout.configuration, f"; {_commit()}\n{text}")
    line = connection(settings, keys["UNDERSTUDY_SIGNALING__SECRET"], where, made.pin, now_s=now_s)
    write_private(machine.connection_file, f"{line}\n")
    return machine, _fingerprint(layout) != before


def start_supervisord(machine: Machine, *, stays: bool) -> "subprocess.Popen[bytes] | None":
    """Start it; with `stays` as a child, which is returned, else behind us. Raises MachineError."""
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(machine.layout.configuration)]
    # Nothing of ours is inherited from here: every service reads its variables from the file.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    if stays:
        return subprocess.Popen([*command, "-n"], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        last = ((done.stderr or done.stdout).strip().splitlines() or ["no word"])[-1]
        raise MachineError(f"supervisord does not start: {last}.")
    return None


def end(
    machine: Machine,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """End all services and their supervisord; false when none ran. Raises MachineError."""
    supervisor = Supervisor(machine.layout)
    if not supervisor.runs():
        return False
    supervisor.shut_down()
    until_s = clock() + END_S
    while supervisor.runs() or _lives(machine.layout.pid):
        if clock() > until_s:
            raise MachineError(f"The services have not ended within {END_S:.0f} s; look at {machine.layout.logs}.")
        sleep(POLL_S)
    return True


def _lives(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _fingerprint(layout: Layout) -> str:
    """Of everything that the services read when they are started."""
    digest = hashlib.sha256()
    for file in (layout.configuration, layout.variables, layout.directory / "turnserver.conf"):
        digest.update(file.read_bytes() if file.is_file() else b"")
        digest.update(b"\0")
    return digest.hexdigest()


def _commit() -> str:
    """What is checked out; a new one starts the services anew."""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "no commit"
    return found.stdout.strip() if found.returncode == 0 else "no commit"


class Told(Exception):
    """We were told to stop, and have passed it on."""


def forward_stop(process: "subprocess.Popen[bytes]") -> None:
    """Pass on what tells us to stop; whatever we do then ends with Told."""

    def told(number: int, frame: object) -> None:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)
        process.terminate()
        raise Told

    for number in STOPS:
        signal.signal(number, told)


def load() -> MachineSettings:
    """The machine's settings. Raises SettingsError."""
    return Settings.load().machine
