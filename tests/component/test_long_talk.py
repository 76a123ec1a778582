"""Long answers and long conversations on virtual time: where an answer ends, and what is remembered."""

import asyncio
from collections.abc import Sequence

import pytest

from models.interfaces import Message
from peer_remote.memory import CALM_S, REQUEST
from signaling import protocol
from tests.component.conversation_world import ANSWER, TOKEN_S, World, scenario

LONG = "Well then, " + "this goes on and on for quite a while today. " * 20
NOTES = "They talked about seven things and agreed on most of them."
SHORT = "Sure, that is fine."


def test_an_answer_that_is_too_long_ends_with_the_clause_that_crosses_the_limit() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(12)

    world = scenario(script, LONG, longest_answer_s=6.0)
    ended = world.last(protocol.TurnEnded)
    said = " ".join(caption.text for caption in world.of(protocol.Caption))
    assert ended.reason == "finished" and ended.text == said and said.endswith("today.")
    assert LONG.startswith(said) and 6.0 <= len(world.beats(1)) * 0.04 <= 6.0 + 3.0
    assert world.history.messages()[-1] == Message("assistant", said)
    assert world.model.words_made < 40 and world.model.working == 0


def test_words_that_somebody_wrote_are_never_cut() -> None:
    async def script(world: World) -> None:
        world.conversation.speak(ANSWER, answers=None)
        await asyncio.sleep(8)

    world = scenario(script, longest_answer_s=1.0)
    assert world.last(protocol.TurnEnded).text == ANSWER


def test_marks_that_the_model_writes_are_neither_said_nor_remembered() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(15)

    world = scenario(script, "*smiles* Oh, **two** things 😀: [laughs] tea and `cake`.")
    said = "Oh, two things: tea and cake."
    assert " ".join(caption.text for caption in world.of(protocol.Caption)) == said
    assert world.history.messages()[-1] == Message("assistant", said)


async def talk(world: World) -> None:
    """Four exchanges, one more than there is room for at ease."""
    world.model.answer = SHORT
    for turn in range(4):
        world.conversation.say(f"Question {turn}", source="typed")
        await asyncio.sleep(2.5)
    world.model.answer = NOTES


def requests(world: World) -> list[Sequence[Message]]:
    return [messages for messages in world.model.asked if messages[-1].content.endswith(REQUEST)]


def test_what_no_longer_fits_is_condensed_while_nobody_waits_and_told_to_the_operator() -> None:
    async def script(world: World) -> None:
        await talk(world)
        assert requests(world) == []
        await asyncio.sleep(CALM_S + 5)
        assert len(requests(world)) == 1
        assert world.history.summary == NOTES
        assert world.model.prefilled[-1] == world.history.messages(), "the next answer is as fast as ever"
        await asyncio.sleep(10)

    world = scenario(script, longest=4)
    assert len(requests(world)) == 1
    assert [told.summary for told in world.of(protocol.Remembered)] == [NOTES]
    assert world.history.messages()[1].content == f"(earlier: {NOTES})\nQuestion 2"
    assert world.loud_times()[-1] < 4 * 2.5, "nobody hears the notes"


@pytest.mark.parametrize("wish", ["say", "draft", "expect", "interrupt", "overhear", "speak"])
def test_the_notes_give_way_to_whatever_is_wanted(wish: str) -> None:
    async def script(world: World) -> None:
        await talk(world)
        for _ in range(200):
            await asyncio.sleep(TOKEN_S)
            if requests(world):
                break
        await asyncio.sleep(2 * TOKEN_S)
        assert world.model.working == 1
        before = world.history.messages()
        match wish:
            case "say":
                world.conversation.say("One more", source="typed")
            case "draft":
                world.conversation.draft("One more", lambda reply: None)
            case "expect":
                world.conversation.expect("One more")
            case "interrupt":
                world.conversation.interrupt()
            case "overhear":
                world.conversation.overhear("They are late.")
            case "speak":
                world.conversation.speak("Let us go on.", answers=None)
        await asyncio.sleep(1.5 * TOKEN_S)
        assert world.history.summary == "" and world.model.most_working == 1
        assert world.history.messages()[: len(before)] == before or wish == "overhear"
        assert world.of(protocol.Remembered) == [] and world.of(protocol.Error) == []
        world.conversation.close()

    scenario(script, longest=5)


def test_somebody_who_begins_to_speak_is_not_kept_waiting_by_notes() -> None:
    async def script(world: World) -> None:
        await talk(world)
        world.conversation.interrupt()
        await asyncio.sleep(CALM_S + 5)
        assert requests(world) == []

    scenario(script, longest=4)


def test_a_summary_that_fails_is_tried_again_after_the_next_answer() -> None:
    async def script(world: World) -> None:
        await talk(world)
        world.model.fail_after = 3
        await asyncio.sleep(CALM_S + 8)
        assert len(requests(world)) == 1 and world.history.summary == ""
        world.model.fail_after = None
        world.conversation.say("One more", source="typed")
        await asyncio.sleep(CALM_S + 8)

    world = scenario(script, longest=4)
    assert len(requests(world)) == 2 and world.history.summary == NOTES
    assert world.of(protocol.Error) == []


def test_a_fresh_performer_remembers_what_the_last_one_had_condensed() -> None:
    async def script(world: World) -> None:
        world.conversation.restore([("Hi", "Hello there!")], NOTES)
        world.conversation.say("And now?", source="typed")
        await asyncio.sleep(15)

    world = scenario(script)
    assert [message.content for message in world.model.asked[0][1:]] == [
        f"(earlier: {NOTES})\nHi",
        "Hello there!",
        "And now?",
    ]
    assert world.last(protocol.TurnEnded).text == ANSWER
