"""What the owner reads of engines that are not as they should be."""

from dataclasses import replace

import pytest

from peer_local.engines_text import troubles
from peer_local.screen.view import View
from signaling.protocol import EngineState
from tests.unit.test_screen_render import text


def test_engines_that_are_well_need_no_words() -> None:
    assert troubles([EngineState(kind="llm", engine="openai", state="ok")]) == ()


@pytest.mark.parametrize("kind", ["llm", "tts", "face"])
@pytest.mark.parametrize("reason", ["failed", "broke_off", "too_slow", "unavailable", "internal_error", None, "new"])
def test_each_trouble_is_one_sentence_that_names_the_engine(kind: str, reason: str | None) -> None:
    for state in ("fallback", "down"):
        engine = EngineState.model_validate({"kind": kind, "engine": "kokoro", "state": state, "reason": reason})
        (sentence,) = troubles([engine])
        assert "kokoro" in sentence and sentence.endswith(".") and "_" not in sentence and "{" not in sentence


def test_what_is_down_is_told_first_and_seen_on_the_screen() -> None:
    told = troubles(
        [
            EngineState(kind="tts", engine="kokoro", state="fallback", reason="too_slow"),
            EngineState(kind="face", engine="remote", state="down", reason="failed"),
        ]
    )
    assert told == (
        "The face remote failed; the picture stands still until it is back.",
        "The double speaks with the voice of kokoro, because the first one took too long.",
    )
    shown = "\n".join(text(replace(View(), warnings=told), 100, 24))
    assert all(f"▲ {sentence}" in shown for sentence in told)
