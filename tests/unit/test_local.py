"""The launcher: ports, health, and children that end when they should."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local import Children, LaunchError, performer_is_there, performs_elsewhere, wait_until
from deploy.ports import PortError, choose_port
from signaling.settings import SettingsError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
ENDS_WHEN_TOLD = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"


def program(folder: Path, name: str, body: str) -> dict[str, str]:
    """A module that the launcher can start, and the environment that finds it."""
    (folder / f"{name}.py").write_text(body)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.getcwd()])}


@pytest.fixture
def taken_port() -> object:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_taken_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert choose_port("127.0.0.1", free, fixed=True, say=pytest.fail) == free


def test_a_port_in_use_is_said_in_one_sentence_and_the_next_free_one_is_taken(taken_port: int) -> None:
    said: list[str] = []
    chosen = choose_port("127.0.0.1", taken_port, fixed=False, say=said.append)
    assert chosen > taken_port
    assert said == [f"Port {taken_port} is in use, taking {chosen}."]


def test_a_port_that_the_user_named_is_not_replaced(taken_port: int) -> None:
    with pytest.raises(PortError, match=rf"^Port {taken_port} on 127\.0\.0\.1 is in use; .*UNDERSTUDY_SIGNALING__PORT"):
        choose_port("127.0.0.1", taken_port, fixed=True, say=pytest.fail)


def test_port_0_means_any_free_port() -> None:
    assert choose_port("127.0.0.1", 0, fixed=True, say=pytest.fail) > 0


def test_the_operators_terminal_is_spared_the_log_and_told_where_it_is(tmp_path: Path) -> None:
    with (tmp_path / "double.log").open("wb") as log:
        children = Children(log=log)
        children.start("fails", env=program(tmp_path, "fails", "import sys; sys.exit('no voice today')"))
        children.started["fails"].wait(10)
        with pytest.raises(LaunchError, match=r"fails ended with exit status 1, the end of .*double\.log says why"):
            children.require_alive()
        children.stop()
    assert "no voice today" in (tmp_path / "double.log").read_text()


@pytest.mark.parametrize(
    ("health", "there"),
    [
        (None, False),
        ({"status": "ok"}, False),
        ({"status": "ok", "rooms": {}}, False),
        ({"status": "ok", "rooms": {"other": {"performer": True}}}, False),
        ({"status": "ok", "rooms": {"main": {"performer": False}}}, False),
        ({"status": "ok", "rooms": {"main": {"performer": True, "viewers": 0}}}, True),
    ],
)
def test_the_double_is_ready_when_its_room_has_a_performer(health: dict[str, object] | None, there: bool) -> None:
    assert performer_is_there(health, "main") is there


def test_waiting_reports_and_gives_up() -> None:
    now = [0.0]
    said: list[str] = []

    def sleep(seconds: float) -> None:
        now[0] += 5

    with pytest.raises(LaunchError, match="The double has not come within 40 s"):
        wait_until(
            lambda: False,
            Children(),
            what="The double",
            limit_s=40,
            say=said.append,
            clock=lambda: now[0],
            sleep=sleep,
        )
    assert said == ["  15 s", "  30 s"]


def test_a_child_that_ends_by_itself_is_named_with_its_status(tmp_path: Path) -> None:
    children = Children()
    children.start("fails", env=program(tmp_path, "fails", "raise SystemExit(3)"))
    children.started["fails"].wait(20)
    with pytest.raises(LaunchError, match="fails ended with exit status 3, the lines above say why"):
        wait_until(lambda: False, children, what="it", limit_s=20, say=pytest.fail)
    children.stop()


@POSIX
def test_children_end_gracefully_when_they_are_stopped(tmp_path: Path) -> None:
    body = f"{ENDS_WHEN_TOLD}open({str(tmp_path / 'up')!r}, 'w').close()\ntime.sleep(60)"
    children = Children()
    children.start("polite", env=program(tmp_path, "polite", body))
    wait_until((tmp_path / "up").exists, children, what="it", limit_s=20, say=pytest.fail)
    children.stop()
    assert children.started["polite"].returncode == 0


@POSIX
def test_a_child_that_does_not_listen_is_ended_by_force(tmp_path: Path) -> None:
    body = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    body += f"open({str(tmp_path / 'up')!r}, 'w').close()\ntime.sleep(60)"
    children = Children()
    children.start("stubborn", env=program(tmp_path, "stubborn", body))
    wait_until((tmp_path / "up").exists, children, what="it", limit_s=20, say=pytest.fail)
    children.stop(within_s=0.6)
    assert children.started["stubborn"].returncode == -signal.SIGKILL


@POSIX
def test_children_do_not_outlive_a_launcher_that_was_killed(tmp_path: Path) -> None:
    polite = f"{ENDS_WHEN_TOLD}import os\nos.write({{pipe}}, b'up')\ntime.sleep(60)"
    reading, writing = os.pipe()
    program(tmp_path, "polite", polite.format(pipe="int(os.environ['ALIVE'])"))
    launcher = (
        "import os, sys, time\n"
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-m', 'deploy.child', 'polite'], stdin=subprocess.PIPE,"
        " pass_fds=[int(os.environ['ALIVE'])], process_group=0)\n"
        "time.sleep(60)"
    )
    environment = {**os.environ, "ALIVE": str(writing), "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"}
    process = subprocess.Popen([sys.executable, "-c", launcher], env=environment, pass_fds=[writing])
    os.close(writing)
    assert os.read(reading, 2) == b"up"
    process.kill()
    process.wait()
    assert os.read(reading, 2) == b"", "the child closed its end of the pipe: it is gone"
    os.close(reading)


def test_wrong_settings_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from deploy.local import LocalSettings

    monkeypatch.setenv("UNDERSTUDY_SIGNALING__PORT", "many")
    with pytest.raises(SettingsError, match="UNDERSTUDY_SIGNALING__PORT"):
        LocalSettings.load()


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), ([], 1)])
def test_the_child_program_says_what_it_is_for(arguments: list[str], status: int) -> None:
    command = [sys.executable, "-m", "deploy.child", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == status
    assert "python -m deploy.child MODULE" in done.stdout + done.stderr


def test_the_operators_flags_are_looked_at_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDERSTUDY_LOCAL__SIGNALING_URL", raising=False)
    assert not performs_elsewhere([]) and not performs_elsewhere(["run", "--camera.fps", "25"])
    assert performs_elsewhere(["--local.signaling_url", "wss://meet.example.org/ws"]) == "meet.example.org"
    connection = f"understudy://1.main.operator.1800000000.mac@203.0.113.7:33526/main/{'A' * 43}"
    assert performs_elsewhere(["--local.connection", connection]) == "203.0.113.7:33526"
    for wrong in (["--camera.fpz", "25"], ["--camera.fps", "many"], ["run", "twice"]):
        with pytest.raises(SettingsError):
            performs_elsewhere(wrong)
    monkeypatch.setenv("UNDERSTUDY_LOCAL__SIGNALING_URL", "wss://meet.example.org/ws")
    assert performs_elsewhere([])


@POSIX
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(("listens", "ended"), [(True, "polite\n"), (False, "")])
def test_a_launcher_that_is_told_to_end_ends_the_operators_program(
    tmp_path: Path, name: str, listens: bool, ended: str
) -> None:
    handler = "lambda *_: (print('polite', flush=True), sys.exit(0))" if listens else "signal.SIG_IGN"
    body = "import signal, sys, time\n"
    body += f"signal.signal(signal.SIGTERM, {handler})\nprint('up', flush=True)\ntime.sleep(60)"
    environment = program(tmp_path, "peer_local_fake", body)
    launcher = (
        "import signal, subprocess, sys\n"
        "from deploy import local\n"
        "run = subprocess.Popen\n"
        "local.subprocess.Popen = lambda command, **rest: run([*command[:2], 'peer_local_fake'], **rest)\n"
        "for number in local.STOPS: signal.signal(number, local._interrupt)\n"
        "sys.exit(local.operate({}, [], stop_s=0.3))"
    )
    process = subprocess.Popen([sys.executable, "-c", launcher], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    process.send_signal(signal.Signals[name])
    assert process.wait(20) == 0
    with process.stdout as rest:
        assert rest.read() == ended, "it closed its end of the pipe: it is gone"
