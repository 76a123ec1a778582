"""The small rules of renting: which offers, how soon, for how much, with which key, and what is left to say."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.console import SetupError
from deploy.settings import DeploySettings, Settings
from deploy.vast.account import find_key, is_ours
from deploy.vast.estimate import expected_start, in_minutes
from deploy.vast.fleet import how_to_destroy, the_one
from deploy.vast.instance import Instance
from deploy.vast.ledger import Ledger, LedgerError, month_began_s, too_dear
from deploy.vast.listening import newest
from deploy.vast.needs import needs_of
from deploy.vast.offers import Offer, Wishes, countries_of, nothing_found, why_not
from deploy.vast.removal import Left
from signaling.settings import SettingsError
from tests.vast_api import offer as row

NOVEMBER_S = 1_764_000_000.0
WISHES = Wishes(vram_gib=25, disk_gib=80, ports=6, max_usd_per_hour=0.9, min_disk_mbps=1_000)


def an_offer(**changes: object) -> Offer:
    read = Offer.read(row(1, dph_total=0.5, **changes))
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"gpu_ram": 24_564}, "24 GiB of memory"),
        ({"direct_port_count": -1}, "0 direct ports"),
        ({"disk_bw": 200}, "a disk of 200 MB/s"),
        ({"num_gpus": 2}, "not one GPU"),
        ({"verified": False, "verification": "unverified"}, "not verified"),
        ({"compute_cap": 700}, "compute capability 7.0"),
    ],
)
def test_an_offer_is_taken_or_the_reason_is_named(changes: dict[str, object], reason: str | None) -> None:
    assert why_not(an_offer(**changes), WISHES) == reason


def test_an_offer_without_a_price_is_none() -> None:
    assert Offer.read({"id": 1}) is None and Offer.read({"dph_total": 0.1}) is None


def test_what_is_in_the_way_of_all_offers_is_said() -> None:
    said = nothing_found([row(1, dph_total=0.5, direct_port_count=-1)], WISHES)
    assert "0 direct ports" in said and said.count(".") < 4


def test_regions_are_countries() -> None:
    assert {"DE", "PL", "UA"} < countries_of(["EU"]) and "US" not in countries_of(["eu"])
    assert countries_of(["any", "DE"]) == frozenset()
    with pytest.raises(ValueError, match="Mars is neither EU"):
        countries_of(["Mars"])


def test_a_wider_line_and_a_faster_processor_start_sooner() -> None:
    needs = needs_of(("language", "voice", "face"))
    slow = expected_start(an_offer(inet_down=200, cpu_ghz=2.5), needs)
    fast = expected_start(an_offer(inet_down=2_000, cpu_ghz=5), needs)
    assert fast.total_s < slow.total_s / 3
    assert 3 * 60 < fast.total_s and slow.total_s < 60 * 60
    assert in_minutes(20) == "~1 min" and in_minutes(610) == "~10 min"


def test_a_larger_language_model_needs_a_larger_card() -> None:
    small, large = (
        needs_of(("language",), language_model=f"mamaylm-gemma-{size}") for size in ("2-9b-it-v0.1", "3-27b-it-v2.0")
    )
    assert small.vram_gib < 11 < 19 < large.vram_gib


# The ledger.


def test_the_ledger_counts_by_the_month_and_to_the_end_of_what_nobody_saw_end(tmp_path: Path) -> None:
    now_s = [month_began_s(NOVEMBER_S) - 3_600]
    ledger = Ledger(tmp_path, lambda: now_s[0])
    ledger.begin("understudy-1", "L40S", 0.60, longest_s=4 * 3_600)
    ledger.bind("understudy-1", 7)
    now_s[0] += 2 * 3_600
    assert ledger.spent_this_month_usd() == pytest.approx(0.60)
    now_s[0] += 100 * 3_600
    assert ledger.spent_usd(0) == pytest.approx(4 * 0.60)


def test_a_rent_that_did_not_come_about_costs_nothing(tmp_path: Path) -> None:
    now_s = [NOVEMBER_S]
    ledger = Ledger(tmp_path, lambda: now_s[0])
    ledger.begin("understudy-1", "L40S", 0.60, longest_s=3_600)
    ledger.end_unrented("understudy-1")
    now_s[0] += 3_600
    assert ledger.spent_usd(0) == 0


def test_what_was_rented_elsewhere_and_what_ended_unseen_are_both_counted(tmp_path: Path) -> None:
    now_s = [NOVEMBER_S]
    ledger = Ledger(tmp_path, lambda: now_s[0])
    ledger.begin("understudy-1", "L40S", 1.0, longest_s=10 * 3_600, instance=7)
    now_s[0] += 3_600
    ledger.reconcile([Instance(8, "understudy-2", "running", usd_per_hour=2.0, began_s=NOVEMBER_S)])
    now_s[0] += 3_600
    assert ledger.spent_usd(0) == pytest.approx(1.0 + 2 * 2.0)


def test_what_a_listing_did_not_show_yet_goes_on_being_counted(tmp_path: Path) -> None:
    now_s = [NOVEMBER_S]
    ledger = Ledger(tmp_path, lambda: now_s[0])
    ledger.begin("understudy-1", "L40S", 1.0, longest_s=10 * 3_600)
    ledger.reconcile([])
    ledger.bind("understudy-1", 7)
    ledger.reconcile([])
    now_s[0] += 3_600
    ledger.reconcile([Instance(7, "understudy-1", "running", usd_per_hour=1.0, began_s=NOVEMBER_S)])
    now_s[0] += 3_600
    assert ledger.spent_usd(0) == pytest.approx(2.0)


def test_a_rent_that_was_lost_is_not_counted_as_the_next_one(tmp_path: Path) -> None:
    now_s = [NOVEMBER_S]
    ledger = Ledger(tmp_path, lambda: now_s[0])
    ledger.begin("understudy-1", "L40S", 1.0, longest_s=10 * 3_600)
    ledger.begin("understudy-1", "L40S", 2.0, longest_s=10 * 3_600)
    ledger.bind("understudy-1", 7)
    assert [(entry.instance, entry.usd_per_hour) for entry in ledger.entries()] == [(None, 1.0), (7, 2.0)]


def test_two_programs_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(label: str) -> None:
        for _ in range(20):
            Ledger(tmp_path).begin(label, "L40S", 1.0, longest_s=3_600)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, ("understudy-1", "understudy-2", "understudy-3", "understudy-4")))
    assert len(Ledger(tmp_path).entries()) == 80


@pytest.mark.parametrize("value", ["0.5", None, True, float("nan")])
def test_a_ledger_with_a_price_that_is_no_number_is_told(tmp_path: Path, value: object) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin("understudy-1", "L40S", 1.0, longest_s=3_600)
    rows = json.loads((tmp_path / "ledger.json").read_text())
    rows["entries"][0]["usd_per_hour"] = value
    (tmp_path / "ledger.json").write_text(json.dumps(rows))
    with pytest.raises(LedgerError, match="nobody knows what was spent"):
        ledger.spent_this_month_usd()


def test_a_ledger_that_cannot_be_read_rents_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text("{")
    with pytest.raises(LedgerError, match="nobody knows what was spent"):
        Ledger(tmp_path).spent_this_month_usd()


def test_the_cap_counts_what_a_rental_may_come_to() -> None:
    assert too_dear(10.0, 0.5, 4.0, 12.0) is None
    assert "$2.00 more" in (too_dear(10.5, 0.5, 4.0, 12.0) or "")


# The key, the settings and the label.


def test_the_key_comes_from_the_setting_then_the_variable_then_vast_ais_own_file(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="VAST_API_KEY"):
        find_key(DeploySettings(), {}, tmp_path)
    (tmp_path / ".vast_api_key").write_text("legacy\n")
    assert find_key(DeploySettings(), {}, tmp_path) == "legacy"
    (tmp_path / "vastai").mkdir()
    (tmp_path / "vastai" / "vast_api_key").write_text("file\n")
    assert find_key(DeploySettings(), {"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path) == "file"
    assert find_key(DeploySettings(), {"VAST_API_KEY": "variable"}, tmp_path) == "variable"
    settings = DeploySettings(api_key="setting")  # type: ignore[arg-type]
    assert find_key(settings, {"VAST_API_KEY": "variable"}, tmp_path) == "setting"
    assert "setting" not in repr(settings)


@pytest.mark.parametrize("key", ["one\ntwo", "schlüssel", "two words"])
def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(SetupError, match=r"key of Vast\.ai") as refused:
        find_key(DeploySettings(), {"VAST_API_KEY": key}, tmp_path)
    assert key not in str(refused.value)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1, 0])
def test_an_offer_with_a_price_that_is_none_is_not_taken(price: float) -> None:
    assert Offer.read(row(1, dph_total=price)) is None


@pytest.mark.parametrize("address", ["203.0.113.7\nPATH=/tmp", "$(id)", "a b", "-oProxyCommand=id", "x/../y"])
def test_an_address_that_is_none_counts_as_no_address_yet(address: str) -> None:
    read = Instance.read({"id": 7, "public_ipaddr": address, "ssh_host": address})
    assert read is not None and (read.address, read.ssh_host) == ("", "")


def test_what_a_host_says_moves_no_cursor() -> None:
    read = Instance.read({"id": 7, "status_msg": "pulling\x1b[2J\x9bH\u202e", "geolocation": "Київ, UA\x07"})
    assert read is not None and (read.message, read.place) == ("pulling [2J H", "Київ, UA")


def test_numbers_that_the_api_writes_as_text_count() -> None:
    read = Instance.read({"id": 7, "dph_total": "0.45", "start_date": "1764000000.5", "machine_id": float("inf")})
    assert read is not None
    assert (read.usd_per_hour, read.began_s, read.machine) == (0.45, 1_764_000_000.5, 0)


def test_the_defaults_rent_something_and_a_misspelt_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("UNDERSTUDY_")]:
        monkeypatch.delenv(name)
    assert Settings.load().deploy.services == ("language", "voice", "face")
    monkeypatch.setenv("UNDERSTUDY_DEPLOY__SERVICES", "voice, face")
    assert Settings.load().deploy.services == ("voice", "face")
    monkeypatch.setenv("UNDERSTUDY_DEPLOY__MAX_USD_PER_HOURS", "1")
    with pytest.raises(SettingsError, match="did you mean UNDERSTUDY_DEPLOY__MAX_USD_PER_HOUR"):
        Settings.load()


def test_only_labels_of_ours_are_ours() -> None:
    assert is_ours(Instance(1, "understudy-0a1b2c3d"), "understudy")
    others = ("", "understudy", "my-understudy-0a1b2c3d", "x-0a1b2c3d", "understudy-training", "understudy-1")
    assert not any(is_ours(Instance(1, label), "understudy") for label in others)


# What is said.


def test_the_newest_event_of_a_log_counts_and_an_earlier_starts_do_not() -> None:
    log = "\n".join(
        [
            "Setting up git",
            "==> 2026-11-25T20:00:00Z ready done: from yesterday",
            "==> 2026-11-25T20:40:01Z weights began",
            "==> 2026-11-25T20:40:01Z weights began",
            "    | some output",
        ]
    )
    line = newest(log)
    assert line is not None and (line.phase, line.state) == ("weights", "began")
    assert newest(log, since=line.at) == line
    old = newest(log.partition("\n==> 2026-11-25T20:40")[0])
    assert old is not None and newest(str(old), since=line.at) is None
    assert newest("nothing of interest") is None


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (Left((7, 8), True, "it broke"), "still rented: 7, 8, because it broke"),
        (Left((7,), False, "it broke"), "7, and others labelled understudy-1"),
        (Left((), False, "it broke"), "An instance labelled understudy-1 may still be rented"),
    ],
)
def test_what_is_left_is_named_with_the_way_out(left: Left, said: str) -> None:
    sentence = how_to_destroy(left, "understudy-1")
    assert said in sentence and "python -m deploy down" in sentence and "https://" in sentence


def test_a_command_about_one_of_several_asks_which() -> None:
    several = [Instance(7), Instance(8)]
    assert the_one(several, 8).id == 8
    with pytest.raises(SetupError, match="say which one: 7, 8"):
        the_one(several, None)
    with pytest.raises(SetupError, match="Nothing is rented"):
        the_one([], None)
