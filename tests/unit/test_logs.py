import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from signaling import logs


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in logs.NOISY_LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def logged(*, as_json: bool = False, **extra: Any) -> str:
    stream = io.StringIO()
    logs.setup(as_json=as_json, stream=stream)
    logging.getLogger("test").warning("something_happened", extra=extra)
    return stream.getvalue()


def test_an_event_is_one_line_with_its_values() -> None:
    line = logged(room="main", viewers=2, delay_s=0.25)
    assert line.endswith("Z WARNING test something_happened delay_s=0.25 room=main viewers=2\n")


def test_a_value_cannot_forge_a_second_line() -> None:
    line = logged(name_of_room="a\nERROR test forged", quoted='say "hi"')
    assert line.count("\n") == 1
    assert r'"a\nERROR test forged"' in line
    assert r'"say \"hi\""' in line


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("name", ["token", "turn_secret", "sdp", "user_text", "API_KEY"])
def test_secrets_and_what_people_say_are_withheld(name: str, as_json: bool) -> None:
    line = logged(as_json=as_json, **{name: "confidential"})
    assert "confidential" not in line
    assert "[withheld]" in line


def test_numbers_are_not_mistaken_for_secrets() -> None:
    assert "first_token=81.5" in logged(first_token=81.5)


def test_json_has_the_same_and_the_exception() -> None:
    stream = io.StringIO()
    logs.setup(as_json=True, stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("test").exception("engine_failed", extra={"stage": "tts"})
    entry = json.loads(stream.getvalue())
    assert (entry["event"], entry["level"], entry["logger"], entry["stage"]) == (
        "engine_failed",
        "error",
        "test",
        "tts",
    )
    assert "ValueError: broken" in entry["exception"]


def test_a_second_setup_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.setup(stream=first)
    logs.setup("error", stream=second)
    logging.getLogger("test").warning("quiet")
    logging.getLogger("test").error("loud")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1


def test_a_level_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^loud is not a log level; levels are debug, info"):
        logs.setup("loud")
