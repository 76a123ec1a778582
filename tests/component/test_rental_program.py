"""`python -m deploy up` as a program: what a signal does to it, and what its commands say."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.__main__ import COMMANDS, main
from deploy.vast.driver import SIGNALS
from tests.rental_world import GOOD
from tests.vast_api import KEY, FakeVast, offer
from tests.vast_serving import serving


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_a_program_that_is_told_to_end_destroys_what_it_rented(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "published"], check=True)
    with serving(FakeVast(offers=[offer(1)], plans={1: GOOD})) as fake:
        environment = {
            **os.environ,
            "VAST_URL": fake.url,
            "VAST_API_KEY": KEY,
            "UNDERSTUDY_DEPLOY__DIR": str(tmp_path / "rental"),
            "UNDERSTUDY_DEPLOY__REPOSITORY": "https://example.org/double",
            "UNDERSTUDY_DEPLOY__COMMIT": "a" * 40,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{tmp_path}/published.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://example.org/double",
        }
        command = [sys.executable, "-m", "deploy", "up", "--yes"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if "wait for the host" in line:
                break
        assert fake.rented
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
        process.stdout.close()
        assert process.wait(30) == 130
        assert not fake.rented and "Nothing is rented" in said and KEY not in said


def test_the_terminals_end_counts_as_a_wish_to_end() -> None:
    assert {signal.SIGINT, signal.SIGTERM} < set(SIGNALS) or sys.platform == "win32"
    assert not hasattr(signal, "SIGHUP") or signal.SIGHUP in SIGNALS


def test_without_a_key_the_sentence_says_where_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("VAST_API_KEY", "UNDERSTUDY_DEPLOY__API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["up", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "VAST_API_KEY" in said and said.count("\n") == 1


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(arguments: list[str]) -> int:
        raise OSError(28, "No space left on device", "/data/key.pem")

    monkeypatch.setattr("deploy.vast.up.up", full)
    assert main(["up", "--yes"]) == 1
    assert capsys.readouterr().err == "up cannot go on: /data/key.pem: No space left on device.\n"


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["donw"]) == 2
    assert "did you mean down?" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name}" in said for name in COMMANDS)
