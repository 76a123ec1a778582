"""The output without a device."""

import threading

import pytest

from peer_local.devices.paced import Pace, PacedOutput
from tests.unit.sound_fakes import Clock, Failing, Ramp, stepping


def test_blocks_are_due_at_an_even_pace_whenever_they_are_taken() -> None:
    pace = Pace(0.02, 10.0)
    assert pace.wait_s(9.5) == 0.5
    assert [round(pace.take(now_s), 3) for now_s in (10.0, 10.03, 10.041, 10.06)] == [10.0, 10.02, 10.04, 10.06]
    assert pace.wait_s(10.06) == pytest.approx(0.02)
    assert pace.rebases == 0


def test_after_a_stall_it_goes_on_from_now_and_does_not_burst() -> None:
    pace = Pace(0.02, 10.0)
    pace.take(10.0)
    assert pace.take(11.0) == 11.0
    assert pace.wait_s(11.0) == pytest.approx(0.02)
    assert pace.rebases == 1


def test_a_source_is_pulled_in_real_time() -> None:
    clock = Clock()
    source = Ramp()
    output = PacedOutput(source, now=clock, wait=stepping(clock, 50))
    output._thread.join(5)
    assert [count for count, _ in source.pulls] == [960] * 50
    assert [at_s for _, at_s in source.pulls] == pytest.approx([100 + i * 0.02 for i in range(50)])
    assert output.rebases == 0
    output.close()
    assert not output.alive


def test_a_busy_machine_skips_time_once() -> None:
    clock = Clock()
    source = Ramp()
    output = PacedOutput(source, now=clock, wait=stepping(clock, 20, lambda step: 3.0 if step == 10 else 0.0))
    output._thread.join(5)
    assert output.rebases == 1
    assert source.pulls[-1][1] == pytest.approx(103 + 19 * 0.02)


def test_a_source_that_raises_does_not_end_it() -> None:
    clock = Clock()
    output = PacedOutput(Failing(), now=clock, wait=stepping(clock, 5))
    output._thread.join(5)
    assert output.failed_pulls == 5


def test_close_ends_the_thread_at_once() -> None:
    pulled = threading.Event()

    class Once(Ramp):
        def pull(self, count: int, at_s: float):  # type: ignore[no-untyped-def]
            pulled.set()
            return super().pull(count, at_s)

    output = PacedOutput(Once())
    assert pulled.wait(5)
    assert output.alive
    output.close()
    assert not output._thread.is_alive()
