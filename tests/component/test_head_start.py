"""Answers begun before the line is over: sooner when it was the line, never heard when it was not."""

import asyncio
from typing import Any

import pytest

from models.interfaces import Message
from peer_remote.head_start import LONGEST_WAIT_S, probably_over
from signaling import protocol
from tests.component.conversation_world import ANSWER, CLAUSE_S, TOKEN_S, World
from tests.component.conversation_world import scenario as plain_scenario

LINE = "What did you do today?"


def scenario(script: Any, answer: str = ANSWER) -> World:
    return plain_scenario(script, answer, preemptive=True)


def counted(world: World, reason: str) -> float:
    return world.metrics.registry.get_sample_value("understudy_head_starts_total", {"reason": reason}) or 0.0


def answered(world: World) -> tuple[str, str]:
    ended = world.last(protocol.TurnEnded)
    return ended.reason, ended.text


@pytest.mark.parametrize("final", [LINE, "what did you do, today"])
def test_an_answer_that_was_begun_in_time_costs_the_time_of_its_voice_alone(final: str) -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1.001)
        world.conversation.say(final, source="spoken", speech_ended_s=world.now() - 0.5, transcribed_s=world.now())
        await asyncio.sleep(8)

    world = scenario(script)
    first = world.speech_times(1)[0] - 1.001
    assert CLAUSE_S <= first <= CLAUSE_S + 0.04
    assert answered(world) == ("finished", ANSWER)
    assert len(world.model.asked) == 1
    assert world.history.messages()[1:] == [Message("user", final), Message("assistant", ANSWER)]
    assert counted(world, "kept") == 1 and counted(world, "thrown_away") == 0
    moments = world.last(protocol.TurnEnded).moments_ms
    assert moments["first_token"] == pytest.approx((TOKEN_S - 0.501) * 1_000), "it was there before speech ended"


def test_nothing_is_said_before_the_line_is_over() -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(LONGEST_WAIT_S - 1)
        assert world.sent == [] and world.loud_times() == []
        assert world.history.messages() == [Message("system", "persona")]
        assert world.model.words_made == 2, "it rests after the first clause"

    scenario(script)


def test_a_line_that_goes_on_throws_the_answer_away_and_gets_its_own() -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        world.conversation.say(LINE + " And yesterday?", source="spoken")
        await asyncio.sleep(8)

    world = scenario(script)
    assert [messages[-1].content for messages in world.model.asked] == [LINE, LINE + " And yesterday?"]
    assert answered(world) == ("finished", ANSWER)
    assert world.model.most_working == 1
    assert counted(world, "kept") == 0 and counted(world, "thrown_away") == 1


def test_a_new_partial_text_takes_the_place_of_the_one_before_and_the_same_goes_on() -> None:
    async def script(world: World) -> None:
        for text in ("What?", LINE, LINE, "What did you do today!"):
            world.conversation.expect(text)
            await asyncio.sleep(0.3)
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(8)

    world = scenario(script)
    assert [messages[-1].content for messages in world.model.asked] == ["What?", LINE]
    assert counted(world, "kept") == 1 and counted(world, "thrown_away") == 1


@pytest.mark.parametrize("wait_s", [0.0, 0.01, TOKEN_S + 0.01])
def test_a_line_that_is_over_while_its_answer_is_begun_is_answered_once(wait_s: float) -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(wait_s)
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(8)

    world = scenario(script)
    assert answered(world) == ("finished", ANSWER)
    assert len(world.model.asked) == 1


def test_what_changed_meanwhile_counts() -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        world.conversation.overhear("He was at home.")
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(8)

    world = scenario(script)
    assert world.model.asked[-1][-1].content == f"(meanwhile others said:\n- He was at home.)\n{LINE}"
    assert counted(world, "kept") == 0 and world.model.most_working == 1


@pytest.mark.parametrize("wish", ["draft", "speak", "close"])
def test_whatever_else_is_wanted_gets_the_model(wish: str) -> None:
    replies: list[Any] = []

    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        match wish:
            case "draft":
                world.conversation.draft("Shall we?", replies.append)
            case "speak":
                world.conversation.speak("All good here.", answers=None)
            case "close":
                world.conversation.close()
        await asyncio.sleep(0.01)
        assert world.model.working == (wish == "draft")
        await asyncio.sleep(8)

    world = scenario(script)
    assert world.model.most_working == 1 and counted(world, "thrown_away") == 1
    assert bool(replies) == (wish == "draft")


def test_a_model_is_let_go_when_the_line_is_never_over() -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(LONGEST_WAIT_S + 1)
        assert world.model.working == 0
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(8)

    world = scenario(script)
    assert answered(world) == ("finished", ANSWER) and len(world.model.asked) == 2
    assert counted(world, "thrown_away") == 1


@pytest.mark.parametrize("fail_after", [0, 1])
def test_a_model_that_breaks_too_early_gets_another_chance(fail_after: int) -> None:
    async def script(world: World) -> None:
        world.model.fail_after = fail_after
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        world.model.fail_after = None
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(8)

    world = scenario(script)
    assert answered(world) == ("finished", ANSWER)
    assert world.of(protocol.Error) == [] and counted(world, "failed") == 1


def test_a_model_that_breaks_later_breaks_off_the_answer() -> None:
    async def script(world: World) -> None:
        world.model.fail_after = 5
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(8)
        world.model.fail_after = None
        world.conversation.say("Again", source="typed")
        await asyncio.sleep(8)

    world = scenario(script)
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["failed", "finished"]


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.1, 1.0])
def test_an_answer_begun_ahead_can_be_interrupted_at_any_moment(after_s: float) -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(after_s)
        world.conversation.interrupt()
        await asyncio.sleep(0.02)
        assert world.model.working == 0
        world.conversation.say("Something else", source="typed")
        await asyncio.sleep(8)

    world = scenario(script)
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["interrupted", "finished"]
    assert world.model.most_working == 1


def test_while_it_speaks_the_model_is_as_far_ahead_as_without_a_head_start() -> None:
    async def made(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        world.conversation.say(LINE, source="spoken")
        await asyncio.sleep(3)
        world.made = world.model.words_made  # type: ignore[attr-defined]

    answer = "Well then, " + "this goes on and on for quite a while today. " * 20
    ahead, without = scenario(made, answer), plain_scenario(made, answer)
    assert ahead.made <= without.made + 12  # type: ignore[attr-defined]


def test_it_is_off_unless_it_is_wanted() -> None:
    async def script(world: World) -> None:
        world.conversation.expect(LINE)
        await asyncio.sleep(1)
        assert world.model.asked == [] and len(world.model.prefilled) == 1

    plain_scenario(script)


@pytest.mark.parametrize("text", ["I wanted to", "So, well...", "First,", "I think…", ""])
def test_a_line_that_clearly_goes_on_is_only_read(text: str) -> None:
    async def script(world: World) -> None:
        world.conversation.expect(text)
        await asyncio.sleep(1)
        assert world.model.asked == [] and len(world.model.prefilled) == 1

    scenario(script)
    assert not probably_over(text)
    assert probably_over('He said "yes."') and probably_over("Справді?»")
