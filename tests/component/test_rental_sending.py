"""What is sent to a rented machine, over SSH."""

import os
import re
import stat
from pathlib import Path

import pytest

from deploy.console import SetupError
from deploy.vast import sending
from deploy.vast.up import look_around, show_market
from tests.rental_world import world


def test_without_ssh_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path)
    it.up()
    avatar = tmp_path / "avatar"
    avatar.mkdir()
    monkeypatch.setattr(sending, "open_desk", lambda: it.desk)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="no ssh on this machine"):
        sending.send(["--avatar", str(avatar)])


def test_what_the_double_will_lack_is_said_before_it_is_paid_for(tmp_path: Path) -> None:
    without = world(tmp_path)
    market = look_around(without.desk)
    show_market(without.desk, market)
    assert "needs HF_TOKEN" in without.said and "illustrated host will perform" in without.said
    voiced = world(tmp_path, variables={"HF_TOKEN": "hf_token"})
    assert look_around(voiced.desk).needs.vram_gib > market.needs.vram_gib + 6
    show_market(voiced.desk, look_around(voiced.desk))
    assert "HF_TOKEN" not in voiced.said and "hf_token" not in voiced.said


def test_a_voice_that_is_not_there_is_refused_with_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = world(tmp_path)
    monkeypatch.setattr(sending, "open_desk", lambda: it.desk)
    monkeypatch.setattr(sending, "user_data_path", lambda _: tmp_path / "data")
    wanted = f"references add me RECORDING --seed-dir {tmp_path / 'data' / 'voice'}`"
    with pytest.raises(SetupError, match=re.escape(wanted)):
        sending.send(["--voice", "me"])


def test_an_avatar_and_a_voice_are_sent_whole_and_the_machine_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = world(tmp_path)
    it.up()
    there, data = tmp_path / "there", tmp_path / "data"
    monkeypatch.setattr(sending, "open_desk", lambda: it.desk)
    monkeypatch.setattr(sending, "user_data_path", lambda _: data)
    _ssh_to(there, tmp_path / "bin", monkeypatch)
    avatar, voice = tmp_path / "avatar", data / "voice" / "references" / "me"
    for file, text in (
        (avatar / "frames" / "1", "a face"),
        (voice / "sample.wav", "sound"),
        (voice / "sample.lab", "words"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    old = there / "understudy" / "avatar" / "old"
    old.parent.mkdir(parents=True)
    old.write_text("an older avatar")
    (there / "source" / "deploy").mkdir(parents=True)
    (there / "source" / "deploy" / "onstart.sh").write_text(f"ls {there}/understudy/avatar > {there}/started\n")
    assert sending.send(["--avatar", str(avatar), "--voice", "me"]) == 0
    assert (there / "started").read_text() == "frames\n" and not old.exists()
    sent = there / "understudy" / "voice" / "references" / "me" / "sample.wav"
    assert sent.read_text() == "sound" and stat.S_IMODE(sent.parent.stat().st_mode) == 0o700


def test_what_there_is_to_send_is_asked_for_before_anything_else(tmp_path: Path) -> None:
    desk = world(tmp_path).desk
    with pytest.raises(SetupError, match="Say what to send"):
        sending.pack(desk, None, None)
    with pytest.raises(SetupError, match="make avatar"):
        sending.pack(desk, tmp_path / "nothing", None)
    with pytest.raises(SetupError, match="no voice me"):
        sending.pack(desk, None, "me")


def _ssh_to(there: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh whose other side is a folder of this machine."""
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/bash\ncommand=${{@: -1}}\nexec bash -c "${{command//\\/workspace/{there}}}"\n')
    ssh.chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
