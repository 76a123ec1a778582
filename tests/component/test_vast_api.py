"""Vast.ai's API: the official SDK and our own client drive the same fake, which holds both to the real one's rules."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from deploy.vast.client import Vast, patiently
from deploy.vast.needs import needs_of
from deploy.vast.offers import Wishes, choose, query
from deploy.vast.order import Order
from deploy.vast.source import Source
from deploy.vast.wire import Wire, WireError, destroy_self
from tests import vast_sdk
from tests.vast_api import KEY, FakeVast, Plan, offer
from tests.vast_serving import serving

SDK = pytest.mark.skipif(
    vast_sdk.sdk_python() is None, reason="`python -m tests.vast_sdk` installs Vast.ai's SDK beside the product"
)
WISHES = Wishes(vram_gib=25, disk_gib=80, ports=6, max_usd_per_hour=0.9, countries=frozenset(("DE", "PL")))


@dataclass
class Clock:
    """Time that passes when somebody sleeps."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeVast]:
    with serving(FakeVast(clock)) as vast:
        yield vast


@pytest.fixture
def account(fake: FakeVast, clock: Clock) -> Vast:
    return Vast(Wire(KEY, server=fake.url), clock=clock, sleep=clock.sleep)


def order(**changes: object) -> dict[str, object]:
    source = Source("https://example.org/understudy", "a" * 40)
    return Order("understudy-1", "image", 80, source, {"A": "b"}, {"SECRET": "c"}).as_json() | changes


@SDK
def test_the_official_sdk_rents_and_destroys() -> None:
    plans = {1: Plan(schedule_s=0.1, image_s=0.2, log=((0.0, "==> hello"),))}
    rows = [
        offer(1),
        offer(2, gpu_name="L40S", gpu_ram=46_068),
        offer(3, geolocation="Spain, ES"),
        offer(4, gpu_ram=24_564),
    ]
    with serving(FakeVast(offers=rows, plans=plans)) as fake:
        fake.intervals_s |= dict.fromkeys(("instance", "instances"), 0.02)
        done = subprocess.run(
            [str(vast_sdk.sdk_python()), "-m", "tests.vast_sdk_session", fake.url, KEY],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert not fake.rented
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["offers"] == [1, 2]
    assert (told["status"], told["label"], told["log"]) == ("running", "understudy-sdk", "==> hello")
    assert told["ports"] == ["40000/udp", "8443/tcp"]
    assert told["env"]["A"] == "b"
    assert told["listed"] == [told["instance"]]
    assert (told["stopped"], told["destroyed"], told["left"], told["gone"]) == ("stopped", True, [], None)


@SDK
def test_the_official_program_sees_what_we_rented(fake: FakeVast, account: Vast) -> None:
    number = account.rent(1, order())
    environment = {**os.environ, "VAST_API_KEY": KEY, "VAST_URL": fake.url}
    command = [vast_sdk.sdk_program(), "show", "instances", "--raw"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    rows = shown["instances"] if isinstance(shown, dict) else shown
    assert [(row["id"], row["label"]) for row in rows] == [(number, "understudy-1")]


def test_a_search_brings_what_suits_cheapest_first(fake: FakeVast, account: Vast) -> None:
    fake.offers = [
        offer(1, dph_base=0.7),
        offer(2, dph_base=0.5),
        offer(3, gpu_ram=24_564),
        offer(4, direct_port_count=-1),
        offer(5, geolocation="China, CN"),
        offer(6, dph_base=1.2),
        offer(7, dph_base=0.6, machine_id=5_002),
        offer(8, compute_cap=700),
        offer(9, rentable=False),
    ]
    assert [found.id for found in choose(account.search(query(WISHES)), WISHES)] == [2, 1]


def test_a_rent_has_its_ports_and_environment_and_costs_until_it_is_destroyed(
    fake: FakeVast, account: Vast, clock: Clock
) -> None:
    number = account.rent(1, order())
    (seen,) = account.instances()
    assert (seen.id, seen.label, seen.status, seen.ports) == (number, "understudy-1", None, {})
    clock.now_s += 70
    (seen,) = account.instances()
    assert seen.status == "running" and seen.address == "203.0.113.7"
    assert seen.outside(8443) and seen.outside(40_000, "udp") and seen.outside(40_000) is None
    clock.now_s += 3_600
    account.destroy(number)
    assert not fake.rented and account.instances() == []
    assert fake.usd() == pytest.approx(seen.usd_per_hour * 3_671.2 / 3_600, rel=0.01)


def test_more_than_one_page_of_instances_is_read(fake: FakeVast, account: Vast, clock: Clock) -> None:
    fake.offers = [offer(number) for number in range(1, 61)]
    rented = []
    for number in range(1, 61):
        rented.append(account.rent(number, order()))
    assert [one.id for one in account.instances()] == rented


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"onstart": "x" * 4_049}, "onstart is longer than 4048 characters"),
        ({"env": {"-p 3478:3478": "1", "-p 3478:3478/udp": "1"}}, "Duplicate Port Detected"),
    ],
)
def test_what_the_api_refuses_is_said_in_one_sentence(
    account: Vast, fake: FakeVast, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(WireError, match=sentence) as caught:
        account.rent(1, order(**changes))
    assert not caught.value.lost and not fake.rented


def test_an_offer_that_is_gone_is_certainly_not_rented(fake: FakeVast, account: Vast) -> None:
    fake.gone.add(1)
    with pytest.raises(WireError, match="not available") as caught:
        account.rent(1, order())
    assert (caught.value.lost, caught.value.code) == (False, "no_such_ask")


@pytest.mark.parametrize(("fault", "rented"), [("lost", 0), ("lost after", 1), ("not json", 1), ("500", 0)])
def test_a_rent_without_an_answer_is_sent_once_and_called_lost(
    fake: FakeVast, account: Vast, fault: str, rented: int
) -> None:
    fake.fail("rent", fault)  # type: ignore[arg-type]
    with pytest.raises(WireError) as caught:
        account.rent(1, order())
    assert caught.value.lost
    assert len(fake.rented) == rented and [kind for _, kind, _ in fake.requests] == ["rent"]


def test_requests_keep_their_distance_and_a_busy_api_is_asked_again(
    fake: FakeVast, account: Vast, clock: Clock
) -> None:
    fake.fail("instances", "429", "500", "lost")
    assert patiently(account.instances, sleep=clock.sleep) == []
    times = [at_s for at_s, kind, _ in fake.requests]
    assert len(times) == 4 and all(later - sooner >= 1 for sooner, later in pairwise(times))


def test_a_used_up_quota_is_not_asked_again(fake: FakeVast, account: Vast, clock: Clock) -> None:
    fake.quota = 0
    with pytest.raises(WireError, match="Daily quota"):
        patiently(lambda: account.search({}), sleep=clock.sleep)
    assert len(fake.requests) == 1


def test_a_wrong_key_is_one_sentence_without_the_key(fake: FakeVast) -> None:
    with pytest.raises(WireError, match="does not accept the API key") as caught:
        Vast(Wire("not-the-key", server=fake.url)).instances()
    assert "not-the-key" not in str(caught.value)


def test_the_key_goes_nowhere_in_clear() -> None:
    with pytest.raises(WireError, match="https"):
        Wire(KEY, server="http://console.vast.ai")


def test_a_log_is_fetched_once_it_is_there(fake: FakeVast, account: Vast, clock: Clock) -> None:
    fake.plans[1] = Plan(log=((0.0, "one"), (5.0, "two")))
    fake.log_polls = 3
    number = account.rent(1, order())
    clock.now_s += 100
    assert account.logs(number, lines=10) == "one\ntwo\n"


def test_an_instance_destroys_itself_with_its_own_key_and_no_other(fake: FakeVast, account: Vast, clock: Clock) -> None:
    first, second = account.rent(1, order()), None
    clock.now_s += 5
    second = account.rent(2, order())
    environ = {"VAST_URL": fake.url, "CONTAINER_ID": str(second), "CONTAINER_API_KEY": f"instance-key-{first}"}
    assert not destroy_self(environ)
    assert destroy_self({**environ, "CONTAINER_ID": str(first)})
    assert fake.rented == [second]
    assert not destroy_self({})


def test_a_32_gb_card_is_enough_for_everything_and_a_24_gb_card_is_not() -> None:
    needs = needs_of(("language", "voice", "face"))
    assert 24_564 / 1_024 < needs.vram_gib < 32_607 / 1_024
    assert needs_of(("face",)).vram_gib < 12
