"""The file by which `make local` finds a double that was deployed."""

import stat
import sys
from pathlib import Path

import pytest

from deploy import commands, local
from deploy.connection_file import remove, write
from deploy.local import performs_elsewhere
from peer_local.settings import DEPLOYED, Settings
from signaling.connection_string import ConnectionString

CONNECTION = ConnectionString("203.0.113.7", 33526, "studio", "1.studio.operator.1800000000.mac", pin="A" * 43)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)


def test_make_local_connects_there_with_nothing_else_set(tmp_path: Path) -> None:
    assert performs_elsewhere([]) is None and not commands._performs_elsewhere([])
    write(tmp_path, CONNECTION)
    assert performs_elsewhere([]) == "203.0.113.7:33526" and commands._performs_elsewhere([])
    assert Settings.load().local.signaling_pin == CONNECTION.pin


def test_it_is_named_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local._say_where("203.0.113.7:33526")
    assert capsys.readouterr().out == ""
    write(tmp_path, CONNECTION)
    local._say_where("203.0.113.7:33526")
    said = capsys.readouterr().out
    assert said.startswith(f"The double performs at 203.0.113.7:33526, as {DEPLOYED} says; ")
    assert CONNECTION.token not in said
    local._say_where("192.168.1.5:8080")
    assert capsys.readouterr().out == "", "another service was named, which wins"


def test_without_the_file_the_double_performs_here_again(tmp_path: Path) -> None:
    write(tmp_path, CONNECTION)
    remove(tmp_path)
    remove(tmp_path)
    assert performs_elsewhere([]) is None


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX modes")
def test_nobody_else_can_read_it_also_where_one_was_before(tmp_path: Path) -> None:
    (tmp_path / DEPLOYED).write_text("")
    (tmp_path / DEPLOYED).chmod(0o644)
    file = write(tmp_path, CONNECTION)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [DEPLOYED]


@pytest.mark.parametrize("words", [["--local.connection", "x"], ["--local.connection=x"], ["--local.signaling-url=x"]])
def test_a_flag_that_names_a_service_spares_the_models_of_the_double(words: list[str]) -> None:
    assert commands._performs_elsewhere(words)
