"""Hold and resume on virtual time: what a listener hears when an interruption was a false one, and when not."""

import asyncio

import numpy as np
import pytest

from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ, Message
from peer_remote.conversation import LONGEST_HOLD_S
from peer_remote.stage import FADE_SAMPLES, KEPT_BEATS
from signaling import protocol
from tests.component.conversation_world import ANSWER, WORD_S, World, scenario

BEAT_S = BEAT_SAMPLES / SPEECH_RATE_HZ
LONG = "This goes on and on for quite a while today. " * 20


async def held(world: World, *, after_s: float = 2.01) -> int:
    """Let turn 1 begin and hold it; returns the beat that is due next."""
    world.conversation.say("Tell me", source="typed")
    await asyncio.sleep(after_s)
    world.conversation.hold()
    return world.beats(1)[-1] + 1 if world.beats(1) else 0


def test_a_hold_is_silent_within_one_beat_and_says_from_when() -> None:
    async def script(world: World) -> None:
        await held(world)
        await asyncio.sleep(1)
        assert world.of(protocol.TurnEnded) == []

    world = scenario(script)
    silent_s = world.of(protocol.Silence)[0].at_s
    assert 2.01 <= silent_s <= 2.01 + BEAT_S + FADE_SAMPLES / SPEECH_RATE_HZ
    at, last = next((at, beat) for at, beat in reversed(world.played) if beat.samples.any())
    assert at + (np.flatnonzero(last.samples)[-1] + 1) / SPEECH_RATE_HZ <= silent_s + 1e-6
    assert at <= 2.01 + BEAT_S
    assert [state.state for state in world.of(protocol.State)][:3] == ["thinking", "speaking", "listening"]


@pytest.mark.parametrize("unheard", [0, 1, 5, 12])
def test_resume_plays_exactly_what_was_not_heard_and_everything_after(unheard: int) -> None:
    async def script(world: World) -> None:
        due = await held(world)
        await asyncio.sleep(0.7)
        world.conversation.resume(1, (due - unheard) * BEAT_SAMPLES + 700)
        await asyncio.sleep(15)
        world.due = due  # type: ignore[attr-defined]

    world = scenario(script)
    due: int = world.due  # type: ignore[attr-defined]
    beats = world.beats(1)
    whole = max(beats) + 1
    assert beats == [*range(due), *range(due - unheard, whole)]
    ended = world.last(protocol.TurnEnded)
    assert (ended.reason, ended.text) == ("finished", ANSWER)
    assert world.history.messages()[-1] == Message("assistant", ANSWER)
    states = [state.state for state in world.of(protocol.State)]
    assert states == ["thinking", "speaking", "listening", "speaking", "listening"]


def test_what_is_longer_ago_than_the_stage_keeps_is_not_played_again() -> None:
    async def script(world: World) -> None:
        due = await held(world, after_s=3.0)
        world.conversation.resume(1, 0)
        await asyncio.sleep(2)
        assert world.beats(1)[due] == due - KEPT_BEATS

    scenario(script, LONG)


@pytest.mark.parametrize("pause_s", [0.0, 0.01, 0.5])
def test_neither_hold_nor_resume_clicks(pause_s: float) -> None:
    async def script(world: World) -> None:
        due = await held(world, after_s=3.0)
        await asyncio.sleep(pause_s)
        world.conversation.resume(1, (due - 3) * BEAT_SAMPLES)
        await asyncio.sleep(1)

    world = scenario(script, LONG)
    first = next(index for index, (_, beat) in enumerate(world.played) if beat.turn_id == 1)
    sound = np.concatenate([beat.samples for at, beat in world.played[first:] if at < 4])
    assert np.abs(np.diff(sound)).max() < 2 * 0.5 / FADE_SAMPLES


def test_the_caption_under_way_comes_again_with_its_new_time() -> None:
    async def script(world: World) -> None:
        due = await held(world, after_s=3.0)
        await asyncio.sleep(1.013)
        world.resumed_at = len(world.sent)  # type: ignore[attr-defined]
        world.conversation.resume(1, (due - 2) * BEAT_SAMPLES)
        await asyncio.sleep(0.1)

    world = scenario(script, LONG)
    captions = [message for _, message in world.sent if isinstance(message, protocol.Caption)]
    again = next(m for _, m in world.sent[world.resumed_at :] if isinstance(m, protocol.Caption))  # type: ignore[attr-defined]
    original = captions[captions.index(again) - 1]
    assert (again.index, again.text, again.start_samples) == (original.index, original.text, original.start_samples)
    at, beat = next((at, beat) for at, beat in world.played if at > 4.013 and beat.turn_id == 1)
    assert again.at_s == pytest.approx(at - (beat.index * BEAT_SAMPLES - again.start_samples) / SPEECH_RATE_HZ)
    assert again.start_samples < (beat.index + 1) * BEAT_SAMPLES


def test_captions_say_when_their_first_sample_is_played() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(15)

    world = scenario(script)
    times = {beat.index: at for at, beat in world.played if beat.turn_id == 1}
    for caption in world.of(protocol.Caption):
        index, offset = divmod(caption.start_samples, BEAT_SAMPLES)
        assert caption.at_s == pytest.approx(times[index] + offset / SPEECH_RATE_HZ)


def test_a_hold_that_nobody_resumes_ends_the_turn() -> None:
    async def script(world: World) -> None:
        await held(world)
        await asyncio.sleep(LONGEST_HOLD_S - 0.1)
        assert world.of(protocol.TurnEnded) == []
        await asyncio.sleep(0.2)
        assert world.of(protocol.TurnEnded)[0].reason == "interrupted"
        world.conversation.resume(1, 0)
        await asyncio.sleep(3)

    world = scenario(script)
    assert world.loud_times()[-1] < 2.1
    assert len(world.of(protocol.Silence)) == 1
    heard = world.of(protocol.TurnEnded)[0].text
    assert world.history.messages()[-1] == Message("assistant", heard + "…")


def test_a_resumed_turn_is_not_ended_by_the_hold_before() -> None:
    async def script(world: World) -> None:
        due = await held(world)
        await asyncio.sleep(1)
        world.conversation.resume(1, due * BEAT_SAMPLES)
        await asyncio.sleep(30)

    world = scenario(script, LONG[:400])
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["finished"]


@pytest.mark.parametrize("by", ["say", "speak", "interrupt"])
def test_whatever_else_is_said_ends_the_held_turn_for_good(by: str) -> None:
    async def script(world: World) -> None:
        await held(world)
        await asyncio.sleep(1)
        match by:
            case "say":
                world.conversation.say("And then?", source="typed")
            case "speak":
                world.conversation.speak("All good here.", answers=None)
            case "interrupt":
                world.conversation.interrupt()
        world.conversation.resume(1, 0)
        await asyncio.sleep(15)

    world = scenario(script)
    assert max(world.speech_times(1)) < 2.1
    assert len(world.of(protocol.Silence)) == 1
    assert world.of(protocol.TurnEnded)[0].reason == "interrupted"
    assert [ended.reason for ended in world.of(protocol.TurnEnded)[1:]] == [] if by == "interrupt" else ["finished"]
    assert (not world.beats(2)) == (by == "interrupt")


def test_a_held_turn_is_not_over_because_everything_was_made() -> None:
    async def script(world: World) -> None:
        world.conversation.speak("Good evening to all.", answers="Hello")
        await asyncio.sleep(CLOSE_TO_THE_END_S)
        world.conversation.hold()
        due = world.beats(1)[-1] + 1
        await asyncio.sleep(2)
        assert world.of(protocol.TurnEnded) == []
        world.conversation.resume(1, (due - 4) * BEAT_SAMPLES)
        await asyncio.sleep(3)

    CLOSE_TO_THE_END_S = 0.2 + 4 * WORD_S - 0.02
    world = scenario(script)
    ended = world.of(protocol.TurnEnded)
    assert [(one.reason, one.text) for one in ended] == [("finished", "Good evening to all.")]


def test_while_held_the_engines_wait() -> None:
    async def script(world: World) -> None:
        await held(world)
        await asyncio.sleep(1.5)
        made = world.model.words_made
        await asyncio.sleep(4)
        assert world.model.words_made == made

    scenario(script, LONG)


def test_a_hold_before_the_first_word_keeps_it_back() -> None:
    async def script(world: World) -> None:
        await held(world, after_s=0.1)
        await asyncio.sleep(2)
        assert world.beats(1) == []
        world.conversation.resume(1, 0)
        await asyncio.sleep(15)

    world = scenario(script)
    assert world.last(protocol.TurnEnded).text == ANSWER
    states = [state.state for state in world.of(protocol.State)]
    assert states == ["thinking", "listening", "thinking", "speaking", "listening"]
    assert world.beats(1) == list(range(len(world.beats(1))))


def test_what_listeners_heard_counts_while_held_and_no_more_after_a_resume() -> None:
    async def script(world: World) -> None:
        due = await held(world, after_s=3.0)
        world.conversation.heard(1, int(5 * WORD_S * SPEECH_RATE_HZ))
        await asyncio.sleep(1)
        world.conversation.resume(1, due * BEAT_SAMPLES)
        await asyncio.sleep(15)

    world = scenario(script)
    assert world.last(protocol.TurnEnded).text == ANSWER
    assert world.history.messages()[-1] == Message("assistant", ANSWER)


def test_what_listeners_heard_before_an_interruption_is_what_is_remembered() -> None:
    async def script(world: World) -> None:
        await held(world, after_s=3.0)
        world.conversation.heard(1, int(5 * WORD_S * SPEECH_RATE_HZ))
        world.conversation.heard(1, int(7 * WORD_S * SPEECH_RATE_HZ))
        world.conversation.say("Wait", source="spoken")
        await asyncio.sleep(2)

    world = scenario(script)
    assert world.model.asked[-1][-2:] == [Message("assistant", "Well then, this is what…"), Message("user", "Wait")]
    assert world.of(protocol.TurnEnded)[0].text == "Well then, this is what"


def test_reports_of_an_answer_that_was_heard_to_its_end_change_nothing() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(2)
        world.conversation.heard(1, 1_000)
        await asyncio.sleep(10)
        world.conversation.heard(1, 100_000)

    world = scenario(script)
    assert world.last(protocol.TurnEnded).text == ANSWER
    assert world.history.messages()[-1] == Message("assistant", ANSWER)


def test_holds_and_resumes_out_of_place_change_nothing() -> None:
    async def script(world: World) -> None:
        world.conversation.hold()
        world.conversation.resume(0, 0)
        assert world.sent == []
        world.conversation.say("Tell me", source="typed")
        await asyncio.sleep(2)
        world.conversation.resume(1, 0)
        world.conversation.hold()
        world.conversation.hold()
        world.conversation.resume(2, 0)
        await asyncio.sleep(0.5)
        due = world.beats(1)[-1] + 1
        world.conversation.resume(1, 10_000_000)
        world.conversation.resume(1, 0)
        await asyncio.sleep(15)
        assert world.beats(1) == list(range(max(world.beats(1)) + 1)) and due > 0

    world = scenario(script)
    assert len(world.of(protocol.Silence)) == 1
    assert world.last(protocol.TurnEnded).text == ANSWER


def test_an_answer_can_be_held_again_and_again() -> None:
    async def script(world: World) -> None:
        world.conversation.say("Tell me", source="typed")
        for _ in range(10):
            await asyncio.sleep(1.3)
            world.conversation.hold()
            await asyncio.sleep(0.31)
            beats = world.beats(1)
            world.conversation.resume(1, (beats[-1] - 1) * BEAT_SAMPLES if beats else 0)
        await asyncio.sleep(10)

    world = scenario(script, "Well then, " + LONG[:300])
    beats = world.beats(1)
    assert sorted(set(beats)) == list(range(max(beats) + 1))
    assert [ended.reason for ended in world.of(protocol.TurnEnded)] == ["finished"]


def test_the_face_moves_on_while_held() -> None:
    async def script(world: World) -> None:
        await held(world)
        await asyncio.sleep(3)

    world = scenario(script)
    assert np.allclose(np.diff([at for at, _ in world.played]), BEAT_S)
