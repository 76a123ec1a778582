"""What falls out of the history is condensed by the model, and what fails leaves everything as it was."""

import asyncio

import pytest

from models.errors import EngineFailed
from models.interfaces import Message
from models.llm.scripted import ScriptedModel
from peer_remote.history import History
from peer_remote.memory import MOST_CHARACTERS, REQUEST, condense
from peer_remote.tokens import conversation_tokens

PERSONA = [Message("system", "p"), Message("user", "Hi?"), Message("assistant", "Hi.")]
NOTES = "Maria moves the launch to May. Alex sends the logo."


def history(turns: int, *, longest: int = 8, budget_tokens: int | None = None) -> History:
    made = History(PERSONA, longest=longest, budget_tokens=budget_tokens)
    for turn in range(turns):
        made.ask(turn, f"question {turn}")
        made.heard(turn, f"answer {turn}")
    return made


def contents(made: History) -> list[str]:
    return [message.content for message in made.messages()[len(PERSONA) :]]


async def test_the_oldest_half_becomes_a_block_after_the_persona_before_it_has_to_go() -> None:
    made, model = history(7), ScriptedModel([NOTES])
    assert await condense(model, made) == NOTES
    assert made.messages()[: len(PERSONA)] == PERSONA
    assert contents(made)[:3] == [f"(earlier: {NOTES})\nquestion 3", "answer 3", "question 4"]
    assert [message.role for message in made.messages()[1:]] == ["user", "assistant"] * 5
    assert await condense(model, made) is None, "there is room again"


async def test_the_model_reads_what_its_cache_holds_already() -> None:
    made, model = history(7), ScriptedModel([NOTES])
    before = made.messages()
    await condense(model, made)
    asked = model.calls[0]
    assert asked[:-1] == before[: len(asked) - 1] and asked[-1] == Message("user", REQUEST)


async def test_a_conversation_with_room_is_left_alone() -> None:
    model = ScriptedModel([NOTES])
    assert await condense(model, history(6)) is None
    assert model.calls == []


async def test_what_had_to_go_before_there_was_time_is_condensed_later() -> None:
    made, model = history(9), ScriptedModel([NOTES])
    assert contents(made)[0] == "question 5"
    await condense(model, made)
    assert [message.content for message in model.calls[0][3:5]] == ["question 0", "answer 0"]
    assert contents(made)[:2] == [f"(earlier: {NOTES})\nquestion 5", "answer 5"]


async def test_the_next_summary_knows_the_one_before() -> None:
    made, model = history(7), ScriptedModel([NOTES, "Maria and Alex met; they also talked about ferries."])
    await condense(model, made)
    for turn in range(7, 10):
        made.ask(turn, f"question {turn}")
        made.heard(turn, f"answer {turn}")
    await condense(model, made)
    assert model.calls[1][3].content == f"(earlier: {NOTES})\nquestion 3"
    assert contents(made)[0].startswith("(earlier: Maria and Alex met; they also talked about ferries.)\n")
    assert NOTES not in str(contents(made))


@pytest.mark.parametrize("written", ["", "Sure!", "*nods*", "(…)"])
async def test_notes_that_say_nothing_change_nothing(written: str) -> None:
    made = history(7)
    before = made.messages()
    assert await condense(ScriptedModel([written]), made) is None
    assert made.messages() == before and made.aged()


async def test_a_model_that_breaks_leaves_the_plain_trimming() -> None:
    made = history(9)
    before = made.messages()
    with pytest.raises(EngineFailed):
        await condense(ScriptedModel([NOTES], fail_after_pieces=3), made)
    assert made.messages() == before and made.summary == "" and made.aged()


async def test_cancelling_leaves_everything_as_it_was() -> None:
    made = history(7)
    before = made.messages()
    task = asyncio.create_task(condense(ScriptedModel([NOTES], pause=asyncio.Event().wait), made))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.messages() == before and made.summary == ""


async def test_notes_become_one_line_of_whole_sentences() -> None:
    made = history(7)
    written = "- **Maria** is from Kyiv.\n- Alex sends the logo.\n" + "They talk on and on. " * 100
    summary = await condense(ScriptedModel([written]), made)
    assert summary is not None and len(summary) <= MOST_CHARACTERS and "\n" not in summary
    assert summary.startswith("Maria is from Kyiv. Alex sends the logo. They") and summary.endswith("on.")


def test_what_no_longer_fits_the_context_falls_out_by_whole_turns_and_the_persona_stays() -> None:
    made = History(PERSONA, longest=100, budget_tokens=400)
    for turn in range(40):
        made.ask(turn, f"question {turn} " + "and so on " * 5)
        assert conversation_tokens(made.messages()) <= 400
        made.heard(turn, f"answer {turn}")
        messages = made.messages()
        assert messages[: len(PERSONA)] == PERSONA
        assert [message.role for message in messages[1:]] == ["user", "assistant"] * (len(messages) // 2)
    assert contents(made)[-1] == "answer 39" and len(contents(made)) >= 8


def test_a_single_line_longer_than_the_context_is_kept() -> None:
    made = History(PERSONA, budget_tokens=100)
    made.ask(1, "word " * 500)
    made.ask(2, "word " * 500)
    assert made.messages()[-1].content.endswith("word ")


def test_a_restored_summary_stands_before_the_restored_exchanges() -> None:
    made = history(0)
    made.restore([("q", "a")], NOTES)
    assert contents(made) == [f"(earlier: {NOTES})\nq", "a"]
    assert made.summary == NOTES
    made.restore([], NOTES)
    made.ask(1, "And now?")
    assert contents(made) == [f"(earlier: {NOTES})\nAnd now?"]
