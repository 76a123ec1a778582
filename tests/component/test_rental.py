"""Renting a double: from a key to one that answers, or to nothing rented."""

import os
import signal
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.console import SetupError
from deploy.vast import commands
from deploy.vast import up as rentals
from deploy.vast.driver import Stops, drive
from deploy.vast.rental import Limits, Rental
from deploy.vast.steps import Unseen
from deploy.vast.up import look_around
from signaling import auth
from signaling.connection_string import ConnectionString
from tests.rental_world import SOURCE, UNWELL, progress, world
from tests.vast_api import KEY, Fault, Plan

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


def test_without_an_offer_the_sentence_says_what_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="MAX_USD_PER_HOUR"):
        look_around(world(tmp_path, max_usd_per_hour=0.1).desk)


def test_a_picture_that_cannot_be_shown_does_not_end_the_rental(tmp_path: Path) -> None:
    it = world(tmp_path)

    def show() -> None:
        raise UnicodeEncodeError("ascii", "…", 0, 1, "ordinal not in range(128)")

    rental = Rental((), 0.0, signaling_port=8443, limits=Limits())
    drive(rental, lambda step: Unseen(""), stops=Stops(), clock=it.clock, show=show)
    assert rental.outcome is not None


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
