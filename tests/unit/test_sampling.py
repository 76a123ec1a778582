"""Stop strings and the events of a chat completion: pure."""

import json

import pytest

from models.llm.sampling import Sampling, StopStrings
from models.llm.sse import MAX_EVENT_BYTES, Delta, EventReader, MalformedStream, RefusedInStream, delta
from models.settings import LlmSettings


def through(stop: tuple[str, ...], *pieces: str) -> tuple[str, bool]:
    strings = StopStrings(stop)
    said = "".join(strings.feed(piece) for piece in pieces)
    return said + strings.rest(), strings.reached


@pytest.mark.parametrize(
    ("stop", "pieces", "expected"),
    [
        ((), ("One", " two"), ("One two", False)),
        (("User:",), ("Fine.\nUs", "er", ": more"), ("Fine.\n", True)),
        (("User:",), ("Fine.\nUs", "ual"), ("Fine.\nUsual", False)),
        (("User:",), ("Us", "Us", "er:"), ("Us", True)),
        (("b", "a"), ("xa", "b"), ("x", True)),
        (("END",), ("the EN",), ("the EN", False)),
        (("aab",), ("aaab",), ("a", True)),
    ],
)
def test_an_answer_ends_where_the_first_stop_string_begins(
    stop: tuple[str, ...], pieces: tuple[str, ...], expected: tuple[str, bool]
) -> None:
    assert through(stop, *pieces) == expected


def test_what_cannot_begin_a_stop_string_is_said_at_once() -> None:
    strings = StopStrings(("\n\n",))
    assert [strings.feed(piece) for piece in ("Hello", "\n", "you", "\n\nx", "more")] == ["Hello", "", "\nyou", "", ""]


def test_every_sampling_setting_reaches_the_engine() -> None:
    values = {"temperature": 0.1, "top_p": 0.5, "top_k": 3, "min_p": 0.2, "repeat_penalty": 1.2, "seed": 4}
    sampling = Sampling.of(LlmSettings.model_validate(values | {"stop": ["a", "b"]}))
    assert sampling == Sampling(0.1, 0.5, 3, 0.2, 1.2, 4, ("a", "b"))
    assert Sampling.of(LlmSettings()) == Sampling()


def test_events_may_be_cut_anywhere_and_comments_are_passed_over() -> None:
    data = b": ping\r\n\r\nid: 1\ndata: a\ndata:b\n\ndata: \xd1\x97\r\n\r\n\n\ndata: unfinished"
    reader = EventReader()
    assert [event for byte in data for event in reader.feed(bytes([byte]))] == ["a\nb", "ї"]
    assert EventReader().feed(data) == ["a\nb", "ї"]


@pytest.mark.parametrize("data", [b"<html>\n", b"data: \xff\n", b"x" * (MAX_EVENT_BYTES + 1)])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedStream):
        EventReader().feed(data)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"delta": {"role": "assistant"}, "finish_reason": None}, Delta("", False)),
        ({"delta": {"content": "Hi"}}, Delta("Hi", False)),
        ({"delta": {"content": None}, "finish_reason": "stop"}, Delta("", True)),
        ({"delta": {}, "finish_reason": "length"}, Delta("", True)),
    ],
)
def test_a_chunk_adds_text_or_ends_the_answer(choice: object, expected: Delta) -> None:
    assert delta(json.dumps({"choices": [choice]})) == expected


def test_usage_figures_add_nothing() -> None:
    assert delta('{"choices": [], "usage": {"total_tokens": 3}}') == Delta("", False)


@pytest.mark.parametrize("data", ["", "{", "7", "{}", '{"choices": 1}', '{"choices": [{"delta": {"content": 1}}]}'])
def test_what_is_no_chunk_is_refused(data: str) -> None:
    with pytest.raises(MalformedStream):
        delta(data)


def test_an_error_in_the_stream_is_told_apart() -> None:
    with pytest.raises(RefusedInStream):
        delta('{"error": {"message": "out of memory"}}')
