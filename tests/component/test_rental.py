"""`make deploy-gpu` before a Vast.ai that does what the real one does: what is rented, what is said, what is left."""

import io
import json
import os
import re
import signal
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy import connection_file
from deploy.console import SetupError
from deploy.vast import commands, sending
from deploy.vast import up as rentals
from deploy.vast.client import Vast
from deploy.vast.desk import Desk
from deploy.vast.driver import Stops, drive
from deploy.vast.ledger import LedgerError
from deploy.vast.rental import Limits, Outcome, Rental
from deploy.vast.steps import Unseen
from deploy.vast.up import alone, look_around, refuse_second, rent, show_market, tell
from deploy.vast.wire import Wire, WireError
from signaling import auth
from signaling.connection_string import ConnectionString
from tests.rental_world import SOURCE, UNWELL, progress, world
from tests.vast_api import KEY, Fault, Plan
from tests.vast_serving import opened

DOWN: tuple[Fault, ...] = ("500",) * 200


def connection(folder: Path) -> ConnectionString:
    (line,) = [line for line in (folder / ".env.deployed").read_text().splitlines() if not line.startswith("#")]
    return ConnectionString.parse(line.partition("=")[2])


def test_from_a_key_to_a_double_that_make_local_reaches(tmp_path: Path) -> None:
    it = world(tmp_path)
    status, rental, record = it.up()
    assert status == 0
    (rented,) = it.fake.rented
    written = connection(tmp_path)
    assert (written.host, written.room, written.pin) == ("203.0.113.7", "main", record.pin)
    assert written.port == rental.outcome.instance.outside(8443)  # type: ignore[union-attr]
    assert auth.check(record.secret, written.token, "main", time.time()) == "operator"
    assert f"@{written.address}/main/{record.pin}" in it.said and f"instance {rented}" in it.said
    phases = [phase for phase, _ in rental.timeline]
    assert phases[:4] == ["renting", "scheduling", "image", "starting"]
    assert phases[-6:] == ["compile", "warm-up", "ready", "checking", "closing", "ended"]


def test_secrets_are_in_the_environment_of_the_container_and_nowhere_else(tmp_path: Path) -> None:
    wishes = {
        "UNDERSTUDY_TTS__ENGINE": "fish_speech",
        "UNDERSTUDY_FACE__PHOTO": "/home/me/me.jpg",
        "UNDERSTUDY_LLM__KEY": "sk-of-this-laptop",
        "HF_TOKEN": "hf_token",
    }
    it = world(tmp_path, variables=wishes)
    _, _, record = it.up()
    (one,) = it.fake.instances.values()
    variables = one.order["env"]
    assert variables["UNDERSTUDY_SIGNALING__SECRET"] == record.secret
    assert (variables["UNDERSTUDY_TTS__ENGINE"], variables["HF_TOKEN"]) == ("fish_speech", "hf_token")
    assert "UNDERSTUDY_FACE__PHOTO" not in variables and "UNDERSTUDY_LLM__KEY" not in variables
    assert variables["UNDERSTUDY_MACHINE__AT_END"] == "destroy"
    assert {"-p 8443:8443", "-p 3478:3478", "-p 40000:40000/udp"} <= set(variables)
    secrets = [*record.secrets().values(), KEY, "hf_token"]
    assert not any(secret in one.order["onstart"] or secret in it.said for secret in secrets)
    for file in (tmp_path / "rental").rglob("*.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(one.order["onstart"]) <= 750


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(schedule_s=1e9), "did nothing for 3 minutes"),
        (Plan(image_s=1e9), "did not fetch the image within 15 minutes"),
        (Plan(log=progress((5, "weights failed: The hub does not answer."))), "The hub does not answer"),
        (Plan(log=progress((5, "weights began"))), "said nothing new for 10 minutes"),
        (Plan(opens_ports=False), "opened no port"),
        (Plan(exits_s=120), "exited"),
        (Plan(vanishes_s=100), "not listed any more"),
        (Plan(image_s=1e9, message="Error response from daemon: no space left on device"), "no space left"),
    ],
)
def test_a_host_that_does_not_do_it_is_destroyed_and_the_next_one_taken(
    tmp_path: Path, plan: Plan, reason: str
) -> None:
    it = world(tmp_path, plans={1: plan})
    status, rental, _ = it.up()
    assert status == 0
    assert [one.offer["id"] for one in it.fake.instances.values()] == [1, 2]
    assert len(it.fake.rented) == 1
    (lost,) = rental.tries
    assert reason in lost.reason


def test_after_three_hosts_nothing_is_rented_and_it_says_so(tmp_path: Path) -> None:
    it = world(tmp_path, offers=5, plans={number: Plan(exits_s=90) for number in range(1, 6)})
    status, _, record = it.up()
    assert status == 1 and not it.fake.rented and len(it.fake.instances) == 3
    assert f"Nothing is rented: no instance carries the label {record.label}." in it.said
    assert it.desk.records.find(record.label) is None
    assert it.desk.ledger.spent_usd(0) == pytest.approx(it.fake.usd(), abs=0.01)


def test_a_double_that_does_not_answer_is_not_paid_for(tmp_path: Path) -> None:
    it = world(tmp_path, check=UNWELL, tries=1)
    status, _, _ = it.up()
    assert status == 1 and not it.fake.rented
    assert "No sound came back within 20 s" in it.said
    assert not (tmp_path / ".env.deployed").exists()


def test_a_rent_whose_answer_was_lost_is_found_by_its_label(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.fake.fail("rent", "lost after")
    status, _, _ = it.up()
    assert status == 0 and len(it.fake.instances) == len(it.fake.rented) == 1


def test_a_rent_that_was_lost_on_the_way_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.fake.fail("rent", "lost")
    status, rental, _ = it.up()
    assert status == 0 and [one.offer["id"] for one in it.fake.instances.values()] == [2]
    assert "nothing was rented" in rental.tries[0].reason


def test_offers_that_are_gone_do_not_count_as_hosts(tmp_path: Path) -> None:
    it = world(tmp_path, offers=6)
    it.fake.gone = {1, 2, 3, 4}
    status, rental, _ = it.up()
    assert status == 0 and not rental.tries
    assert [one.offer["id"] for one in it.fake.instances.values()] == [5]


def test_an_account_without_money_is_one_sentence(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.fake.credit = 0
    status, _, _ = it.up()
    assert status == 1 and "Your account lacks credit" in it.said
    assert len([kind for _, kind, _ in it.fake.requests if kind == "rent"]) == 1


@pytest.mark.parametrize("at_s", [0.5, 4, 30, 100, 300, 690])
def test_ctrl_c_at_any_time_destroys_what_was_rented(tmp_path: Path, at_s: float) -> None:
    it = world(tmp_path)
    it.stop_at_s = [at_s]
    status, _, _ = it.up()
    assert status == 130 and not it.fake.rented and it.fake.instances
    assert "Nothing is rented" in it.said


def test_what_is_kept_on_request_is_named_with_the_way_out(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.stop_at_s = [100]
    status, _, record = it.up(keep=True)
    (rented,) = it.fake.rented
    assert status == 130 and str(rented) in it.said and "python -m deploy down" in it.said
    assert it.desk.records.find(record.label) is not None


def test_a_busy_api_does_not_keep_anything_rented(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.fake.fail("destroy", "429", "500", "lost", "lost after", "429")
    it.fake.fail("instances", "500", "429")
    it.stop_at_s = [200]
    status, _, _ = it.up()
    assert status == 130 and not it.fake.rented and "Nothing is rented" in it.said


def test_an_api_that_is_down_for_good_leaves_a_person_with_the_way_out(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.fake.fail("destroy", *DOWN)
    it.stop_at_s = [200]
    status, _, record = it.up()
    (rented,) = it.fake.rented
    assert status == 130 and f"still rented: {rented}" in it.said
    assert "https://cloud.vast.ai/instances/" in it.said and "Nothing is rented" not in it.said
    assert it.desk.records.find(record.label) is not None


def test_down_destroys_everything_of_ours_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path)
    it.up()
    other = it.desk.vast.rent(2, _order(label="somebody-elses"))
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.down([]) == 0
    assert it.fake.rented == [other] and "Nothing is rented" in it.said
    assert not (tmp_path / ".env.deployed").exists()
    assert all(entry.ended_s is not None for entry in it.desk.ledger.entries())


def test_down_says_what_is_left_when_it_cannot_be_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.up()
    (rented,) = it.fake.rented
    it.fake.fail("destroy", *DOWN)
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.down([]) == 1
    assert str(rented) in capsys.readouterr().err and "Nothing is rented" not in it.said.partition("ready")[2]


def test_down_with_a_key_that_is_not_accepted_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    wire = Wire("wrong", server="https://vast.example", opened=opened(it.fake))
    desk = replace(it.desk, vast=Vast(wire, clock=it.clock, sleep=it.clock.sleep))
    monkeypatch.setattr(commands, "open_desk", lambda: desk)
    assert commands.down([]) == 1
    said = capsys.readouterr().err
    assert "does not accept the API key" in said and "may still be rented" in said
    assert it.clock() < 5


def test_down_says_why_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path)
    it.fake.fail("instances", "lost", "lost", "lost")
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.down([]) == 0
    assert it.said.count("Trying again for up to ten minutes") == 1 and "Nothing is rented" in it.said


def test_offers_and_status_are_whole_on_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path)
    it.fake.offers[1] |= {"gpu_name": "RTX PRO 6000 WS", "geolocation": "United Kingdom, GB"}
    it.up()
    narrow = replace(it.desk, console=Console(file=io.StringIO(), width=80, highlight=False))
    show_market(narrow, look_around(narrow))
    monkeypatch.setattr(commands, "open_desk", lambda: narrow)
    assert commands.status([]) == 0
    assert isinstance(narrow.console.file, io.StringIO)
    lines = narrow.console.file.getvalue().splitlines()
    assert not any("…" in line for line in lines)
    assert any(line.startswith("1 RTX 5090") and "~" in line and "Germany, DE" in line for line in lines)
    assert any("203.0.113." in line and "running" in line for line in lines)


def test_a_second_rental_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    it = world(tmp_path)
    it.up()
    with pytest.raises(SetupError, match="is rented already"):
        refuse_second(it.desk)


def test_stop_warns_of_the_disk_and_start_waits_for_the_double_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.up()
    (rented,) = it.fake.rented
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.stop([]) == 0
    assert "disk still costs" in capsys.readouterr().out
    it.clock.now_s += 3_600
    before_usd = it.desk.ledger.spent_usd(0)
    it.clock.now_s += 3_600
    assert it.desk.ledger.spent_usd(0) - before_usd < 0.05
    monkeypatch.setattr(commands, "CLOCKS_DIFFER", timedelta(days=900))
    assert commands.start([]) == 0
    assert it.fake.rented == [rented] and it.fake.instances[rented].state == "running"


def test_the_months_cap_is_kept(tmp_path: Path) -> None:
    it = world(tmp_path, max_usd_per_month=2.0, max_hours=4.0)
    look_around(it.desk)
    it.desk.ledger.begin("understudy-0", "RTX 5090", 0.5, 3_600, instance=1)
    it.clock.now_s += 3_600
    with pytest.raises(SetupError, match=r"\$0\.50 were spent this month .*MAX_USD_PER_MONTH"):
        look_around(it.desk)


def test_without_an_offer_the_sentence_says_what_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="MAX_USD_PER_HOUR"):
        look_around(world(tmp_path, max_usd_per_hour=0.1).desk)


def test_status_and_cost_tell_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.up()
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.status(["--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["instances"]
    assert (row["instance"], row["state"]) == (it.fake.rented[0], "running")
    assert commands.cost([]) == 0
    assert "running" in capsys.readouterr().out
    assert commands.logs(["--tail", "3"]) == 0
    assert "ready done" in capsys.readouterr().out
    assert commands.ssh(["--print"]) == 0
    assert capsys.readouterr().out.startswith("ssh -p ")


def test_a_picture_that_cannot_be_shown_does_not_end_the_rental(tmp_path: Path) -> None:
    it = world(tmp_path)

    def show() -> None:
        raise UnicodeEncodeError("ascii", "…", 0, 1, "ordinal not in range(128)")

    rental = Rental((), 0.0, signaling_port=8443, limits=Limits())
    drive(rental, lambda step: Unseen(""), stops=Stops(), clock=it.clock, show=show)
    assert rental.outcome is not None


def test_how_a_rental_ended_is_told_also_when_the_ledger_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path, check=UNWELL, offers=1)
    it.fake.fail("destroy", *DOWN)
    market = look_around(it.desk)
    record = it.desk.records.make("understudy", "main", 4.0)
    rental = rent(it.desk, market, SOURCE, record, it.stops)
    (it.desk.settings.dir / "ledger.json").write_text("{")
    assert tell(it.desk, rental, record) == 1
    assert f"Perhaps still rented: {it.fake.rented[0]}" in it.said and "cannot be read" in capsys.readouterr().err


def test_what_is_rented_is_shown_and_destroyed_also_when_the_ledger_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.up()
    (rented,) = it.fake.rented
    (it.desk.settings.dir / "ledger.json").write_text("{")
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.status(["--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["instances"][0]["instance"] == rented and "cannot be read" in said.err
    assert commands.stop([]) == 0
    assert "disk still costs" in capsys.readouterr().out
    with pytest.raises(LedgerError, match="cannot be read"):
        commands.start([])
    assert it.fake.instances[rented].state != "running"
    assert commands.down([]) == 0
    assert not it.fake.rented and "Nothing is rented" in it.said.partition("Destroying")[2]
    assert not (tmp_path / ".env.deployed").exists()


def test_a_stopped_machine_is_not_started_above_the_months_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path)
    it.up()
    (rented,) = it.fake.rented
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.stop([]) == 0
    it.desk.ledger.begin("understudy-0", "RTX 5090", 49.5, 3_600, instance=1)
    it.clock.now_s += 3_600
    with pytest.raises(SetupError, match="MAX_USD_PER_MONTH"):
        commands.start([])
    assert it.fake.instances[rented].state != "running"


def test_make_local_is_not_sent_to_a_host_that_died_after_its_test_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = world(tmp_path, offers=1)
    write = connection_file.write

    def write_and_die(root: Path, written: ConnectionString) -> Path:
        one = it.fake.instances[it.fake.rented[0]]
        one.plan = replace(one.plan, exits_s=1.0)
        return write(root, written)

    monkeypatch.setattr(connection_file, "write", write_and_die)
    status, _, _ = it.up()
    assert status == 1 and "it is exited" in it.said
    assert not (tmp_path / ".env.deployed").exists()


def test_a_host_that_takes_more_than_its_offer_is_given_up(tmp_path: Path) -> None:
    it = world(tmp_path, offers=1)
    took = it.desk.vast.rent

    def dearer(offer: int, order: Mapping[str, Any]) -> int:
        number = took(offer, order)
        one = it.fake.instances[number]
        one.offer = {**one.offer, "dph_base": 1.5}
        return number

    it.desk.vast.rent = dearer  # type: ignore[method-assign]
    status, _, _ = it.up()
    assert status == 1 and not it.fake.rented
    assert "it takes $1.5" in it.said and "MAX_USD_PER_HOUR" in it.said


def test_what_was_rented_under_another_label_is_found_by_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = world(tmp_path)
    it.up()
    other = replace(it.desk, settings=it.desk.settings.model_copy(update={"label": "double"}))
    with pytest.raises(SetupError, match="is rented already"):
        refuse_second(other)
    monkeypatch.setattr(commands, "open_desk", lambda: other)
    assert commands.down([]) == 0
    assert not it.fake.rented


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_ctrl_c_at_the_very_end_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path, check=UNWELL, offers=1)
    monkeypatch.setattr(rentals, "open_desk", lambda: it.desk)
    monkeypatch.setattr(rentals, "find", lambda _: SOURCE)
    forget = it.desk.records.forget

    def impatient(label: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        forget(label)

    monkeypatch.setattr(it.desk.records, "forget", impatient)
    assert rentals.up(["--yes"]) == 1
    assert "Nothing is rented" in it.said
    it = world(tmp_path / "down")
    it.up()
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    monkeypatch.setattr(it.desk.records, "forget", impatient)
    assert commands.down([]) == 0
    assert "Nothing is rented" in it.said.partition("Destroying")[2]


def test_a_wish_that_no_machine_can_take_is_told_before_it_is_paid_for(tmp_path: Path) -> None:
    it = world(tmp_path, variables={"UNDERSTUDY_PERSONA__NAME": "Ada\nLovelace"})
    with pytest.raises(SetupError, match=r"UNDERSTUDY_PERSONA__NAME has more than one line"):
        rentals.find(it.desk)


def test_what_a_host_says_is_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.fake.offers = [{**one, "geolocation": "Berlin [/x], DE", "gpu_name": "RTX [/y]"} for one in it.fake.offers]
    show_market(it.desk, look_around(it.desk))
    status, _, _ = it.up()
    assert status == 0
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.status([]) == 0
    assert it.said.count("RTX [/y]") >= 3

    def fail(desk: Desk, rental: Rental, *_: object, **__: object) -> None:
        rental.outcome = Outcome("failed", "The host says [/bin/sh: not found].")

    monkeypatch.setattr(commands, "watch", fail)
    assert commands.start([]) == 1
    assert "says [/bin/sh: not found]. Instance" in it.said
    assert commands.down([]) == 0


def test_an_address_of_a_log_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    wire = Wire(KEY, server="https://vast.example", opened=lambda *_: io.BytesIO(b""))
    for place in ("https://[", "file:///etc/passwd"):
        with pytest.raises(WireError):
            wire.text(place)


def test_without_ssh_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(tmp_path)
    it.up()
    avatar = tmp_path / "avatar"
    avatar.mkdir()
    monkeypatch.setattr(sending, "open_desk", lambda: it.desk)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="no ssh on this machine"):
        sending.send(["--avatar", str(avatar)])


def test_an_instance_whose_row_cannot_be_read_is_not_taken_for_gone(tmp_path: Path) -> None:
    for rows in ([{"id": "12", "label": "understudy-0a1b2c3d"}], ["?"], [{"label": "understudy-0a1b2c3d"}]):
        answer = json.dumps({"instances": rows, "next_token": None}).encode()
        vast = Vast(Wire(KEY, server="https://vast.example", opened=lambda *_, a=answer: io.BytesIO(a)))
        with pytest.raises(WireError, match="cannot be read"):
            vast.instances()


def test_two_rentals_at_once_are_refused(tmp_path: Path) -> None:
    it = world(tmp_path)
    with alone(it.desk), pytest.raises(SetupError, match="under way"), alone(it.desk):
        raise AssertionError("the second one must not get in")
    with alone(it.desk):
        pass


def _order(**changes: Any) -> dict[str, Any]:
    return {"client_id": "me", "image": "image", "env": {}, "disk": 80, "label": "", "onstart": ""} | changes


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


def test_make_local_is_not_sent_to_a_machine_that_gave_itself_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.up()
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    assert commands.status([]) == 0 and (tmp_path / ".env.deployed").exists()
    (one,) = it.fake.instances.values()
    one.destroyed_s = it.clock()
    assert commands.status([]) == 0
    assert "performs here again" in capsys.readouterr().out and not (tmp_path / ".env.deployed").exists()
