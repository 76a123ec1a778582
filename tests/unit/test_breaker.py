"""When an engine that failed is asked again."""

import pytest

from models.chain.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_opens_after_failures_in_a_row_and_a_success_between_them_does_not_count(clock: Clock) -> None:
    breaker = Breaker(failures=2, now=clock)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.closed
    breaker.failed()
    assert not breaker.closed


def test_a_failure_that_cost_time_opens_it_at_once(clock: Clock) -> None:
    breaker = Breaker(failures=5, now=clock)
    breaker.failed(heavy=True)
    assert not breaker.closed


def test_one_trial_is_let_through_after_the_pause_and_closes_it_when_it_succeeds(clock: Clock) -> None:
    breaker = Breaker(failures=1, first_pause_s=2, now=clock)
    breaker.failed()
    assert breaker.wait_s() == 2
    assert not breaker.begin_trial()
    clock.now_s = 2
    assert breaker.begin_trial()
    assert not breaker.begin_trial()
    assert not breaker.closed
    breaker.passed()
    assert breaker.closed


def test_the_pause_grows_with_each_trial_that_fails_up_to_the_longest(clock: Clock) -> None:
    breaker = Breaker(failures=1, first_pause_s=2, longest_pause_s=10, now=clock)
    breaker.failed()
    waits = []
    for _ in range(5):
        waits.append(breaker.wait_s())
        clock.now_s += breaker.wait_s()
        assert breaker.begin_trial()
        breaker.failed()
    assert waits == [2, 4, 8, 10, 10]


def test_an_engine_that_is_well_in_trials_only_is_asked_less_and_less(clock: Clock) -> None:
    breaker = Breaker(failures=1, first_pause_s=2, now=clock)
    waits = []
    for _ in range(3):
        breaker.failed()
        waits.append(breaker.wait_s())
        clock.now_s += breaker.wait_s()
        assert breaker.begin_trial()
        breaker.passed()
    assert waits == [2, 4, 8]
    breaker.succeeded()
    breaker.failed()
    assert breaker.wait_s() == 2


def test_failures_while_it_is_open_do_not_put_the_trial_off(clock: Clock) -> None:
    breaker = Breaker(failures=1, first_pause_s=2, now=clock)
    breaker.failed()
    clock.now_s = 1.5
    breaker.failed()
    assert breaker.wait_s() == 0.5
