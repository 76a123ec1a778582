"""Drivers that hang."""

import threading

import pytest

from peer_local.devices.device_thread import DeviceThread
from peer_local.errors import DeviceError


def test_calls_run_on_one_thread_and_give_back_what_they_find() -> None:
    thread = DeviceThread("driver")
    first = thread.call(threading.get_ident, timeout_s=5, what="It")
    assert first == thread.call(threading.get_ident, timeout_s=5, what="It") != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 // 0, timeout_s=5, what="It")
    assert thread.close()
    assert thread.close()


def test_a_call_that_hangs_is_an_error_and_its_late_result_is_let_go() -> None:
    thread = DeviceThread("driver")
    answer = threading.Event()
    let_go: list[str] = []

    def open_late() -> str:
        assert answer.wait(10)
        return "stream"

    with pytest.raises(DeviceError, match=r"The speaker did not answer within 0.01 s; reconnect"):
        thread.call(open_late, timeout_s=0.01, what="The speaker", discard=let_go.append)
    never: list[str] = []
    with pytest.raises(DeviceError, match="The microphone waits for a device that does not answer"):
        thread.call(lambda: never.append("begun"), timeout_s=5, what="The microphone")
    assert not thread.close(0.01)
    answer.set()
    assert thread.close()
    with pytest.raises(DeviceError, match="It is closed"):
        thread.call(threading.get_ident, timeout_s=5, what="It")
    assert (let_go, never) == (["stream"], [])


def test_a_driver_that_answers_again_is_asked_again() -> None:
    thread = DeviceThread("driver")
    answer, answered = threading.Event(), threading.Event()
    with pytest.raises(DeviceError):
        thread.call(lambda: answer.wait(10), timeout_s=0.01, what="It", discard=lambda _: answered.set())
    answer.set()
    assert answered.wait(5)
    assert thread.call(lambda: "here", timeout_s=5, what="It") == "here"
    assert thread.close()


def test_a_timeout_of_the_calls_own_is_not_taken_for_ours() -> None:
    thread = DeviceThread("driver")

    def refuse() -> None:
        raise TimeoutError("the driver's")

    with pytest.raises(TimeoutError, match="the driver's"):
        thread.call(refuse, timeout_s=5, what="It")
    assert thread.close()
