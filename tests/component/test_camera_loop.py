"""The camera's pulse in simulated time."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from models.interfaces import Image
from peer_local.errors import DeviceError
from peer_local.interfaces import PictureOutput
from peer_local.on_air.camera_loop import REOPEN_S, CameraLoop, Schedule

PICTURE = np.zeros((24, 16), np.uint8)


class Clock:
    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Screen:
    """Notes what it is shown; fails when told to."""

    def __init__(self, name: str = "screen") -> None:
        self.name = name
        self.shown: list[tuple[Image, float]] = []
        self.error: Exception | None = None
        self.closed = False

    def show(self, image: Image, at_s: float) -> None:
        assert not self.closed
        if self.error is not None:
            raise self.error
        self.shown.append((image, at_s))

    def close(self) -> None:
        self.closed = True


def loop_on(
    clock: Clock,
    *screens: PictureOutput,
    picture: Callable[[float], Image] = lambda at_s: PICTURE,
    latency_ms: float = 0,
) -> CameraLoop:
    loop = CameraLoop(picture, fps=30, camera_latency_ms=latency_ms, now=clock)
    for screen in screens:
        loop.add(screen)
    return loop


def run(loop: CameraLoop, clock: Clock, seconds: float, *, late_s: float = 0.0) -> None:
    """Step as the thread does, waking up `late_s` late each time."""
    end_s = clock.now_s + seconds
    while (wait_s := loop.step()) + clock.now_s < end_s - 1e-9:
        clock.now_s += wait_s + late_s


def test_an_hour_at_exactly_thirty_pictures_a_second() -> None:
    clock, screen = Clock(), Screen()
    loop = loop_on(clock, screen)
    run(loop, clock, 3_600)
    assert len(screen.shown) == 3_600 * 30
    places = [(at_s - 1_000) * 30 for _, at_s in screen.shown]
    assert np.abs(places - np.arange(3_600 * 30)).max() < 1e-3
    assert loop.skipped == 0


def test_small_lateness_does_not_add_up() -> None:
    clock, screen = Clock(), Screen()
    loop = loop_on(clock, screen)
    run(loop, clock, 60, late_s=0.009)
    assert len(screen.shown) == 60 * 30
    assert loop.skipped == 0


def test_late_ticks_are_skipped_and_counted_not_made_up_for() -> None:
    clock, screen = Clock(), Screen()
    loop = loop_on(clock, screen)
    run(loop, clock, 1)
    clock.now_s = 1_002.501
    loop.step()
    assert screen.shown[-1][1] == pytest.approx(1_002.5)
    assert len(screen.shown) == 31
    assert loop.skipped == 45
    assert loop.step() == pytest.approx(1 / 30 - 0.001)
    assert len(screen.shown) == 31


def test_a_slow_picture_costs_only_its_own_ticks() -> None:
    clock, screen = Clock(), Screen()

    def picture(at_s: float) -> Image:
        clock.now_s += 0.05
        return PICTURE

    loop = loop_on(clock, screen, picture=picture)
    run(loop, clock, 10)
    assert len(screen.shown) == pytest.approx(200, abs=2)
    assert loop.skipped == pytest.approx(100, abs=2)
    assert loop.busy_s == pytest.approx(0.05)


def test_the_picture_is_that_of_the_moment_at_which_it_is_seen() -> None:
    clock, screen = Clock(), Screen()
    asked: list[float] = []

    def picture(at_s: float) -> Image:
        asked.append(at_s)
        return PICTURE

    run(loop_on(clock, screen, picture=picture, latency_ms=80), clock, 0.1)
    assert asked == [at_s for _, at_s in screen.shown]
    assert asked[0] == pytest.approx(1_000.08)


def test_a_picture_that_cannot_be_made_is_counted_and_the_next_one_is_shown() -> None:
    clock, screen = Clock(), Screen()

    def picture(at_s: float) -> Image:
        if at_s < 1_000.5:
            raise RuntimeError("broken")
        return PICTURE

    loop = loop_on(clock, screen, picture=picture)
    run(loop, clock, 1)
    assert (loop.failures, loop.shown, len(screen.shown)) == (15, 15, 15)


def wait_for_screens() -> None:
    """Until what happens aside is done."""
    for thread in threading.enumerate():
        if thread.name.startswith("screen "):
            thread.join(5)


def test_a_failing_screen_does_not_disturb_the_others_and_comes_back() -> None:
    clock, steady, failing, again = Clock(), Screen("steady"), Screen("failing"), Screen("again")
    attempts: list[float] = []

    def reopen() -> PictureOutput:
        attempts.append(clock.now_s)
        if len(attempts) < 3:
            raise DeviceError("It is still unplugged: plug it in.")
        return again

    loop = loop_on(clock, steady)
    loop.add(failing, reopen=reopen)
    run(loop, clock, 1)
    failing.error = DeviceError("It is unplugged: plug it in.")
    lost_s = clock.now_s
    for _ in range(10 * 30):
        run(loop, clock, 2 / 30)
        wait_for_screens()
    assert failing.closed and len(failing.shown) == 30
    assert np.diff([lost_s, *attempts]) == pytest.approx([REOPEN_S] * 3, abs=0.1)
    assert loop.showing_on == ("steady", "again")
    assert len(steady.shown) == loop.shown
    assert again.shown and again.shown[-1] == steady.shown[-1]


def test_a_screen_without_a_way_back_stays_away() -> None:
    clock, screen = Clock(), Screen()
    loop = loop_on(clock, screen)
    screen.error = OSError("gone")
    run(loop, clock, 10)
    wait_for_screens()
    assert screen.closed and loop.showing_on == ()
    assert loop.shown == 300


def test_a_driver_that_takes_long_to_open_delays_nobody() -> None:
    clock, steady, failing, again = Clock(), Screen("steady"), Screen("failing"), Screen("again")
    release = threading.Event()

    def reopen() -> PictureOutput:
        release.wait(5)
        return again

    loop = loop_on(clock, steady)
    loop.add(failing, reopen=reopen)
    failing.error = OSError("gone")
    run(loop, clock, 1)
    wait_for_screens()
    run(loop, clock, 9)
    assert len(steady.shown) == loop.shown >= 299 and not again.shown
    release.set()
    wait_for_screens()
    run(loop, clock, 1)
    assert loop.showing_on == ("steady", "again")


def test_a_screen_can_be_added_and_taken_away_while_the_loop_runs() -> None:
    clock, camera, recorder = Clock(), Screen("camera"), Screen("recorder")
    loop = loop_on(clock, camera)
    run(loop, clock, 1)
    loop.add(recorder)
    run(loop, clock, 1)
    loop.remove(recorder)
    run(loop, clock, 1)
    assert 29 <= len(recorder.shown) <= 31 and not recorder.closed, "who takes it away closes it"
    assert len(camera.shown) == loop.shown and loop.showing_on == ("camera",)
    loop.remove(recorder)


def test_a_driver_that_takes_long_to_close_delays_nobody() -> None:
    release = threading.Event()

    class Slow(Screen):
        def close(self) -> None:
            release.wait(5)
            super().close()

    clock, steady, slow = Clock(), Screen("steady"), Slow("slow")
    loop = loop_on(clock, steady, slow)
    slow.error = OSError("gone")
    run(loop, clock, 10)
    assert len(steady.shown) == 300 and not slow.closed
    release.set()
    loop.close()
    assert slow.closed


def test_the_thread_shows_pictures_and_close_closes_everything() -> None:
    shown = threading.Event()
    screen = Screen()

    def picture(at_s: float) -> Image:
        if len(screen.shown) >= 2:
            shown.set()
        return PICTURE

    loop = CameraLoop(picture, fps=60)
    loop.add(screen)
    loop.start()
    assert shown.wait(10)
    loop.close()
    assert screen.closed
    assert "camera" not in [thread.name for thread in threading.enumerate()]


def test_a_screen_that_is_opened_while_the_loop_closes_is_closed_too() -> None:
    clock, failing, again = Clock(), Screen("failing"), Screen("again")
    loop = loop_on(clock)
    loop.add(failing, reopen=lambda: again)
    failing.error = OSError("gone")
    run(loop, clock, 1)
    wait_for_screens()
    run(loop, clock, 1.2)
    loop.close()
    assert again.closed


def test_a_schedule_never_gives_a_tick_twice() -> None:
    schedule = Schedule(30, 5.0)
    assert schedule.due(4.99) is None
    assert schedule.due(5.0) == 5.0
    assert schedule.due(5.0) is None
    assert schedule.wait_s(5.0) == pytest.approx(1 / 30)
    assert schedule.due(5.0 + 1 / 30) == pytest.approx(5.0 + 1 / 30)
    assert schedule.wait_s(9.0) == 0
