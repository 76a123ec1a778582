"""When a service is started, asked, ended and started again."""

from dataclasses import replace

import pytest

from peer_remote.services.lifecycle import Backoff, Deed, Lifecycle, State, Step, ending
from peer_remote.services.service import Health, Service

SERVICE = Service("llm", ("serve",), Health("http", "http://127.0.0.1:1"), start_s=60.0, stop_s=10.0)
BACKOFF = Backoff(jitter=0.0)


def lifecycle(service: Service = SERVICE) -> Lifecycle:
    return Lifecycle(service, now_s=0.0, chance=lambda: 0.5, backoff=BACKOFF)


def state(life: Lifecycle) -> State:
    return life.state


def well(life: Lifecycle, now_s: float) -> None:
    """Start it, and let it answer."""
    assert life.next(now_s) == Step(Deed.START)
    life.started(now_s)
    ask(life, now_s, True)
    assert state(life) is State.WELL


def ask(life: Lifecycle, now_s: float, answer: bool) -> None:
    assert life.next(now_s).deed is Deed.ASK
    life.asked()
    life.answered(answer, now_s)


def test_a_service_is_started_and_asked_at_once_and_then_at_intervals() -> None:
    life = lifecycle()
    well(life, 0.0)
    assert life.next(1.0) == Step(Deed.WAIT, 5.0)
    ask(life, 5.0, True)
    assert state(life) is State.WELL and life.restarts == 0


def test_there_is_one_question_at_a_time() -> None:
    life = lifecycle()
    well(life, 0.0)
    assert life.next(5.0).deed is Deed.ASK
    life.asked()
    assert life.next(100.0) == Step(Deed.WAIT)


def test_until_it_is_well_it_is_asked_often_and_may_not_answer() -> None:
    life = lifecycle()
    life.next(0.0)
    life.started(0.0)
    for quarter in range(200):
        ask(life, quarter / 4, False)
    assert state(life) is State.STARTING
    ask(life, 50.0, True)
    assert state(life) is State.WELL


def test_one_that_is_not_well_in_time_is_ended_and_started_again() -> None:
    life = lifecycle()
    life.next(0.0)
    life.started(0.0)
    ask(life, 0.0, False)
    assert life.next(59.0).deed is Deed.ASK
    assert life.next(60.0) == Step(Deed.TERMINATE)
    life.gone("ended by SIGTERM", 61.0)
    assert life.reason == "was not well within 60 s of its start"
    assert life.next(61.0) == Step(Deed.WAIT, 61.5)
    assert life.next(61.5) == Step(Deed.START)


def test_a_missed_question_is_forgiven_and_three_in_a_row_are_not() -> None:
    life = lifecycle()
    well(life, 0.0)
    ask(life, 5.0, False)
    assert state(life) is State.UNWELL
    ask(life, 10.0, True)
    assert state(life) is State.WELL
    for now_s in (15.0, 20.0, 25.0):
        ask(life, now_s, False)
    assert life.next(25.0) == Step(Deed.TERMINATE)
    assert life.reason == "did not answer 3 times in a row"
    assert life.next(26.0) == Step(Deed.WAIT, 27.0)
    assert life.next(27.0) == Step(Deed.KILL)


def test_what_ignores_sigterm_is_killed_once() -> None:
    life = lifecycle()
    well(life, 0.0)
    life.end()
    assert life.next(1.0) == Step(Deed.TERMINATE)
    assert life.next(1.0) == Step(Deed.WAIT, 11.0)
    assert life.next(11.0) == Step(Deed.KILL)
    assert life.next(12.0) == Step(Deed.WAIT)
    life.gone("ended by SIGKILL", 12.0)
    assert state(life) is State.ENDED and life.next(12.0) == Step(Deed.FINISH)


def test_pauses_grow_up_to_the_longest() -> None:
    life = lifecycle()
    now_s, pauses = 0.0, []
    for _ in range(9):
        life.next(now_s)
        life.started(now_s)
        life.gone("ended with exit status 1", now_s)
        pauses.append(life.pause_s(now_s))
        now_s += pauses[-1]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert life.restarts == 8


@pytest.mark.parametrize(("chance", "pause_s"), [(0.0, 0.4), (0.5, 0.5), (0.999999, pytest.approx(0.6))])
def test_pauses_differ_by_chance(chance: float, pause_s: float) -> None:
    assert Backoff().pause_s(1, chance) == pause_s


def test_a_time_of_health_forgives_what_was_before() -> None:
    life = lifecycle()
    for now_s in (0.0, 10.0, 20.0):
        well(life, now_s)
        life.gone("ended by SIGKILL", now_s + 1)
    assert life.failures == 3
    well(life, 100.0)
    life.gone("ended by SIGKILL", 161.0)
    assert life.failures == 1 and life.pause_s(161.0) == 0.5


def test_a_loop_is_told_once_and_nobody_waits_for_it_any_more() -> None:
    life = lifecycle()
    told = []
    for now_s in range(0, 500, 100):
        life.next(now_s)
        life.started(now_s)
        life.gone("ended with exit status 1", now_s)
        told.append((life.loops_now, life.settled))
    assert told == [(False, False), (False, False), (True, True), (False, True), (False, True)]


def test_a_service_waits_for_those_before_it_but_not_for_ever() -> None:
    life = lifecycle()
    assert life.next(0.0, patience_s=30.0) == Step(Deed.WAIT, 30.0)
    assert life.next(29.0) == Step(Deed.START)
    assert life.next(30.0, patience_s=30.0) == Step(Deed.START)


def test_told_to_end_it_is_not_started_again() -> None:
    life = lifecycle()
    well(life, 0.0)
    life.gone("ended by SIGKILL", 1.0)
    life.end()
    assert life.next(5.0) == Step(Deed.FINISH)
    assert state(life) is State.ENDED


def test_a_service_elsewhere_is_asked_and_never_started_or_ended() -> None:
    life = lifecycle(replace(SERVICE, command=()))
    ask(life, 0.0, False)
    assert state(life) is State.UNWELL
    for now_s in (5.0, 10.0, 15.0, 20.0):
        ask(life, now_s, False)
    ask(life, 25.0, True)
    assert state(life) is State.WELL
    life.end()
    assert life.next(26.0) == Step(Deed.FINISH)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended with exit status 0"),
        (1, "ended with exit status 1"),
        (-9, "ended by SIGKILL"),
        (-200, "ended by signal 200"),
    ],
)
def test_how_a_process_ended_is_said_in_words(status: int, words: str) -> None:
    assert ending(status) == words
