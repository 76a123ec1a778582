"""`python -m deploy.machine`: start this machine's services (deploy/onstart.sh does), see how they are, end them."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from deploy.console import say
from deploy.machine import machine as machines
from deploy.machine.age import age_s, birth_of_first_process, can_be_destroyed
from deploy.machine.curfew import Curfew
from deploy.machine.keeper import note_pid, read_http, run_service, wait_for
from deploy.machine.keys import read_variables
from deploy.machine.machine import ROOT, Machine, MachineError, Told
from deploy.machine.plan import find_gpu, make_plan
from deploy.machine.progress import Progress, last_lines
from deploy.machine.readiness import NotReady, wait_until_ready
from deploy.machine.services import environment_of, keeps_itself, metrics_url
from deploy.machine.settings import MachineSettings
from deploy.machine.supervisord import Program, Supervisor
from deploy.machine.watchdog import Watchdog, limits_of, notice_teller, read_sight, watch
from deploy.vast.wire import destroy_self
from peer_remote.services.errors import ServicesError
from signaling import logs
from signaling.settings import SettingsError

FORESEEN = (SettingsError, ServicesError, MachineError, NotReady, OSError, ValueError)
LOOK_S = 1.0
METRICS_TIMEOUT_S = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 with one sentence when something is wrong, 2 for wrong settings."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "up":
            return _up(machines.load(), stays=options.stay)
        _take_variables(machines.load().dir.expanduser() / "machine.env")
        settings = machines.load()
        if options.command == "run":
            return _run(settings, options.name)
        if options.command == "watchdog":
            return _watchdog(settings)
        if options.command == "status":
            return _status(settings)
        return _down(settings)
    except FORESEEN as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.machine",
        description="The services of this machine under supervisord. Settings are UNDERSTUDY_MACHINE__<KEY>.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{up,status,down}")
    up = commands.add_parser("up", help="start what does not run, and wait until everything is well")
    up.add_argument("--stay", action="store_true", help="end with the services, as a container's first process does")
    commands.add_parser("status", help="which service runs and whether it is well")
    commands.add_parser("down", help="end all services")
    run = commands.add_parser("run", description="What supervisord starts: one service in the foreground.")
    run.add_argument("name")
    commands.add_parser("watchdog", description="What ends the machine in time; supervisord starts it.")
    return parser


def _up(settings: MachineSettings, *, stays: bool) -> int:
    progress = Progress(settings.dir.expanduser() / "progress")
    child: subprocess.Popen[bytes] | None = None
    try:
        weights = Path(os.environ.get("UNDERSTUDY_WEIGHTS__DIR") or user_cache_path("understudy") / "weights")
        plan = make_plan(os.environ, find_gpu(), directory=settings.dir.expanduser().absolute(), weights=weights)
        machine, changed = machines.prepare(settings, plan.defaults, now_s=time.time())
        supervisor = Supervisor(machine.layout)
        if changed and machines.end(machine):
            progress.note("compile", "the settings are new; the services are started again")
        if stays or not supervisor.runs():
            machines.end(machine)
            child = machines.start_supervisord(machine, stays=stays)
        if child is not None:
            machines.forward_stop(child)
        took_s = wait_until_ready(
            machine.services,
            well=machine.well,
            performs=machine.performs,
            programs=lambda: _programs(supervisor),
            progress=progress,
        )
    except Told:
        return _ended(child)
    except NotReady as error:
        tail = last_lines(machine.layout.log_of(error.service)) if error.service else []
        progress.failed(error.phase, str(error), tail)
        if child is not None:
            child.terminate()
            child.wait()
        return 1
    except (SettingsError, ServicesError, MachineError, OSError, ValueError) as error:
        progress.failed("compile", str(error))
        return 2 if isinstance(error, SettingsError) else 1
    address = f"{machine.where.address}:{machine.where.signaling_port}"
    progress.done("ready", f"the double is on stage after {took_s:.0f} s; it is reached at {address}")
    say(f"What lets you in is in {machine.connection_file}; give it to `make local` as UNDERSTUDY_LOCAL__CONNECTION.")
    try:
        return child.wait() if child is not None else 0
    except Told:
        return _ended(child)


def _ended(child: "subprocess.Popen[bytes] | None") -> int:
    """Wait for a supervisord that was told to end; it gives each service its time."""
    if child is not None:
        child.wait()
    return 0


def _programs(supervisor: Supervisor, patience_s: float = 10.0) -> dict[str, Program]:
    """What runs; a supervisord that has just been started gets its time to listen."""
    until_s = time.monotonic() + patience_s
    while True:
        try:
            return dict(supervisor.programs())
        except OSError:
            if time.monotonic() > until_s:
                raise OSError("supervisord does not answer; its log says why.") from None
            time.sleep(LOOK_S)


def _take_variables(file: Path) -> None:
    """Let what the machine was started with count here too: a shell that comes later has none of it."""
    if file.is_file():
        os.environ.update(read_variables(file))


def _run(settings: MachineSettings, name: str) -> int:
    machine = machines.describe(settings)
    service = next((one for one in machine.services if one.name == name), None)
    if service is None:
        raise SettingsError(f"{name} is no service of this machine.")
    variables = read_variables(machine.layout.variables)
    before = [one for one in machine.services if one.name in service.after]
    for missing in wait_for(before, machine.well):
        print(f"{missing} is not well yet; {name} is started without it.", file=sys.stderr, flush=True)
    environment = environment_of(name, variables) | dict(service.environment)
    environment |= {key: secret.get_secret_value() for key, secret in service.secrets.items()}
    pid_file = machine.layout.directory / "run" / f"{name}.pid"
    if keeps_itself(service):
        note_pid(pid_file, os.getpid())
        os.execve(service.command[0], service.command, environment)
    return run_service(service, environment, machine.well, cwd=ROOT, pid_file=pid_file)


def _watchdog(settings: MachineSettings) -> int:
    machine = machines.describe(settings)
    at_end = settings.at_end
    if at_end == "destroy" and not can_be_destroyed():
        print("This machine is not rented with a key of its own; at the end its services stop.", file=sys.stderr)
        at_end = "stop"
    age = age_s(machine.layout.directory / "began", now_s=time.time(), birth=birth_of_first_process())
    watchdog = Watchdog(
        Curfew(limits_of(settings), now_s=time.monotonic(), age_s=age),
        at_end=at_end,
        sight=lambda: read_sight(read_http(metrics_url(settings), METRICS_TIMEOUT_S)),
        tell=notice_teller(machine.notice_file),
        stop=Supervisor(machine.layout).shut_down,
        destroy=lambda: destroy_self(os.environ),
    )
    watch(watchdog)
    return 0


def _status(settings: MachineSettings) -> int:
    machine = machines.describe(settings)
    supervisor = Supervisor(machine.layout)
    if not supervisor.runs():
        print("Nothing runs here; start it with `bash deploy/onstart.sh`.")
        return 1
    programs = supervisor.programs()
    ill = False
    for service in machine.services:
        program = programs.get(service.name)
        state = program.state if program else "missing"
        well = state == "RUNNING" and machine.well(service.health)
        ill = ill or not well
        health = "well" if well else "not well"
        print(f"{service.name:12} {state.lower():10} {health:9} {machine.layout.log_of(service.name)}")
    performs = machine.performs()
    print(f"The double is {'on stage' if performs else 'not on stage'}.")
    return 0 if performs and not ill else 1


def _down(settings: MachineSettings) -> int:
    machine: Machine = machines.describe(settings)
    print("All services have ended." if machines.end(machine) else "Nothing ran.")
    return 0


if __name__ == "__main__":
    logs.setup("info")
    sys.exit(main())
