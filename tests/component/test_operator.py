"""What the operator's side may ask besides a line to answer: exact words, drafts, what was overheard, the past."""

import asyncio
from typing import Any

import pytest

from models.interfaces import Message
from peer_remote.commands import OPERATORS_ONLY, obey
from peer_remote.history import UNASKED
from signaling import protocol
from tests.component.conversation_world import ANSWER, CLAUSE_S, TOKEN_S, World, scenario

PERSONA = Message("system", "persona")


class Operator:
    """Sends to the world's conversation and keeps what came back to this peer alone."""

    def __init__(self, world: World, role: protocol.Role = "operator") -> None:
        self._world = world
        self._role: protocol.Role = role
        self.replies: list[Any] = []

    def send(self, message: protocol.ToPerformer) -> None:
        obey(self._world.conversation, self._role, message, self.replies.append, now=self._world.now)


def test_words_are_said_exactly_without_the_language_model() -> None:
    words = "Nein, danke: 3,5 kg are enough... really!"

    async def script(world: World) -> None:
        Operator(world).send(protocol.Speak(text=words, answers="More of it?"))
        await asyncio.sleep(10)

    world = scenario(script)
    assert world.model.asked == []
    assert " ".join(caption.text for caption in world.of(protocol.Caption)) == words
    ended = world.last(protocol.TurnEnded)
    assert (ended.turn_id, ended.reason, ended.text) == (1, "finished", words)
    assert list(ended.moments_ms) == ["first_clause", "first_sample", "first_picture", "first_packet"]
    assert ended.moments_ms["first_packet"] == pytest.approx(CLAUSE_S * 1_000, abs=41)
    assert [text.text for text in world.of(protocol.UserText)] == ["More of it?"]
    assert world.history.messages() == [PERSONA, Message("user", "More of it?"), Message("assistant", words)]


def test_words_that_answer_nobody_keep_the_roles_alternating() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        for words in ("Good morning to everybody.", "Shall we begin?"):
            operator.send(protocol.Speak(text=words))
            await asyncio.sleep(5)

    world = scenario(script)
    assert world.of(protocol.UserText) == []
    assert [(message.role, message.content) for message in world.history.messages()[1:]] == [
        ("user", UNASKED),
        ("assistant", "Good morning to everybody."),
        ("user", UNASKED),
        ("assistant", "Shall we begin?"),
    ]


def test_words_that_nobody_heard_leave_no_mark() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Speak(text="Good morning to everybody."))
        await asyncio.sleep(0.1)
        operator.send(protocol.Say(text="Hello?"))
        await asyncio.sleep(1)

    assert scenario(script).model.asked[0] == [PERSONA, Message("user", "Hello?")]


def test_a_draft_goes_to_its_operator_alone_and_is_history_only_once_spoken() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Draft(text="Shall we?"))
        await asyncio.sleep(3)
        assert operator.replies == [protocol.Drafted(answers="Shall we?", text=ANSWER)]
        assert world.model.asked == [[PERSONA, Message("user", "Shall we?")]]
        assert world.sent == [] and world.loud_times() == []
        assert world.history.messages() == [PERSONA]
        operator.send(protocol.Speak(text="Yes, let us do it.", answers="Shall we?"))
        await asyncio.sleep(10)

    world = scenario(script)
    expected = [PERSONA, Message("user", "Shall we?"), Message("assistant", "Yes, let us do it.")]
    assert world.history.messages() == expected
    assert len(world.model.asked) == 1


@pytest.mark.parametrize(
    "message",
    [protocol.Draft(text="No, this."), protocol.Say(text="No, this."), protocol.Speak(text="No, this.")],
    ids=lambda message: str(message.type),
)
def test_a_newer_wish_takes_the_place_of_a_draft(message: protocol.ToPerformer) -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Draft(text="Shall we?"))
        await asyncio.sleep(5 * TOKEN_S + 0.01)
        operator.send(message)
        await asyncio.sleep(15)
        assert [reply.answers for reply in operator.replies] == (["No, this."] if message.type == "draft" else [])
        assert world.model.words_made <= 5 + len(ANSWER.split())

    scenario(script)


def test_a_draft_waits_for_what_is_being_said_and_knows_it() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Say(text="Tell me"))
        await asyncio.sleep(1)
        operator.send(protocol.Draft(text="And then?"))
        await asyncio.sleep(15)
        assert [reply.answers for reply in operator.replies] == ["And then?"]

    world = scenario(script)
    assert world.last(protocol.TurnEnded).reason == "finished"
    assert world.model.asked[1][-2:] == [Message("assistant", ANSWER), Message("user", "And then?")]


def test_a_draft_that_breaks_says_so_to_its_operator() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        world.model.fail_after = 3
        operator.send(protocol.Draft(text="Shall we?"))
        await asyncio.sleep(2)
        assert [reply.code for reply in operator.replies] == ["engine_failed"]
        assert world.sent == []
        world.model.fail_after = None
        operator.send(protocol.Draft(text="Shall we?"))
        await asyncio.sleep(2)
        assert operator.replies[-1] == protocol.Drafted(answers="Shall we?", text=ANSWER)

    scenario(script)


def test_thinking_ahead_does_not_disturb_a_draft() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Draft(text="Shall we?"))
        operator.send(protocol.Expect(text="Or"))
        await asyncio.sleep(3)
        assert len(operator.replies) == 1
        operator.send(protocol.Expect(text="Or not"))
        await asyncio.sleep(1)

    world = scenario(script)
    assert [messages[-1] for messages in world.model.prefilled] == [Message("user", "Or not")]


def test_what_was_overheard_stands_before_the_next_line_and_is_not_answered() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Overheard(text="The budget is too small."))
        operator.send(protocol.Overheard(text="Then we need a new one."))
        await asyncio.sleep(2)
        assert world.sent == [] and world.model.asked == []
        operator.send(protocol.Expect(text="Alex, what"))
        await asyncio.sleep(1)
        operator.send(protocol.Say(text="Alex, what do you think?"))
        await asyncio.sleep(15)
        operator.send(protocol.Say(text="Thank you."))
        await asyncio.sleep(1)

    world = scenario(script)
    meanwhile = "(meanwhile others said:\n- The budget is too small.\n- Then we need a new one.)\n"
    asked = Message("user", f"{meanwhile}Alex, what do you think?")
    assert f"{meanwhile}Alex, what" in [messages[-1].content for messages in world.model.prefilled]
    assert world.model.asked[0] == [PERSONA, asked]
    assert world.model.asked[1] == [PERSONA, asked, Message("assistant", ANSWER), Message("user", "Thank you.")]


def test_a_draft_knows_what_was_overheard_too() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(protocol.Overheard(text="It is late."))
        operator.send(protocol.Draft(text="Alex?"))
        await asyncio.sleep(3)
        operator.send(protocol.Speak(text="Yes, we should stop.", answers="Alex?"))
        await asyncio.sleep(10)

    world = scenario(script)
    asked = Message("user", "(meanwhile others said:\n- It is late.)\nAlex?")
    assert world.model.asked == [[PERSONA, asked]]
    assert world.history.messages() == [PERSONA, asked, Message("assistant", "Yes, we should stop.")]


def test_a_fresh_performer_goes_on_where_the_last_one_ended() -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        exchanges = (
            protocol.Exchange(asked="Hi", answered="Hello there!"),
            protocol.Exchange(asked="How are you?", answered="Fine."),
        )
        operator.send(protocol.Restore(exchanges=exchanges))
        await asyncio.sleep(1)
        operator.send(protocol.Say(text="And today?"))
        await asyncio.sleep(15)
        operator.send(protocol.Restore(exchanges=()))
        operator.send(protocol.Say(text="Bye"))
        await asyncio.sleep(1)

    world = scenario(script)
    before = [
        PERSONA,
        Message("user", "Hi"),
        Message("assistant", "Hello there!"),
        Message("user", "How are you?"),
        Message("assistant", "Fine."),
    ]
    assert world.model.prefilled[0] == before
    assert world.model.asked[0] == [*before, Message("user", "And today?")]
    assert world.model.asked[1][: len(before)] == before, "restored again although there was a turn"


def test_a_spoken_line_counts_from_the_end_of_speech() -> None:
    async def script(world: World) -> None:
        await asyncio.sleep(1)
        line = protocol.Say(text="Hello", source="spoken", speech_ended_ms=700, transcribed_ms=80)
        Operator(world).send(line)
        await asyncio.sleep(15)

    world = scenario(script)
    moments_ms = world.last(protocol.TurnEnded).moments_ms
    assert (moments_ms["end_of_speech"], moments_ms["transcript"]) == (0, 620)
    assert moments_ms["first_token"] == pytest.approx(700 + TOKEN_S * 1_000)
    assert world.of(protocol.UserText)[0].source == "spoken"


@pytest.mark.parametrize("role", ["viewer", "performer"])
def test_only_operators_may_direct_the_double(role: protocol.Role) -> None:
    wishes = [
        protocol.Speak(text="I quit."),
        protocol.Draft(text="Shall we?"),
        protocol.Overheard(text="He is late."),
        protocol.Expect(text="Shall"),
        protocol.Hold(),
        protocol.Resume(turn_id=1, samples=0),
        protocol.Restore(exchanges=()),
        protocol.Heard(turn_id=1, samples=0),
    ]
    assert {type(wish) for wish in wishes} == set(OPERATORS_ONLY)

    async def script(world: World) -> None:
        peer = Operator(world, role)
        peer.send(protocol.Say(text="Hello"))
        await asyncio.sleep(1)
        for wish in wishes:
            peer.send(wish)
        await asyncio.sleep(15)
        assert [reply.code for reply in peer.replies] == ["operators_only"] * len(wishes)
        assert all(reply.message.endswith(".") for reply in peer.replies)

    world = scenario(script)
    assert [(ended.reason, ended.text) for ended in world.of(protocol.TurnEnded)] == [("finished", ANSWER)]


def test_viewers_may_ask_and_interrupt() -> None:
    async def script(world: World) -> None:
        viewer = Operator(world, "viewer")
        viewer.send(protocol.Say(text="Hello"))
        await asyncio.sleep(2)
        viewer.send(protocol.Interrupt())
        assert viewer.replies == []

    world = scenario(script)
    assert world.last(protocol.TurnEnded).reason == "interrupted"
    assert world.last(protocol.Silence).at_s == pytest.approx(2, abs=0.06)


@pytest.mark.parametrize("message", [protocol.Say(text="  "), protocol.Speak(text="\n"), protocol.Draft(text=" ")])
def test_lines_of_nothing_are_ignored(message: protocol.ToPerformer) -> None:
    async def script(world: World) -> None:
        operator = Operator(world)
        operator.send(message)
        await asyncio.sleep(1)
        assert operator.replies == world.sent == []

    scenario(script)
