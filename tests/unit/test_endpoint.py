import pytest

from models.hearing.endpoint import (
    WINDOW_MS,
    Confirmed,
    Dropped,
    Ended,
    Endpointer,
    EndpointEvent,
    Paused,
    Resumed,
    Started,
)


def feed(endpointer: Endpointer, probability: float, ms: int) -> list[EndpointEvent]:
    return [event for _ in range(-(-ms // WINDOW_MS)) for event in endpointer.push(probability)]


def test_a_finished_sentence_ends_shortly_after_the_last_word() -> None:
    endpointer = Endpointer()
    assert feed(endpointer, 0.9, 1_000) == [Started(), Confirmed()]
    assert feed(endpointer, 0.1, 160) == [Paused(1)]
    endpointer.judge(1, 0.95)
    assert feed(endpointer, 0.1, 96) == [Ended("finished")]
    assert not endpointer.speaking


def test_a_pause_for_thought_waits_and_the_sentence_goes_on() -> None:
    endpointer = Endpointer()
    feed(endpointer, 0.9, 1_000)
    assert feed(endpointer, 0.1, 160) == [Paused(1)]
    endpointer.judge(1, 0.2)
    assert feed(endpointer, 0.1, 800) == []
    assert feed(endpointer, 0.9, 320) == [Resumed()]
    assert feed(endpointer, 0.1, 160) == [Paused(2)]


def test_an_unfinished_sentence_ends_when_patience_does() -> None:
    endpointer = Endpointer()
    feed(endpointer, 0.9, 1_000)
    events = feed(endpointer, 0.1, 1_600)
    assert events == [Paused(1), Ended("patience")]


def test_a_late_verdict_on_an_earlier_pause_is_ignored() -> None:
    endpointer = Endpointer()
    feed(endpointer, 0.9, 1_000)
    feed(endpointer, 0.1, 200)
    feed(endpointer, 0.9, 200)
    endpointer.judge(1, 1.0)
    assert feed(endpointer, 0.1, 640) == [Paused(2)]
    endpointer.judge(1, 1.0)
    assert feed(endpointer, 0.1, 320) == []


def test_a_cough_is_dropped_and_interrupts_nobody() -> None:
    endpointer = Endpointer()
    assert feed(endpointer, 0.9, 128) == [Started()]
    assert feed(endpointer, 0.1, 160) == [Dropped()]


def test_a_single_loud_window_starts_nothing() -> None:
    endpointer = Endpointer()
    assert feed(endpointer, 0.9, WINDOW_MS) == []
    assert feed(endpointer, 0.1, 500) == []


@pytest.mark.parametrize("ms", [28_000, 40_000])
def test_endless_speech_is_cut_before_whisper_loses_it(ms: int) -> None:
    endpointer = Endpointer()
    events = feed(endpointer, 0.9, ms)
    assert Ended("longest") in events
