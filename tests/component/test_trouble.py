"""An answer that breaks off: what was made is heard, the double owns up, and the conversation goes on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from models.errors import ClauseCutShort, EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Message, Picture, Speech
from models.tts.phrase_cache import PhraseCache
from peer_remote.clauses import clauses_of
from peer_remote.trouble import LONGEST_S
from peer_remote.turn import Cast
from signaling import protocol
from tests.component.conversation_world import ANSWER, CLAUSE_S, WORD_S, SlowVoice, StillFace, World, scenario

TROUBLE = "Sorry, I lost my thread. Could you say that again?"


class BreakableVoice(SlowVoice):
    """Breaks amid its clauses from number `breaks_at` on, or hangs before them."""

    def __init__(self) -> None:
        self.breaks_at: int | None = None
        self.error: Exception | None = EngineFailed("The voice broke.")
        self.spoken = 0

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        breaks = self.breaks_at is not None and self.spoken >= self.breaks_at
        self.spoken += 1
        if breaks and self.error is None:
            await asyncio.sleep(1_000)
        async for speech in super().stream(text):
            if breaks:
                yield Speech(speech.samples[: len(speech.samples) // 2])
                assert self.error is not None
                raise self.error
            yield speech


def with_voice(world: World, voice: Any) -> None:
    cast = world.conversation._cast
    world.conversation._cast = Cast(cast.llm, voice, cast.face)


def ended(world: World) -> list[tuple[str, str]]:
    return [(message.reason, message.text) for message in world.of(protocol.TurnEnded)]


def captions(world: World, turn_id: int = 1) -> list[str]:
    return [caption.text for caption in world.of(protocol.Caption) if caption.turn_id == turn_id]


def test_clauses_that_were_made_are_heard_to_their_end_and_then_it_owns_up() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 14
        world.conversation.say("First", source="typed")
        await asyncio.sleep(15)
        world.model.fail_after = None
        world.conversation.say("Second", source="typed")
        await asyncio.sleep(15)

    world = scenario(script, trouble=TROUBLE)
    whole = "Well then, this is what I have to say about it today."
    assert " ".join(captions(world)) == f"{whole} {TROUBLE}"
    assert ended(world) == [("failed", f"{whole} {TROUBLE}"), ("finished", ANSWER)]
    words = len(f"{whole} {TROUBLE}".split())
    assert len(world.beats(1)) == pytest.approx(words * WORD_S * 25, abs=6)
    assert world.beats(1) == list(range(len(world.beats(1))))
    assert [error.code for error in world.of(protocol.Error)] == ["engine_failed"]
    assert [state.state for state in world.of(protocol.State)][:3] == ["thinking", "speaking", "listening"]


def test_the_model_is_told_what_was_heard_of_its_answer_and_not_what_was_said_instead() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 14
        world.conversation.say("First", source="typed")
        await asyncio.sleep(15)

    world = scenario(script, trouble=TROUBLE)
    assert world.history.messages()[-1] == Message("assistant", "Well then, this is what I have to say about it today…")


@pytest.mark.parametrize("fail_after", [0, 1])
def test_a_line_that_got_no_answer_is_answered_with_the_next_one(fail_after: int) -> None:
    async def script(world: World) -> None:
        world.model.fail_after = fail_after
        world.conversation.say("First", source="typed")
        await asyncio.sleep(8)
        world.model.fail_after = None
        world.conversation.say("Second", source="typed")
        await asyncio.sleep(15)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world) == [("failed", TROUBLE), ("finished", ANSWER)]
    assert world.model.asked[-1][-1] == Message("user", "First\nSecond")


def test_without_such_a_line_it_stays_silent() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(5)

    world = scenario(script, trouble="")
    assert ended(world) == [("failed", "")]
    assert world.speech_times(1) == []
    assert world.conversation.state == "listening"


def test_words_of_the_operator_that_break_off_are_not_apologised_for() -> None:
    async def script(world: World) -> None:
        voice = BreakableVoice()
        voice.breaks_at = 1
        with_voice(world, voice)
        world.conversation.speak("Well then, this is what I have to say.", answers=None)
        await asyncio.sleep(8)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world)[0][0] == "failed"
    assert "Sorry" not in " ".join(captions(world))


def test_a_voice_that_breaks_amid_a_clause_fades_out_and_the_words_that_came_count() -> None:
    async def script(world: World) -> None:
        voice = BreakableVoice()
        voice.breaks_at = 1
        with_voice(world, voice)
        world.conversation.say("First", source="typed")
        await asyncio.sleep(8)

    world = scenario(script, trouble=TROUBLE)
    ((reason, text),) = ended(world)
    assert reason == "failed"
    assert text.startswith("Well then, this is") and not text.startswith(ANSWER)
    sound = np.concatenate([beat.samples for _, beat in world.played if beat.turn_id == 1])
    breaks = np.flatnonzero(np.abs(np.diff(sound)) > 0.1)
    assert len(breaks) == 1, "only the first sample of this voice's tone is a jump"
    assert world.conversation.state == "listening"


def test_words_whose_pictures_were_never_drawn_were_not_said() -> None:
    class Once(StillFace):
        drawn = 0

        async def speak(
            self, speech: AsyncIterator[Speech], position: Callable[[], int]
        ) -> AsyncGenerator[Picture, None]:
            async for picture in super().speak(speech, position):
                yield picture
                self.drawn += 1
                if self.drawn == 17:
                    raise EngineFailed("The face broke.")

    async def script(world: World) -> None:
        world.conversation._cast = Cast(world.model, SlowVoice(), Once())
        world.conversation.say("First", source="typed")
        await asyncio.sleep(15)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world) == [("failed", f"Well then, {TROUBLE}")]
    assert captions(world)[0] == "Well then,"
    assert " ".join(captions(world)[2:]) == TROUBLE


def test_a_clause_that_was_cut_short_does_not_end_the_answer() -> None:
    async def script(world: World) -> None:
        voice = BreakableVoice()
        voice.breaks_at, voice.error = 1, ClauseCutShort("cut")
        with_voice(world, voice)
        world.conversation.say("First", source="typed")
        await asyncio.sleep(1)
        voice.breaks_at = None
        await asyncio.sleep(12)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world)[0][0] == "finished"
    assert captions(world)[-1] == "And that is all."


@pytest.mark.parametrize("error", [EngineFailed("broke"), None])
def test_when_the_line_cannot_be_said_either_it_listens(error: Exception | None) -> None:
    async def script(world: World) -> None:
        voice = BreakableVoice()
        voice.breaks_at, voice.error = 0, error
        with_voice(world, voice)
        world.model.fail_after = 3
        world.conversation.say("First", source="typed")
        await asyncio.sleep(5)
        if error is None:  # a voice that hangs does so by itself for ever: engines have time-outs of their own
            world.conversation.interrupt()
        voice.breaks_at = world.model.fail_after = None
        world.conversation.say("Second", source="typed")
        await asyncio.sleep(15)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world)[1] == ("finished", ANSWER)


def test_a_line_that_hangs_is_given_up() -> None:
    async def script(world: World) -> None:
        voice = BreakableVoice()
        voice.breaks_at, voice.error = 0, None
        with_voice(world, voice)
        world.model.fail_after = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(LONGEST_S + 1)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world) == [("failed", "")]


def test_a_long_line_is_said_to_its_end() -> None:
    line = " ".join(["I am sorry that I have lost my thread."] * 5)

    async def script(world: World) -> None:
        world.model.fail_after = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(len(line.split()) * WORD_S + 5)

    world = scenario(script, trouble=line)
    assert len(line.split()) * WORD_S > LONGEST_S
    assert ended(world) == [("failed", line)]


def test_a_line_that_is_held_is_said_to_its_end_when_it_may_go_on() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(1)
        world.conversation.hold()
        await asyncio.sleep(5.9)
        world.conversation.resume(1, 0)
        await asyncio.sleep(8)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world) == [("failed", TROUBLE)]


def test_a_line_that_was_learnt_is_said_by_a_voice_that_has_died() -> None:
    async def script(world: World) -> None:
        voice = BreakableVoice()
        cache = PhraseCache(voice)
        with_voice(world, cache)
        for clause in clauses_of(TROUBLE):
            await cache.learn(clause)
        voice.breaks_at = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(10)

    world = scenario(script, trouble=TROUBLE)
    assert ended(world)[0][1].endswith(TROUBLE)


def test_an_interruption_stops_the_line_as_any_other() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(1.01)
        world.conversation.interrupt()
        world.stopped_at = world.now()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    world = scenario(script, trouble=TROUBLE)
    assert [reason for reason, _ in ended(world)] == ["interrupted"]
    assert world.loud_times()[-1] <= world.stopped_at + 0.04  # type: ignore[attr-defined]
    assert world.of(protocol.Error) == []
    assert world.conversation.state == "listening"


def test_an_engine_that_fails_because_it_is_interrupted_makes_the_double_say_nothing() -> None:
    class Sore(StillFace):
        async def speak(
            self, speech: AsyncIterator[Speech], position: Callable[[], int]
        ) -> AsyncGenerator[Picture, None]:
            try:
                async for picture in super().speak(speech, position):
                    yield picture
            finally:
                raise EngineFailed("The face broke.")

    async def script(world: World) -> None:
        voice = BreakableVoice()
        world.conversation._cast = Cast(world.model, voice, Sore())
        world.conversation.say("First", source="typed")
        await asyncio.sleep(1)
        world.conversation.interrupt()
        asked = voice.spoken
        await asyncio.sleep(5)
        assert voice.spoken == asked

    world = scenario(script, trouble=TROUBLE)
    assert [reason for reason, _ in ended(world)] == ["interrupted"]


def test_a_broken_answer_does_not_count_as_a_fast_one() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 0
        world.conversation.say("First", source="typed")
        await asyncio.sleep(8)

    world = scenario(script, trouble=TROUBLE)
    count = world.metrics.registry.get_sample_value("understudy_turn_stage_seconds_count", {"stage": "first_packet"})
    assert not count


def test_what_was_made_ahead_is_not_lost_when_the_model_fails_early() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 3
        world.conversation.say("First", source="typed")
        await asyncio.sleep(8)

    world = scenario(script, trouble=TROUBLE)
    first = world.speech_times(1)[0]
    assert first < 4 * 0.05 + CLAUSE_S + 0.1
    samples = sum(len(beat.samples) for _, beat in world.played if beat.turn_id == 1)
    assert samples >= (2 + len(TROUBLE.split())) * WORD_S * SPEECH_RATE_HZ
