"""Services of real processes: kept running, ended in order, and never left behind."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from peer_remote.services.guard import end
from peer_remote.services.lifecycle import Backoff, State
from peer_remote.services.log_file import LogFile, LogPipe
from peer_remote.services.processes import Child, ChildProcess, Guard
from peer_remote.services.service import Health, Service
from peer_remote.services.supervisor import Status, Supervisor
from tests.language_server import free_port
from tests.processes import stop
from tests.small_services import CRASHES, HANGS, LATE, PARENT, STUBBORN, WELL, alive, log_of, small_service

SOON = Backoff(first_s=0.05, longest_s=0.1)
LIMIT_S = 20.0


class Machine:
    """A supervisor with its services' logs in a folder."""

    def __init__(self, services: tuple[Service, ...], directory: Path, guard: Guard) -> None:
        self.directory = directory
        self.order: list[str] = []
        self.shown: list[bytes] = []
        self._guard = guard
        self._files = {
            service.name: LogFile(directory / f"{service.name}.log", most_bytes=10_000, kept=1) for service in services
        }
        self.supervisor = Supervisor(services, start=self._start, backoff=SOON)

    async def _start(self, service: Service) -> Child:
        self.order.append(service.name)
        hidden = [secret.get_secret_value() for secret in service.secrets.values()]
        log = LogPipe(service.name, self._files[service.name], self.shown.append, secrets=hidden)
        environment = {**os.environ, **service.environment}
        return await ChildProcess.start(service.command, environment, log, self._guard)

    def status(self, name: str) -> Status:
        return next(status for status in self.supervisor.statuses() if status.name == name)

    async def until_well(self, name: str, *, restarts: int = 0) -> Status:
        await until(lambda: self.status(name).state is State.WELL and self.status(name).restarts >= restarts)
        return self.status(name)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


@asynccontextmanager
async def running(directory: Path, *services: Service) -> AsyncIterator[Machine]:
    """At the end everything has ended in order."""
    guard = Guard()
    guard.open()
    machine = Machine(services, directory, guard)
    keeping = asyncio.create_task(machine.supervisor.run())
    try:
        yield machine
        machine.supervisor.end()
        async with asyncio.timeout(LIMIT_S):
            await keeping
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        guard.close()
        machine.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def child_of(machine: Machine, name: str) -> int:
    """The process that the PARENT has started."""
    return int(log_of(machine.directory, name).split("child ")[1].split()[0])


async def test_a_service_that_is_killed_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    llm, voice = small_service("llm", WELL, free_port()), small_service("voice", WELL, free_port())
    async with running(tmp_path, llm, voice) as machine:
        before, other = await machine.until_well("llm"), await machine.until_well("voice")
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        after = await machine.until_well("llm", restarts=1)
        assert after.pid != before.pid and after.restarts == 1
        assert machine.status("voice").pid == other.pid
    assert {status.state for status in machine.supervisor.statuses()} == {State.ENDED}
    assert after.pid is not None and not alive(after.pid)


async def test_what_a_killed_service_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    async with running(tmp_path, small_service("voice", PARENT, free_port())) as machine:
        before = await machine.until_well("voice")
        left = child_of(machine, "voice")
        assert before.pid is not None and alive(left)
        os.kill(before.pid, signal.SIGKILL)
        await machine.until_well("voice", restarts=1)
        assert not alive(left)


async def test_the_performer_is_started_when_the_servers_are_well_and_ended_before_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    llm = small_service("llm", LATE, free_port())
    performer = small_service("performer", WELL, free_port(), after=("llm",))
    with caplog.at_level(logging.INFO, "peer_remote.services"):
        async with running(tmp_path, performer, llm) as machine:
            await machine.until_well("performer")
    events = [(record.getMessage(), vars(record)["service"]) for record in caplog.records]
    assert events == [
        ("service_started", "llm"),
        ("service_well", "llm"),
        ("service_started", "performer"),
        ("service_well", "performer"),
        ("service_stopping", "performer"),
        ("service_ended", "performer"),
        ("service_stopping", "llm"),
        ("service_ended", "llm"),
    ]


async def test_a_server_that_keeps_failing_is_told_once_and_does_not_hold_up_the_performer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    llm = small_service("llm", CRASHES, free_port())
    performer = small_service("performer", WELL, free_port(), after=("llm",))
    with caplog.at_level(logging.ERROR, "peer_remote.services"):
        async with running(tmp_path, llm, performer) as machine:
            await machine.until_well("performer")
            await until(lambda: machine.status("llm").restarts >= 5)
    (told,) = [record for record in caplog.records if record.getMessage() == "service_keeps_failing"]
    assert vars(told)["reason"] == (
        "llm failed 3 times in a row and is tried again and again; it ended with exit status 1, and the end of llm.log "
        "says why."
    )
    assert "nothing works" in log_of(tmp_path, "llm")


async def test_a_performer_waits_for_each_server_as_long_as_that_may_take_and_no_longer(tmp_path: Path) -> None:
    llm = Service("llm", (), Health("tcp", f"http://127.0.0.1:{free_port()}", every_s=0.2), start_s=0.5)
    voice = small_service("voice", WELL, free_port(), start_s=600.0)
    performer = small_service("performer", WELL, free_port(), after=("llm", "voice"))
    async with running(tmp_path, llm, voice, performer) as machine:
        await machine.until_well("performer")
        assert machine.status("llm").state is State.UNWELL


async def test_a_service_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    service = replace(small_service("llm", WELL, free_port()), stop_s=0.2)
    async with running(tmp_path, service) as machine:
        before = await machine.until_well("llm")
        assert before.pid is not None
        os.kill(before.pid, signal.SIGSTOP)
        after = await machine.until_well("llm", restarts=1)
        assert after.pid != before.pid and not alive(before.pid)


async def test_a_voice_server_that_answers_nothing_while_it_works_is_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path, small_service("voice", HANGS, free_port(), kind="tcp")) as machine:
        await machine.until_well("voice")
        await until(lambda: machine.status("voice").in_state_s > 0.8)
        assert machine.status("voice").restarts == 0


async def test_what_ignores_being_told_to_end_is_killed(tmp_path: Path) -> None:
    service = replace(small_service("llm", STUBBORN, free_port()), stop_s=0.3)
    async with running(tmp_path, service) as machine:
        pid = (await machine.until_well("llm")).pid
    assert pid is not None and not alive(pid)


async def test_told_twice_it_waits_for_nobody(tmp_path: Path) -> None:
    service = replace(small_service("llm", STUBBORN, free_port()), stop_s=600.0)
    guard = Guard()
    guard.open()
    machine = Machine((service,), tmp_path, guard)
    keeping = asyncio.create_task(machine.supervisor.run())
    pid = (await machine.until_well("llm")).pid
    machine.supervisor.end()
    await until(lambda: machine.status("llm").state is State.STOPPING)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    guard.close()
    machine.close()
    assert pid is not None and not alive(pid)


async def test_a_program_that_does_not_exist_is_a_failure_like_others(tmp_path: Path) -> None:
    service = replace(small_service("llm", WELL, free_port()), command=("/no/such/program",))
    async with running(tmp_path, service) as machine:
        await until(lambda: machine.status("llm").reason == "cannot be started: No such file or directory")


async def test_a_service_elsewhere_is_only_watched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        elsewhere = Service("llm", (), Health("tcp", f"http://127.0.0.1:{port}", every_s=0.05))
        async with running(tmp_path, elsewhere) as machine:
            await machine.until_well("llm")
            listener.close()
            await until(lambda: machine.status("llm").state is State.UNWELL)
            assert machine.order == [] and not machine.status("llm").here


async def test_logs_have_the_name_in_front_in_the_terminal_and_never_a_key(tmp_path: Path) -> None:
    talks = "import os; print('my key is', os.environ['KEY'], flush=True); import time; time.sleep(600)"
    service = Service(
        "llm",
        (sys.executable, "-c", talks),
        Health("process"),
        environment={"KEY": "open-sesame"},
        secrets={"KEY": SecretStr("open-sesame")},
    )
    async with running(tmp_path, service) as machine:
        await until(lambda: bool(machine.shown))
    assert machine.shown == [b"llm | my key is [withheld]\n"]
    assert log_of(tmp_path, "llm") == "my key is [withheld]\n"
    assert (tmp_path / "llm.log").stat().st_mode & 0o777 == 0o600


async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    program = tmp_path / "machine.py"
    program.write_text(_MACHINE.format(ports=ports, directory=str(tmp_path)))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    supervisor = await asyncio.create_subprocess_exec(sys.executable, str(program), env=environment)
    try:
        for port in ports:
            await until(lambda port=port: listens(port))  # type: ignore[misc]
        started = [process.pid for process in psutil.Process(supervisor.pid).children(recursive=True)]
        assert len(started) == 4  # two services, one with a child of its own, and the guard
        supervisor.kill()
        await supervisor.wait()
        await until(lambda: not any(alive(pid) for pid in started))
    finally:
        await stop(supervisor, 0.0)


_MACHINE = """
import asyncio
from pathlib import Path
from tests.component.test_supervisor import running
from tests.processes import stop
from tests.small_services import PARENT, WELL, small_service

async def main():
    services = small_service("voice", PARENT, {ports}[0]), small_service("llm", WELL, {ports}[1])
    async with running(Path({directory!r}), *services):
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_a_guard_that_was_killed_is_replaced_and_knows_all_that_runs() -> None:
    guard = Guard()
    guard.open()
    (first,) = guards()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
    guard.watch(sleeper.pid)
    first.kill()
    first.wait(10)
    guard.watch(sleeper.pid)
    (second,) = guards()
    assert second.pid != first.pid
    closing = threading.Thread(target=guard.close)
    closing.start()
    assert sleeper.wait(10) == -signal.SIGTERM
    closing.join()


def test_what_ignores_the_guard_is_killed_with_its_children() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", stubborn], process_group=0, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        end({process.pid, 1 << 22}, grace_s=0.2)
    assert process.wait(10) == -signal.SIGKILL


def guards() -> list[psutil.Process]:
    """The guards of this process that run."""
    children = psutil.Process().children()
    return [child for child in children if alive(child.pid) and any("guard.py" in word for word in child.cmdline())]
