"""Setting up: what is done, what is skipped, and what a person is told."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import bootstrap, commands
from deploy.commands import ROOT, run_command
from deploy.console import SetupError, run_logged
from deploy.environment import Environment, pinned_version
from deploy.llama import CMAKE_ARGS, LlamaWheel
from deploy.system import (
    Apt,
    require_browser,
    require_compiler,
    require_libraries,
    require_network_lab,
    require_sound_server,
)


class FakeApt(Apt):
    """Remembers what would be installed."""

    def __init__(self, usable: bool = True) -> None:
        self.usable = usable
        self.installed: list[str] = []

    def install(self, packages: object, why: str) -> None:
        if not self.usable:
            super().install(list(packages), why)  # type: ignore[call-overload]
        self.installed += list(packages)  # type: ignore[call-overload]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("llama-cpp-python==1.2.3\nnumpy==2.0 ; python_version > '3'\n")
    return tmp_path


@pytest.fixture
def steps(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an Environment below `root` does, without doing it."""
    done: list[str] = []

    def create(self: Environment) -> None:
        done.append("create")
        self.python.parent.mkdir(parents=True)
        self.python.touch()

    monkeypatch.setattr(Environment, "_works", lambda self: self.python.is_file())
    monkeypatch.setattr(Environment, "_create", create)
    monkeypatch.setattr(Environment, "_llama_runs", lambda self: "broken" not in done[-1])
    monkeypatch.setattr(Environment, "_pip", lambda self, what, *arguments: done.append(f"pip {' '.join(arguments)}"))
    monkeypatch.setattr(LlamaWheel, "path", lambda self: Path("llama.whl"))
    monkeypatch.setattr(LlamaWheel, "build", lambda self: Path("rebuilt.whl"))
    return done


def test_a_second_start_installs_nothing(root: Path, steps: list[str]) -> None:
    Environment(root, FakeApt()).ensure(["dev"])
    assert steps == ["create", "pip -e .[dev] llama.whl"]
    Environment(root, FakeApt()).ensure(["dev"])
    Environment(root, FakeApt()).ensure()
    assert len(steps) == 2


def test_a_changed_dependency_is_installed(root: Path, steps: list[str]) -> None:
    Environment(root, FakeApt()).ensure()
    (root / "constraints.txt").write_text("llama-cpp-python==1.2.4\n")
    Environment(root, FakeApt()).ensure()
    assert steps == ["create", "pip -e . llama.whl", "pip -e . llama.whl"]


def test_tests_after_a_run_add_what_they_need(root: Path, steps: list[str]) -> None:
    Environment(root, FakeApt()).ensure()
    Environment(root, FakeApt()).ensure(["dev"])
    assert steps[-1] == "pip -e .[dev] llama.whl"
    assert json.loads((root / ".venv" / "understudy.json").read_text())["extras"] == ["dev"]


def test_a_prebuilt_wheel_that_does_not_run_here_is_built_anew(
    root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LlamaWheel, "path", lambda self: Path("broken.whl"))
    Environment(root, FakeApt()).ensure()
    assert steps[-1] == "pip --force-reinstall --no-deps rebuilt.whl"


def test_an_interrupted_installation_is_done_again(
    root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Environment, what: str, *arguments: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Environment, "_pip", interrupted)
        Environment(root, FakeApt()).ensure()
    Environment(root, FakeApt()).ensure()
    assert steps == ["create", "pip -e . llama.whl"]


def test_versions_come_from_the_constraints(root: Path) -> None:
    assert pinned_version(root / "constraints.txt", "numpy") == "2.0"
    with pytest.raises(SetupError, match=r"constraints\.txt does not say which version of rich to use"):
        pinned_version(root / "constraints.txt", "rich")


def test_every_dependency_is_pinned_without_addresses() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all("==" in line and "://" not in line and "@" not in line for line in lines)
    names = {line.split("==")[0] for line in lines}
    assert {"llama-cpp-python", "aiortc", "numpy", "pytest", "torch", "diffusers"} <= names


def test_a_built_wheel_is_found_again_only_by_the_same_kind_of_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wheel(version: str = "1.0") -> LlamaWheel:
        return LlamaWheel(Path(sys.executable), version, FakeApt(), cache=tmp_path)

    wheel().directory.mkdir(parents=True)
    built = wheel().directory / "llama_cpp_python-1.0-py3-none-any.whl"
    built.touch()
    assert wheel().path() == built
    assert wheel("1.1").cached() is None
    with monkeypatch.context() as patch:
        patch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on")
        assert wheel().cached() is None
    with monkeypatch.context() as patch:
        patch.setattr("deploy.llama._processor", lambda: "another processor")
        assert wheel().cached() is None


def test_the_build_uses_this_processor_and_all_its_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    def build(command: list[str], what: str, log: Path, *, env: dict[str, str]) -> bool:
        seen.update(env, what=what, command=" ".join(command))
        (Path(command[command.index("--wheel-dir") + 1]) / "llama_cpp_python-1.0-py3-none-any.whl").touch()
        return True

    monkeypatch.delenv("CMAKE_ARGS", raising=False)
    monkeypatch.setattr("deploy.llama.run_logged", build)
    monkeypatch.setattr("deploy.llama.cores", lambda: 2)
    wheel = LlamaWheel(Path(sys.executable), "1.0", FakeApt(), cache=tmp_path)
    assert wheel.build() == wheel.cached()
    assert seen["CMAKE_ARGS"] == CMAKE_ARGS
    assert "GGML_NATIVE=ON" in CMAKE_ARGS
    assert seen["CMAKE_BUILD_PARALLEL_LEVEL"] == "2"
    assert seen["what"] == "Building llama-cpp-python, about 4 min on 2 cores, once for this machine"
    assert seen["command"].endswith("llama-cpp-python==1.0")


def test_a_failed_build_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.llama.run_logged", lambda *_, **__: False)
    with pytest.raises(SetupError, match="could not be built"):
        LlamaWheel(Path(sys.executable), "1.0", FakeApt(), cache=tmp_path).build()


def test_one_source_of_packages_that_does_not_answer_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    fake = tmp_path / "apt-get"
    fake.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n[ "$1" != update ]\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    apt = Apt()
    apt.usable = True
    apt.install(["coturn"], "coturn")
    install = calls.read_text().splitlines()[-1]
    assert install.startswith("install ") and install.endswith("coturn")
    assert "DPkg::Lock::Timeout=" in install, "another one may be at work, as after a machine's boot"


def test_the_end_of_a_failed_commands_log_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import sys; [print('line', n) for n in range(100)]; sys.exit(3)"
    assert not run_logged([sys.executable, "-c", program], "Building it", tmp_path / "build.log")
    said = capsys.readouterr().out
    assert "Building it …" in said
    assert "| line 99" in said
    assert "line 10\n" not in said
    assert f"the whole log is {tmp_path / 'build.log'}" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these libraries")
def test_missing_libraries_are_installed_or_named() -> None:
    apt = FakeApt()
    require_libraries(apt, loads=lambda name: name != "libEGL.so.1", has_plugin=lambda: True)
    assert apt.installed == ["libegl1"]
    with pytest.raises(SetupError, match=r"libportaudio\.so\.2 is missing; .* `sudo apt-get install -y libportaudio2`"):
        require_libraries(FakeApt(usable=False), loads=lambda name: "portaudio" not in name, has_plugin=lambda: True)


@pytest.mark.skipif(sys.platform != "linux", reason="ALSA is Linux'")
def test_a_missing_way_to_the_sound_server_is_installed() -> None:
    apt = FakeApt()
    require_libraries(apt, loads=lambda name: True, has_plugin=lambda: False)
    assert apt.installed == ["libasound2-plugins"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this sound server")
def test_a_sound_server_for_the_tests_is_installed_only_where_that_is_ours_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    apt = FakeApt()
    require_sound_server(apt)
    assert apt.installed == ["pulseaudio", "pulseaudio-utils"]
    require_sound_server(FakeApt(usable=False))
    assert "tests of real sound devices are skipped" in capsys.readouterr().out
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    require_sound_server(apt)
    assert len(apt.installed) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs network namespaces")
def test_a_turn_server_for_the_tests_is_installed_only_where_that_is_ours_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: None if program == "turnserver" else "/bin/there")
    apt = FakeApt()
    require_network_lab(apt)
    assert apt.installed == ["coturn"]
    require_network_lab(FakeApt(usable=False))
    assert "Without turnserver the tests of home networks (NAT) and TURN are skipped" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its own places for them")
def test_a_missing_compiler_and_a_missing_browser_are_installed_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("deploy.system.BROWSER_PLACES", ())
    apt = FakeApt()
    require_compiler(apt)
    require_browser(apt)
    assert apt.installed == ["build-essential", "chromium"]
    with pytest.raises(SetupError, match="`sudo apt-get install -y chromium`"):
        require_browser(FakeApt(usable=False))


def test_an_unknown_command_names_the_known_ones() -> None:
    with pytest.raises(SetupError, match="fly is not a command; commands are run, local, avatar, setup, test"):
        run_command("fly", [])


@pytest.mark.parametrize(
    ("name", "arguments", "extras", "started"),
    [
        ("avatar", ["me.mp4"], ("musetalk",), [["models.face", "prepare", "--fetch", "me.mp4"]]),
        ("avatar", ["--help"], (), [["models.face", "prepare", "--fetch", "--help"]]),
        ("avatar", [], (), [["models.face", "prepare", "--fetch"]]),
        ("bench", ["turn"], ("dev",), [["models", "fetch", "embedded"], ["tests.bench", "turn"]]),
        ("bench", ["puppet"], ("dev",), [["models", "fetch", "embedded", "test-photo"], ["tests.bench", "puppet"]]),
        ("bench", ["musetalk"], ("dev", "musetalk"), [["tests.bench", "musetalk"]]),
        ("bench", [], ("dev",), [["tests.bench"]]),
        ("bench", ["--help"], ("dev",), [["tests.bench", "--help"]]),
    ],
)
def test_nobody_waits_for_packages_and_weights_that_are_not_needed(
    name: str, arguments: list[str], extras: tuple[str, ...], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    brought: list[tuple[str, ...]] = []
    monkeypatch.setattr(commands, "_environment", brought.append)
    monkeypatch.setattr(commands, "_call", lambda _, *words: seen.append(list(words[1:])) or 0)
    assert run_command(name, arguments) == 0
    assert (brought, seen) == ([extras], started)


def test_no_bench_runs_when_its_weights_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(commands, "_environment", lambda extras: None)
    monkeypatch.setattr(commands, "_call", lambda _, *words: seen.append(words) or 1)
    assert run_command("bench", ["turn"]) == 1
    assert len(seen) == 1


@pytest.mark.parametrize(("avatar", "gpu"), [(True, True), (True, False), (False, True)])
def test_a_start_brings_what_musetalk_needs_only_for_an_avatar_and_a_gpu(
    avatar: bool, gpu: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extras: list[tuple[str, ...]] = []
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setenv("UNDERSTUDY_FACE__AVATAR", "avatars/me" if avatar else "")
    monkeypatch.setattr("shutil.which", lambda program: "/bin/it" if gpu else None)
    monkeypatch.setattr(commands, "_environment", extras.append)
    monkeypatch.setattr(commands, "_call", lambda _, *words: 1)
    assert run_command("run", []) == 1
    assert extras == [("musetalk",) if avatar and gpu else ()]


def test_the_tests_bring_the_networks_packages_and_not_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    extras: list[tuple[str, ...]] = []
    monkeypatch.setattr(commands, "require_browser", lambda apt: None)
    monkeypatch.setattr(commands, "require_sound_server", lambda apt: None)
    monkeypatch.setattr(commands, "require_network_lab", lambda apt: None)
    monkeypatch.setattr(commands, "_environment", extras.append)
    monkeypatch.setattr(commands, "_call", lambda _, *words: seen.append(list(words[1:])) or 0)
    assert run_command("test", []) == 0
    assert extras == [("dev", "musetalk")]
    assert seen[0] == ["models", "fetch", "embedded", "tests"]


def test_bootstrap_is_read_by_an_old_python_and_looks_for_a_newer_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 8))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr("shutil.which", lambda name: "/opt/python3.12" if name == "python3.12" else None)
    called: list[str] = []

    def call(command: list[str], **_: object) -> int:
        called[:] = command
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    assert bootstrap.main(["run"]) == 0
    assert (called[0], called[-1]) == ("/opt/python3.12", "run")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert bootstrap.main(["run"]) == 1
    assert capsys.readouterr().err == "Understudy needs Python 3.11, 3.12 or 3.13 and this is 3.9; install one.\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(
        f"\n  {name} " in said for name in ("run", "avatar", "setup", "test", "check", "bench", "fetch", "clean")
    )


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        ([], "embedded"),
        (["run"], "embedded"),
        (["--local.signaling-url=wss://meet.example.org/ws"], "ears"),
        (["run", "--local.signaling_url", "wss://meet.example.org/ws"], "ears"),
        (["doctor"], "peer_local"),
        (["-h"], "peer_local"),
        (["takeover", "self"], "peer_local"),
    ],
)
def test_what_is_a_run_of_the_operator_and_what_only_a_command(
    arguments: list[str], program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[str] = []
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.delenv("UNDERSTUDY_LOCAL__SIGNALING_URL", raising=False)
    monkeypatch.setattr(commands, "_environment", lambda: None)
    monkeypatch.setattr(commands, "_call", lambda _, *words: started.append(words[1]) or 0)
    monkeypatch.setattr(commands, "_launch", lambda words, weights: started.append(weights) or 0)
    assert run_command("local", arguments) == 0
    assert started == [program]
