"""The conversation on virtual time: scripted answers and barge-ins, and what a listener would notice."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import numpy as np
import pytest

from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Message, Picture
from peer_remote.turn import Cast
from signaling import protocol
from tests.component.conversation_world import (
    ANSWER,
    CLAUSE_S,
    TOKEN_S,
    WORD_S,
    SlowModel,
    SlowVoice,
    StillFace,
    World,
    scenario,
)
from tests.virtual_time import run


def test_a_typed_line_is_answered_in_order_and_then_it_listens() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(15)

    world = scenario(script)
    assert [state.state for state in world.of(protocol.State)] == ["thinking", "speaking", "listening"]
    captions = [caption.text for caption in world.of(protocol.Caption)]
    assert captions[0] == "Well then," and " ".join(captions) == ANSWER
    ended = world.of(protocol.TurnEnded)[0]
    assert (ended.reason, ended.text) == ("finished", ANSWER)
    assert list(ended.moments_ms) == ["first_token", "first_clause", "first_sample", "first_picture", "first_packet"]
    assert world.history.messages()[-1] == Message("assistant", ANSWER)
    indices = [beat.index for _, beat in world.played if beat.turn_id == 1]
    assert indices == list(range(len(indices)))


def test_the_first_sound_comes_as_soon_as_the_first_clause_is_made() -> None:
    async def script(world: World) -> None:
        await asyncio.sleep(1.001)
        world.conversation.say("Hi", source="typed")
        await asyncio.sleep(3)

    world = scenario(script)
    first = world.speech_times(1)[0] - 1.001
    made = 2 * TOKEN_S + CLAUSE_S
    assert made <= first <= made + 0.04


def test_a_barge_in_is_silent_within_one_beat_and_history_keeps_what_was_heard() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(2.01)
        world.conversation.interrupt()
        world.stopped_at = world.now()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    world = scenario(script)
    stopped_at: float = world.stopped_at  # type: ignore[attr-defined]
    assert world.speech_times(1)[-1] <= stopped_at
    loud = [at for at, beat in world.played if beat.samples.any()]
    assert loud[-1] <= stopped_at + 0.04
    assert world.conversation.state == "listening"
    ended = world.of(protocol.TurnEnded)[0]
    assert ended.reason == "interrupted"
    assert ANSWER.startswith(ended.text) and 3 <= len(ended.text.split()) < 10
    assert world.history.messages()[-1] == Message("assistant", ended.text + "…")
    assert world.model.words_made < len(ANSWER.split()) + 1


def test_typing_while_it_talks_stops_it_and_is_answered_next() -> None:
    async def script(world: World) -> None:
        world.conversation.say("First", source="typed")
        await asyncio.sleep(2)
        world.conversation.say("Second", source="typed")
        await asyncio.sleep(15)

    world = scenario(script)
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["interrupted", "finished"]
    assert max(world.speech_times(1)) < min(world.speech_times(2))
    asked = world.model.asked[-1]
    assert asked[-1] == Message("user", "Second")
    assert asked[-2].role == "assistant" and ANSWER.startswith(asked[-2].content.rstrip("…"))


def test_a_line_typed_before_the_first_sound_joins_the_one_before() -> None:
    async def script(world: World) -> None:
        world.conversation.say("I wanted to ask", source="typed")
        await asyncio.sleep(0.12)
        world.conversation.say("about tomorrow", source="typed")
        await asyncio.sleep(15)

    world = scenario(script)
    assert world.speech_times(1) == []
    assert world.model.asked[-1][-1] == Message("user", "I wanted to ask\nabout tomorrow")


@pytest.mark.parametrize("fail_after", [0, 5, 12])
def test_an_engine_that_breaks_says_so_and_the_next_answer_is_whole(fail_after: int) -> None:
    async def script(world: World) -> None:
        world.model.fail_after = fail_after
        world.conversation.say("First", source="typed")
        await asyncio.sleep(8)
        world.model.fail_after = None
        world.conversation.say("Second", source="typed")
        await asyncio.sleep(15)

    world = scenario(script)
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["failed", "finished"]
    assert [error.code for error in world.of(protocol.Error)] == ["engine_failed"]
    assert world.of(protocol.TurnEnded)[1].text == ANSWER


def test_a_report_of_less_heard_shortens_the_history() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(3)
        world.conversation.interrupt()
        world.conversation.heard(1, int(5 * WORD_S * SPEECH_RATE_HZ))
        await asyncio.sleep(1)

    world = scenario(script)
    assert world.history.messages()[-1] == Message("assistant", "Well then, this is what…")


def test_twenty_interruptions_in_a_row_leave_it_ready() -> None:
    async def script(world: World) -> None:
        for count in range(20):
            world.conversation.say(f"Line {count}", source="typed")
            await asyncio.sleep(0.17 * (count % 7))
        await asyncio.sleep(15)

    world = scenario(script)
    assert world.conversation.state == "listening"
    assert world.of(protocol.TurnEnded)[-1].reason == "finished"
    turns = [beat.turn_id for _, beat in world.played if beat.turn_id]
    assert turns == sorted(turns)


def test_an_empty_answer_returns_to_listening() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Hm", source="typed")
        await asyncio.sleep(2)

    world = scenario(script, answer="")
    assert world.conversation.state == "listening"
    assert world.speech_times(1) == []


def test_sound_never_waits_for_a_picture() -> None:
    async def script(world: World) -> None:
        await asyncio.sleep(2)

    world = scenario(script)
    times = [at for at, _ in world.played]
    assert np.allclose(np.diff(times), 0.04)


def test_answers_never_overlap_even_when_an_engine_lets_go_slowly() -> None:
    class Reluctant(SlowModel):
        """Takes a second to stop, as a server may."""

        working = 0
        most = 0

        async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
            self.working += 1
            self.most = max(self.most, self.working)
            try:
                async for piece in super().stream(messages, max_tokens=max_tokens):
                    yield piece
            finally:
                await asyncio.sleep(1)
                self.working -= 1

    async def main() -> Reluctant:
        async with asyncio.TaskGroup() as tasks:
            model = Reluctant(ANSWER)
            world = World(tasks, model)
            for line in ("First", "Second", "Third"):
                world.conversation.say(line, source="typed")
                await asyncio.sleep(0.3)
            await asyncio.sleep(15)
            assert world.of(protocol.TurnEnded)[-1].reason == "finished"
            world.performing.cancel()
        return model

    assert run(main()).most == 1


def test_a_late_report_of_the_turn_before_still_counts() -> None:
    async def script(world: World) -> None:
        world.conversation.say("First", source="typed")
        await asyncio.sleep(3)
        world.conversation.say("Second", source="typed")
        world.conversation.heard(1, int(5 * WORD_S * SPEECH_RATE_HZ))
        await asyncio.sleep(1)

    world = scenario(script)
    assert Message("assistant", "Well then, this is what…") in world.history.messages()


def test_nothing_is_answered_after_close() -> None:
    async def script(world: World) -> None:
        world.conversation.say("First", source="typed")
        await asyncio.sleep(2)
        world.conversation.close()
        world.conversation.say("Second", source="typed")
        await asyncio.sleep(5)

    world = scenario(script)
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["interrupted"]
    assert len(world.model.asked) == 1


def test_a_face_that_cannot_be_drawn_at_the_start_is_dark_until_it_can() -> None:
    class Late(StillFace):
        well = False

        async def idle(self, position: int) -> Picture:
            if not self.well:
                raise EngineFailed("not yet")
            return await super().idle(position)

    async def main() -> list[int]:
        async with asyncio.TaskGroup() as tasks:
            face = Late()
            world = World(tasks, SlowModel(ANSWER), cast=Cast(SlowModel(ANSWER), SlowVoice(), face))
            await asyncio.sleep(1)
            face.well = True
            await asyncio.sleep(1)
            world.performing.cancel()
        return [int(beat.picture.i420[0, 0]) for _, beat in world.played]

    shown = run(main())
    assert shown[0] == shown[20] == 16 and shown[-1] == 0
    assert len(shown) == 50
