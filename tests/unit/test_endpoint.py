from models.hearing.endpoint import (
    WINDOW_MS,
    Confirmed,
    Dropped,
    Ended,
    Endpointer,
    EndpointEvent,
    EndpointRules,
    Paused,
    Resumed,
    Split,
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


def test_endless_speech_is_split_where_it_is_least_like_speech() -> None:
    endpointer = Endpointer()
    feed(endpointer, 0.9, 26_000)
    feed(endpointer, 0.5, WINDOW_MS)
    events = feed(endpointer, 0.9, 2_000)
    assert events == [Split(62)]
    assert feed(endpointer, 0.9, 17_900) == []


def test_a_breath_splits_only_an_utterance_that_is_long_already() -> None:
    endpointer = Endpointer()
    feed(endpointer, 0.9, 15_000)
    assert feed(endpointer, 0.1, 96) == []
    feed(endpointer, 0.9, 6_000)
    assert feed(endpointer, 0.1, 96) == [Split(2)]
    assert feed(endpointer, 0.1, 64) == [Paused(1)]


def test_a_pause_for_thought_in_a_long_utterance_splits_it_when_it_is_over() -> None:
    endpointer = Endpointer()
    feed(endpointer, 0.9, 19_840)
    assert feed(endpointer, 0.1, 640) == [Paused(1)]
    assert feed(endpointer, 0.9, 64) == [Split(11), Resumed()]


def test_speech_that_was_confirmed_early_may_still_be_too_short() -> None:
    endpointer = Endpointer(EndpointRules(confirm_ms=160))
    assert feed(endpointer, 0.9, 192) == [Started(), Confirmed()]
    assert feed(endpointer, 0.1, 160) == [Dropped()]
