"""A rented machine that nobody looks after any more is given back, whatever failed before."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.machine.fuse import GRACE_S, LOOK_S, START_MINUTES, Fuse, main, steady_age, was_ready, watch
from deploy.machine.progress import Line

RENTED = {"CONTAINER_ID": "7", "CONTAINER_API_KEY": "k", "UNDERSTUDY_MACHINE__AT_END": "destroy"}


def test_a_start_that_never_ends_is_given_back() -> None:
    fuse = Fuse(start_s=7_200, max_s=0)
    assert not fuse.blows(7_199, ready=False)
    assert fuse.blows(7_200, ready=False)
    assert not fuse.blows(1e9, ready=True), "from then on it is the watchdog's"


def test_a_machine_whose_watchdog_failed_is_given_back_some_minutes_after_its_time() -> None:
    fuse = Fuse(start_s=7_200, max_s=3_600)
    assert not fuse.blows(3_600 + GRACE_S - 1, ready=True)
    assert fuse.blows(3_600 + GRACE_S, ready=True)


@pytest.mark.parametrize("missing", RENTED)
def test_only_a_rented_machine_has_a_fuse(missing: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in RENTED.items() if name != missing}
    assert Fuse.read(environment) is None
    assert main({**environment, "UNDERSTUDY_MACHINE__DIR": str(tmp_path)}) == 0


def test_its_times_are_the_settings_or_the_usual_ones() -> None:
    assert Fuse.read(RENTED) == Fuse(START_MINUTES * 60, 0.0)
    more = {"UNDERSTUDY_MACHINE__MAX_HOURS": "3", "UNDERSTUDY_MACHINE__START_MINUTES": "soon"}
    assert Fuse.read({**RENTED, **more}) == Fuse(START_MINUTES * 60, 3 * 3_600)


def test_a_rental_that_does_not_answer_is_asked_again() -> None:
    now_s, answers, asked = [0.0], [False, False, True], []

    def destroy() -> bool:
        asked.append(now_s[0])
        return answers.pop(0)

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    watch(Fuse(60.0, 0.0), age=lambda: now_s[0], ready=lambda: False, destroy=destroy, sleep=sleep)
    assert asked == [60.0, 60.0 + LOOK_S, 60.0 + 2 * LOOK_S]


def test_a_clock_that_is_put_back_gives_no_new_time() -> None:
    wall_s, steady_s = [1_000.0], [50.0]
    age = steady_age(lambda: wall_s[0], clock=lambda: steady_s[0])
    assert age() == 1_000.0
    wall_s[0], steady_s[0] = 0.0, 3_650.0
    assert age() == 4_600.0
    wall_s[0] = 9_000.0
    assert age() == 9_000.0, "the time that a machine was suspended counts"


def test_only_a_start_of_this_life_counts_as_ready(tmp_path: Path) -> None:
    file, at = tmp_path / "progress", datetime(2026, 11, 25, 21, 0, 0, tzinfo=UTC)
    assert not was_ready(file, at.timestamp())
    file.write_text(f"{Line(at, 'weights', 'done')}\n")
    assert not was_ready(file, at.timestamp())
    file.write_text(f"{Line(at, 'ready', 'done', 'the double is on stage')}\n")
    assert was_ready(file, at.timestamp() - 60)
    assert not was_ready(file, at.timestamp() + 60), "it was the start before the machine was stopped"
