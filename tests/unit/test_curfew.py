"""When a rented machine goes off, and whom it tells before."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from deploy.machine.age import age_s, birth_of_first_process
from deploy.machine.curfew import Curfew, Limits, Sight, Verdict, sentence
from deploy.machine.settings import MachineSettings
from deploy.machine.watchdog import LOOK_S, RETRY_S, Watchdog, limits_of, notice_teller, read_sight

NOBODY = Sight(viewers=0, turns=0)


def minutes(curfew: Curfew, sight: Sight | None, *moments: float) -> list[Verdict]:
    return [curfew.look(sight, moment * 60) for moment in moments]


def test_without_limits_there_is_no_end() -> None:
    curfew = Curfew(Limits(), now_s=0)
    assert minutes(curfew, None, 0, 60 * 24 * 365) == [Verdict(), Verdict()]


def test_nobody_for_the_idle_time_ends_it_after_a_warning() -> None:
    curfew = Curfew(Limits(idle_s=20 * 60, warn_s=5 * 60), now_s=0)
    _, early, warned, over = minutes(curfew, NOBODY, 0, 14, 16, 20)
    assert not early.warns
    assert warned.warns and not warned.over and warned.reason == "idle"
    assert over.over


def test_a_performer_that_tells_nothing_counts_as_nobody() -> None:
    curfew = Curfew(Limits(idle_s=600), now_s=0)
    assert minutes(curfew, None, 10)[0].over


def test_a_start_that_takes_long_leaves_the_whole_idle_time() -> None:
    curfew = Curfew(Limits(idle_s=20 * 60), now_s=0)
    minutes(curfew, None, 0, 15)
    later, over = minutes(curfew, NOBODY, 18, 38)
    assert not later.warns and over.over


def test_a_double_that_dies_again_and_again_keeps_no_machine() -> None:
    curfew = Curfew(Limits(idle_s=20 * 60), now_s=0)
    for moment in range(0, 20, 2):
        minutes(curfew, NOBODY, moment)
        minutes(curfew, None, moment + 1)
    assert minutes(curfew, NOBODY, 20)[0].over


def test_somebody_who_comes_takes_the_idle_end_back() -> None:
    curfew = Curfew(Limits(idle_s=20 * 60), now_s=0)
    minutes(curfew, NOBODY, 18)
    assert not minutes(curfew, Sight(1, 0), 19)[0].warns
    gone, over = minutes(curfew, NOBODY, 30, 39)
    assert not gone.warns and over.over


def test_a_browser_that_was_left_open_keeps_no_machine() -> None:
    curfew = Curfew(Limits(idle_s=20 * 60, silent_s=60 * 60), now_s=0)
    sights = minutes(curfew, Sight(1, 3), 0, 40, 56, 60)
    assert [verdict.over for verdict in sights] == [False, False, False, True]
    assert sights[2].warns and sights[2].reason == "silent"


def test_what_is_said_takes_the_silent_end_back() -> None:
    curfew = Curfew(Limits(silent_s=60 * 60), now_s=0)
    minutes(curfew, Sight(1, 3), 0, 58)
    assert not minutes(curfew, Sight(1, 4), 59)[0].warns
    assert minutes(curfew, Sight(1, 4), 119)[0].over


def test_the_longest_time_ends_it_in_the_middle_of_a_talk() -> None:
    curfew = Curfew(Limits(max_s=3 * 3600), now_s=0, age_s=3600)
    talking = [curfew.look(Sight(1, float(minute)), minute * 60.0) for minute in range(121)]
    assert [verdict.over for verdict in talking].index(True) == 120
    assert talking[116].warns and talking[116].reason == "max"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict(290.0, "max", warns=True), "goes off in 5 minutes, because its time is over."),
        (Verdict(20.0, "idle", warns=True), "goes off in a minute, because nobody is connected."),
        (Verdict(-5.0, "silent", warns=True), "say something to keep it."),
    ],
)
def test_the_warning_says_when_and_why(verdict: Verdict, words: str) -> None:
    said = sentence(verdict)
    assert said is not None and said.endswith(words)
    assert sentence(Verdict(4_000.0, "max")) is None


class Scene:
    """A machine on a clock of the test's own."""

    def __init__(self, limits: Limits, at_end: Literal["nothing", "stop", "destroy"]) -> None:
        self.now_s = 0.0
        self.sight: Sight | None = NOBODY
        self.told: list[str | None] = []
        self.done: list[str] = []
        self.destroys = [True]
        self.watchdog = Watchdog(
            Curfew(limits, now_s=0.0),
            at_end=at_end,
            sight=lambda: self.sight,
            tell=self.told.append,
            stop=lambda: self.done.append("stop"),
            destroy=self._destroy,
            clock=lambda: self.now_s,
        )

    def _destroy(self) -> bool:
        self.done.append("destroy")
        return self.destroys.pop(0)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        while not until() and self.now_s < 7_200:
            wait_s = self.watchdog.look()
            if wait_s is None:
                return
            self.now_s += wait_s


def test_a_rented_machine_is_given_back_at_the_end() -> None:
    scene = Scene(Limits(idle_s=600, warn_s=120), "destroy")
    scene.run()
    assert scene.done == ["destroy"] and scene.now_s == 600
    assert scene.told[0] is not None and "in 2 minutes" in scene.told[0]


def test_a_full_disk_keeps_no_machine() -> None:
    scene = Scene(Limits(idle_s=600, warn_s=120), "destroy")

    def full(text: str | None) -> None:
        raise OSError(28, "No space left on device")

    scene.watchdog._tell = full
    scene.run()
    assert scene.done == ["destroy"] and scene.now_s == 600


def test_a_rental_that_does_not_answer_is_asked_again_until_it_does() -> None:
    scene = Scene(Limits(max_s=600), "destroy")
    scene.destroys = [False, False, True]
    scene.run()
    assert scene.done == ["destroy"] * 3 and scene.now_s == 600 + 2 * RETRY_S


def test_another_machine_only_stops_its_services() -> None:
    scene = Scene(Limits(max_s=600), "stop")
    scene.run()
    assert scene.done == ["stop"]


def test_a_machine_that_only_tells_goes_on() -> None:
    scene = Scene(Limits(max_s=600, warn_s=60), "nothing")
    scene.run()
    assert scene.done == [] and scene.told[-1] is not None


def test_a_warning_is_taken_back_when_somebody_comes() -> None:
    scene = Scene(Limits(idle_s=600, warn_s=120), "destroy")
    scene.run(until=lambda: bool(scene.told))
    scene.sight = Sight(1, 0)
    scene.watchdog.look()
    assert scene.told[-1] is None and scene.done == []
    assert scene.watchdog.look() == LOOK_S


def test_the_warning_lies_where_the_performer_reads_it(tmp_path: Path) -> None:
    tell = notice_teller(tmp_path / "notice")
    tell("It goes off.")
    assert (tmp_path / "notice").read_text() == "It goes off.\n"
    tell(None)
    tell(None)
    assert not (tmp_path / "notice").exists()


def test_the_metrics_tell_who_is_there_and_how_much_was_said() -> None:
    text = b"""# HELP understudy_viewers Viewers connected now
understudy_viewers 2.0
understudy_turns_total{reason="finished"} 5.0
understudy_turns_total{reason="interrupted"} 1.0
understudy_turns_created{reason="finished"} 1.7e+09
"""
    assert read_sight(text) == Sight(2, 6.0)
    assert read_sight(None) is None and read_sight(b"other 1.0") is None


def test_a_watchdog_that_was_killed_begins_no_new_time(tmp_path: Path) -> None:
    file = tmp_path / "began"
    assert age_s(file, now_s=1_000, birth="a:1") == 0
    assert age_s(file, now_s=1_600, birth="a:1") == 600
    assert age_s(file, now_s=9_000, birth="b:1") == 0, "a container that was started again has its whole time"
    file.write_text("nonsense")
    assert age_s(file, now_s=9_000, birth="b:1") == 0


def test_an_age_that_cannot_be_noted_begins_now(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert age_s(tmp_path / "file" / "began", now_s=7.0, birth="boot:1") == 0.0


def test_a_container_that_is_started_again_has_another_birth(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot\n")
    (tmp_path / "1").mkdir()
    stat = "1 (bash (x) y) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {} 100 200"
    (tmp_path / "1/stat").write_text(stat.format(4711))
    assert birth_of_first_process(tmp_path) == "boot:4711"
    assert birth_of_first_process(tmp_path / "nowhere") == "unknown"


def test_silence_may_last_three_times_as_long_as_absence() -> None:
    limits = limits_of(MachineSettings(idle_minutes=20, max_hours=3))
    assert (limits.idle_s, limits.silent_s, limits.max_s) == (1_200, 3_600, 10_800)
