"""Whatever fails and whenever somebody stops it: nothing stays rented that the user is not told of."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.vast.instance import Instance
from deploy.vast.offers import Offer
from deploy.vast.removal import Left, Removal
from deploy.vast.rental import SETTLE_S, Limits, Rental
from deploy.vast.steps import (
    Check,
    Destroy,
    Destroyed,
    Done,
    Event,
    Heard,
    Listen,
    Look,
    NotDestroyed,
    NotPassed,
    Passed,
    Pause,
    Refused,
    Rent,
    Rented,
    Seen,
    Step,
    Unanswered,
    Unseen,
)

PORT = 8443
STEPS = 20_000


def offer(number: int) -> Offer:
    return Offer(
        id=number,
        machine=number,
        gpu="RTX 5090",
        gpus=1,
        vram_gib=31.8,
        usd_per_hour=0.5,
        country="DE",
        place="Germany, DE",
        reliability=0.99,
        ports=100,
        cpu_ghz=4.0,
        inet_down_mbps=1000,
        inet_up_mbps=500,
        inet_usd_per_gb=0.0,
        disk_mbps=3000,
        disk_gib=500,
        cuda=12.8,
        compute=1200,
        verified=True,
    )


@dataclass
class Host:
    """One instance as the world knows it."""

    appears_s: float
    fate: str
    began_s: float
    destroyed_s: float | None = None


@dataclass
class World:
    """An API that fails as often as `trouble` says, and hosts of every kind. Rents without an answer appear in time."""

    seed: int
    trouble: float
    blind_from_s: float = 1e9
    """From then on nothing can be listed or destroyed."""
    now_s: float = 0.0
    hosts: dict[int, Host] = field(default_factory=dict)
    lied: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def bad(self) -> bool:
        return self.random.random() < self.trouble

    @property
    def rented(self) -> set[int]:
        return {number for number, host in self.hosts.items() if host.destroyed_s is None}

    def do(self, step: Step) -> Event | None:
        self.now_s += self.random.choice((0.05, 0.5, 3.0, 30.0 if self.bad() else 0.2))
        blind = self.now_s >= self.blind_from_s
        match step:
            case Rent():
                return self._rent()
            case Look():
                if blind or self.bad():
                    return Unseen("Vast.ai asks for fewer requests.")
                if self.bad() and not self.lied and self.random.random() < 0.3:
                    self.lied = True  # a replica that lags behind, and not twice in a row
                    return Seen(())
                self.lied = False
                return Seen(tuple(self._row(number) for number in sorted(self.rented) if self._is_listed(number)))
            case Listen(instance):
                return self._listen(instance.id)
            case Check():
                return NotPassed("no sound came back") if self.bad() else Passed()
            case Destroy(number):
                if not blind and (not self.bad() or self.random.random() < 0.3) and number in self.hosts:
                    self.hosts[number].destroyed_s = self.now_s
                    if not self.bad():
                        return Destroyed(number)
                if not blind and self.bad() and self.random.random() < 0.3:
                    return Destroyed(number)  # which is not true
                return NotDestroyed(number, "Vast.ai did not answer")
            case Pause(seconds):
                assert seconds >= 0
                self.now_s += max(seconds, 0.01)
                return None
            case Done():
                raise AssertionError("done is not to be done")

    def _rent(self) -> Event:
        answer = self.random.choice(
            ("yes", "yes", "gone", "lost", "lost late", "lost without") if self.bad() else ("yes",)
        )
        number = 1000 + len(self.hosts)
        if answer in ("yes", "lost", "lost late"):
            late_s = self.random.uniform(0, SETTLE_S - 5) if answer == "lost late" else self.random.uniform(0, 4)
            fate = self.random.choice(
                ("well", "well", "never", "stuck", "vanishes", "crashes", "silent", "fails", "closed")
            )
            self.hosts[number] = Host(self.now_s + late_s, fate if self.bad() else "well", self.now_s)
        if answer == "yes":
            return Rented(number)
        return Refused("no_such_ask") if answer == "gone" else Unanswered("Vast.ai did not answer.")

    def _is_listed(self, number: int) -> bool:
        host = self.hosts[number]
        if host.fate == "vanishes" and self.now_s - host.began_s > 90:
            host.destroyed_s = self.now_s
        return self.now_s >= host.appears_s and host.destroyed_s is None

    def _row(self, number: int) -> Instance:
        host = self.hosts[number]
        age_s = self.now_s - host.began_s
        status: str | None = "running" if age_s > 60 else "loading" if age_s > 10 else None
        if host.fate == "never":
            status = None
        elif host.fate == "stuck" and age_s > 10:
            status = "loading"
        elif host.fate == "crashes" and age_s > 100:
            status = "exited"
        ports = {f"{PORT}/tcp": 33526} if status == "running" and host.fate != "closed" else {}
        return Instance(number, "understudy-1", status, ports=ports, address="203.0.113.7")

    def _listen(self, number: int) -> Event:
        host = self.hosts[number]
        age_s = self.now_s - host.began_s
        if self.bad() or host.fate == "silent":
            return Heard()
        failed = "the weights cannot be fetched" if host.fate == "fails" and age_s > 120 else None
        return Heard("weights", f"{age_s:.0f} %", int(age_s), failed, age_s > 300)


def drive(world: World, rental: Rental, interrupts: list[int]) -> None:
    """Until it is done; `interrupts` are the steps after which somebody presses Ctrl-C."""
    for count in range(STEPS):
        step = rental.next(world.now_s)
        if isinstance(step, Done):
            return
        event = world.do(step)
        if event is not None:
            rental.on(event, world.now_s)
        if count in interrupts:
            rental.interrupt(world.now_s)
    raise AssertionError("it never ends")


def told(left: Left | None, rented: set[int]) -> bool:
    """Whether the user knows of all that is rented."""
    return not rented if left is None else rented <= set(left.instances) or not left.certain


worlds = st.builds(
    World,
    seed=st.integers(0, 2**32),
    trouble=st.sampled_from((0.0, 0.1, 0.3, 0.6)),
    blind_from_s=st.one_of(st.just(1e9), st.floats(0, 2_000)),
)
stops = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 400)), max_size=4)


@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds, interrupts=stops)
def test_nothing_stays_rented_that_the_user_is_not_told_of(world: World, interrupts: list[int]) -> None:
    rental = Rental([offer(n) for n in range(5)], 0.0, signaling_port=PORT, limits=Limits())
    drive(world, rental, interrupts)
    outcome = rental.outcome
    assert outcome is not None
    rented = world.rented
    if outcome.kind == "ready":
        assert outcome.instance is not None
        assert outcome.instance.id in rented or outcome.left is not None
        rented = rented - {outcome.instance.id}
    assert told(outcome.left, rented), (outcome, rented)
    if world.blind_from_s == 1e9 and world.trouble <= 0.3 and len(interrupts) < 3:
        assert outcome.left is None


@settings(max_examples=200, deadline=None)
@given(world=worlds, interrupts=stops)
def test_what_is_kept_on_request_is_named(world: World, interrupts: list[int]) -> None:
    rental = Rental([offer(n) for n in range(5)], 0.0, signaling_port=PORT, limits=Limits(), keep=True)
    drive(world, rental, interrupts)
    assert rental.outcome is not None
    ready = rental.outcome.instance
    assert told(rental.outcome.left, world.rented - ({ready.id} if ready else set()))


@settings(max_examples=300, deadline=None)
@given(world=worlds, count=st.integers(0, 5))
def test_down_proves_that_nothing_is_left_or_says_what_is(world: World, count: int) -> None:
    world.hosts = {number: Host(0.0, "well", 0.0) for number in range(count)}
    removal = Removal((), 0.0)
    for _ in range(STEPS):
        step = removal.next(world.now_s)
        if isinstance(step, Done):
            break
        event = world.do(step)
        if event is not None:
            removal.on(event, world.now_s)
    assert removal.proved == (not world.rented) or removal.left is not None
    assert told(removal.left, world.rented)


@pytest.mark.parametrize("seed", range(20))
def test_without_trouble_the_first_offer_is_ready(seed: int) -> None:
    world = World(seed, trouble=0.0)
    rental = Rental([offer(1), offer(2)], 0.0, signaling_port=PORT, limits=Limits())
    drive(world, rental, [])
    assert rental.outcome is not None and rental.outcome.kind == "ready" and len(world.rented) == 1
    assert not rental.tries


def waiting_for(instance: int) -> Rental:
    rental = Rental([offer(1), offer(2)], 0.0, signaling_port=PORT, limits=Limits())
    assert rental.next(0.0) == Rent(offer(1))
    rental.on(Rented(instance), 1.0)
    return rental


def running(number: int) -> Instance:
    return Instance(number, "understudy-1", "running", ports={f"{PORT}/tcp": 33526}, address="203.0.113.7")


def test_a_second_instance_that_turns_up_late_is_destroyed_and_the_first_one_goes_on() -> None:
    rental = waiting_for(7)
    assert rental.next(1.0) == Look()
    rental.on(Seen((running(7), running(8))), 2.0)
    assert rental.next(2.0) == Destroy(8)
    rental.on(Destroyed(8), 3.0)
    assert isinstance(rental.next(3.0), Listen)
    rental.on(Heard(ready=True), 4.0)
    assert isinstance(rental.next(4.0), Check)
    rental.on(Passed(), 20.0)
    rental.on(Seen((running(7), running(8))), 21.0)
    assert rental.next(21.0) == Destroy(8)
    rental.on(Destroyed(8), 22.0)
    rental.on(Seen((running(7),)), 27.0)
    assert rental.outcome is not None and rental.outcome.kind == "ready" and rental.outcome.left is None
