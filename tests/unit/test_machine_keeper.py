"""A service is held to its description: what hangs is ended, what ends is told, what waits is not started early."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import local
from deploy.machine.keeper import UNWELL, Keeper, end_leftover, is_well, read_http, wait_for
from deploy.machine.supervisord import Layout, Supervisor
from peer_remote.services.service import Health, Service

HEALTH = Health("tcp", "tcp://127.0.0.1:1", every_s=5.0, failures=3)
SERVICE = Service("voice", ("serve",), HEALTH, start_s=60.0, stop_s=10.0)


class FakeProcess:
    """Runs on the test's clock: `ends` says at which second and with which status it ends by itself."""

    def __init__(self, ends: tuple[float, int] | None = None, *, obeys: bool = True) -> None:
        self.now_s = 0.0
        self.ends = ends
        self.obeys = obeys
        self.signals: list[str] = []

    def wait(self, timeout: float) -> int:
        if self.ends is not None and self.ends[0] <= self.now_s + timeout:
            self.now_s = max(self.now_s, self.ends[0])
            return self.ends[1]
        self.now_s += timeout
        raise subprocess.TimeoutExpired("serve", timeout)

    def terminate(self) -> None:
        self.signals.append("terminate")
        if self.obeys:
            self.ends = (self.now_s, -signal.SIGTERM)

    def kill(self) -> None:
        self.signals.append("kill")
        self.ends = (self.now_s, -signal.SIGKILL)


def keeper(process: FakeProcess, answers: dict[float, bool] | None = None) -> Keeper:
    """Well from the beginning on, but for the spans that begin at the seconds of `answers`."""

    def well(_: Health) -> bool:
        changes = [value for since, value in sorted((answers or {}).items()) if since <= process.now_s]
        return changes[-1] if changes else True

    return Keeper(SERVICE, process, well, clock=lambda: process.now_s)


def test_a_service_that_ends_is_told_by_its_status() -> None:
    assert keeper(FakeProcess((30.0, 3))).keep() == 3
    assert keeper(FakeProcess((30.0, -signal.SIGKILL))).keep() == 128 + signal.SIGKILL


def test_a_service_that_hangs_is_ended_to_be_started_again() -> None:
    process = FakeProcess()
    assert keeper(process, {100.0: False}).keep() == UNWELL
    assert process.signals == ["terminate"]
    assert process.now_s <= 100.0 + 4 * HEALTH.every_s


def test_a_busy_service_may_miss_a_question() -> None:
    process = FakeProcess((300.0, 0))
    assert keeper(process, {100.0: False, 109.0: True, 200.0: False, 209.0: True}).keep() == 0
    assert process.signals == []


def test_a_service_that_does_not_get_well_is_ended_after_its_time() -> None:
    process = FakeProcess()
    assert keeper(process, {0.0: False}).keep() == UNWELL
    assert SERVICE.start_s < process.now_s < SERVICE.start_s + 2


def test_a_service_that_ignores_the_end_is_ended_by_force() -> None:
    process = FakeProcess(obeys=False)
    assert keeper(process, {50.0: False}).keep() == UNWELL
    assert process.signals == ["terminate", "kill"]


def test_being_told_to_end_is_no_failure() -> None:
    process = FakeProcess()
    one = keeper(process)
    one.told_to_end()
    assert one.keep() == 0


def test_a_service_waits_for_those_before_it_but_not_for_ever() -> None:
    now = [0.0]
    before = Service("llm", ("x",), HEALTH, start_s=30.0)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    assert wait_for([before], lambda _: now[0] >= 7, clock=lambda: now[0], sleep=sleep) == []
    assert 7 <= now[0] < 8
    assert wait_for([before], lambda _: False, clock=lambda: now[0], sleep=sleep) == ["llm"]
    assert wait_for([], lambda _: False, clock=lambda: now[0], sleep=sleep) == []


def test_nothing_listens_at_a_closed_port() -> None:
    assert not is_well(Health("tcp", "tcp://127.0.0.1:1", timeout_s=1.0))
    assert not is_well(Health("http", "http://127.0.0.1:1/", timeout_s=1.0))
    assert is_well(Health("process"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_killed_keeper_left_is_ended_before_the_next_start(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    left = subprocess.Popen(command)
    try:
        pid_file = tmp_path / "turn.pid"
        pid_file.write_text(f"{left.pid}\n")
        assert not end_leftover(pid_file, ("another", "program")), "a number that was given anew is another's"
        until_s = time.monotonic() + 5
        while not end_leftover(pid_file, command) and time.monotonic() < until_s:
            os.sched_yield()  # between fork and exec it has its parent's command line
        assert left.wait(5) == -signal.SIGKILL
        assert not end_leftover(tmp_path / "none.pid", command)
    finally:
        left.kill()
        left.wait()


@contextmanager
def saying(answer: bytes, server: socket.socket) -> Iterator[None]:
    """Somebody who says this to whoever comes first, and hangs up."""

    def answers() -> None:
        guest, _ = server.accept()
        with guest:
            guest.recv(65_536)
            guest.sendall(answer)

    with server:
        thread = threading.Thread(target=answers)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 two hundred\r\n\r\n"])
def test_an_answer_that_is_no_http_is_no_answer(answer: bytes) -> None:
    for ask in (lambda url: read_http(url, 3.0), local.read_health):
        server = socket.create_server(("127.0.0.1", 0))
        with saying(answer, server):
            assert ask(f"http://127.0.0.1:{server.getsockname()[1]}") is None


def test_a_supervisord_that_breaks_off_does_not_run(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(layout.socket))
    server.listen()
    with saying(b"HTTP/1.0 500 no\r\n\r\n", server):
        assert not Supervisor(layout).runs()
