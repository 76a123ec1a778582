"""Looking after what is rented: status, stop, start, down, and what stands in the ledger."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy import connection_file
from deploy.console import SetupError
from deploy.vast import commands
from deploy.vast.client import Vast
from deploy.vast.desk import Desk
from deploy.vast.ledger import LedgerError
from deploy.vast.rental import Outcome, Rental
from deploy.vast.up import alone, look_around, refuse_second, rent, show_market, tell
from deploy.vast.wire import Wire, WireError
from signaling.connection_string import ConnectionString
from tests.rental_world import SOURCE, UNWELL, world
from tests.vast_api import KEY, Fault
from tests.vast_serving import opened

DOWN: tuple[Fault, ...] = ("500",) * 200


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


def test_an_instance_whose_row_cannot_be_read_is_not_taken_for_gone(tmp_path: Path) -> None:
    for rows in ([{"id": "12", "label": "understudy-0a1b2c3d"}], ["?"], [{"label": "understudy-0a1b2c3d"}]):
        answer = json.dumps({"instances": rows, "next_token": None}).encode()
        vast = Vast(Wire(KEY, server="https://vast.example", opened=lambda *_, a=answer: io.BytesIO(a)))
        with pytest.raises(WireError, match="cannot be read"):
            vast.instances()


def test_down_beside_an_up_that_goes_on_says_that_it_may_rent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it = world(tmp_path)
    it.up()
    monkeypatch.setattr(commands, "open_desk", lambda: it.desk)
    with alone(it.desk):
        assert commands.down([]) == 1
    assert not it.fake.rented and "It may rent again." in capsys.readouterr().err


def test_two_rentals_at_once_are_refused(tmp_path: Path) -> None:
    it = world(tmp_path)
    with alone(it.desk), pytest.raises(SetupError, match="under way"), alone(it.desk):
        raise AssertionError("the second one must not get in")
    with alone(it.desk):
        pass


def _order(**changes: Any) -> dict[str, Any]:
    return {"client_id": "me", "image": "image", "env": {}, "disk": 80, "label": "", "onstart": ""} | changes


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
