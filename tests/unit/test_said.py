"""What people read of an answer, and which of its words count as heard."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from models.face.counter import create as counter
from models.interfaces import SPEECH_RATE_HZ, Speech
from models.llm.scripted import ScriptedModel
from models.settings import EngineSettings, FaceSettings
from models.tts.markers import legible
from peer_remote.delivery import Delivery
from peer_remote.said import SpokenClause, expected_samples, words_heard
from peer_remote.stage import Stage
from peer_remote.trace import Trace
from peer_remote.turn import Cast, Turn

LINE = "one two three four five six seven eight nine ten"


class StreamingVoice:
    """Half a second of every clause at once, the rest of its two seconds when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.resting, self.go_on = asyncio.Event(), asyncio.Event()

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        self.asked.append(text)
        yield Speech(np.zeros(SPEECH_RATE_HZ // 2, np.float32))
        self.resting.set()
        await self.go_on.wait()
        yield Speech(np.zeros(3 * SPEECH_RATE_HZ // 2, np.float32))

    async def aclose(self) -> None: ...


def clause(samples: int, *, complete: bool, expected: int = 0) -> SpokenClause:
    return SpokenClause(LINE, 0, expected, samples, complete)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("(excited) Hello there!", "Hello there!"),
        ("Well, (laughing) that is it.", "Well, that is it."),
        ("That is it (laughing).", "That is it."),
        ("(sad), I know.", "I know."),
        ("[whispering] Come here.", "Come here."),
        ("(joyful) Привіт (радий бачити)!", "Привіт (радий бачити)!"),
        ("It costs five (about six)  here.", "It costs five (about six) here."),
        ("Two  spaces\nand a line.", "Two  spaces\nand a line."),
        ("(excited)", ""),
    ],
)
def test_people_read_no_direction_to_the_voice(written: str, read: str) -> None:
    assert legible(written) == read


def test_of_a_whole_clause_the_words_before_the_moment_were_heard() -> None:
    assert words_heard([clause(1_000, complete=True)], 500) == "one two three four five"
    assert words_heard([clause(1_000, complete=True)], 1_000) == LINE
    assert words_heard([clause(1_000, complete=True)], 0) == ""


def test_of_a_clause_that_still_comes_only_what_its_length_will_probably_allow_was_heard() -> None:
    assert words_heard([clause(200, complete=False, expected=1_000)], 200) == "one two"
    late = clause(2_000, complete=False, expected=1_000)
    assert words_heard([late], 2_000) == LINE.removesuffix(" ten")


def test_of_a_clause_that_was_cut_short_the_next_one_makes_no_more_words_heard() -> None:
    cut = clause(200, complete=False, expected=1_000)
    following = SpokenClause("And more.", 200, samples=2_000, complete=True)
    assert words_heard([cut, following], 2_200) == "one two And more."


def test_the_clauses_before_tell_how_fast_the_voice_speaks() -> None:
    slow = SpokenClause("a" * 10, 0, samples=50_000, complete=True)
    assert expected_samples("b" * 20, [slow]) == 100_000
    assert expected_samples("in 2026", []) > expected_samples("in this", [])


async def test_an_answer_cut_off_in_a_clause_that_still_comes_claims_few_words_and_no_marker() -> None:
    voice, stage = StreamingVoice(), Stage(lead_ms=60_000)
    face = counter(EngineSettings(face=FaceSettings(engine="counter", size_px=128)))
    turn = Turn(1, Trace())
    stage.open(1)
    speaking = asyncio.create_task(
        turn.perform(
            Cast(ScriptedModel(["unused"]), voice, face),
            stage,
            "(excited) We could move the meeting.",
            max_tokens=8,
        )
    )
    await voice.resting.wait()
    assert turn.said(SPEECH_RATE_HZ // 2) == "We"
    (caption,) = Delivery(turn, None, lambda _: 0.0).played(0, 0)
    assert caption.text == "We could move the meeting."
    assert 1_500 < caption.duration_ms < 2_000
    voice.go_on.set()
    await speaking
    assert turn.said(SPEECH_RATE_HZ) == "We could"
    assert turn.said(2 * SPEECH_RATE_HZ) == caption.text
    assert voice.asked == ["(excited) We could move the meeting."]
    await face.aclose()
