from itertools import pairwise

import pytest

from models.errors import EngineFailed
from models.interfaces import Message
from models.llm.chat import ChatTemplate, alternating, common_length, fit, without_system
from models.llm.llama_cpp import STEP_TARGET_MS, StepSize

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<{{ m.role }}>{{ m.content | trim }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
SYSTEM = Message("system", "Be kind.")
HELLO = Message("user", "Hello")
ANSWER = Message("assistant", "Hi!")


def exchange(index: int) -> list[Message]:
    return [Message("user", f"question {index}"), Message("assistant", f"answer {index}")]


def length(message: Message) -> int:
    return 10


@pytest.mark.parametrize("template", [CHATML, NO_SYSTEM])
@pytest.mark.parametrize("known", [[SYSTEM], [SYSTEM, HELLO], [SYSTEM, HELLO, ANSWER], []])
def test_what_is_prefilled_begins_every_later_prompt(template: str, known: list[Message]) -> None:
    chat = ChatTemplate(template, bos="<bos>")
    later = known if known and known[-1].role == "user" else [*known, Message("user", "How are you?")]
    assert chat.prompt(later).startswith(chat.prefix(known))


def test_prefill_reaches_to_the_users_first_word() -> None:
    prefix = ChatTemplate(CHATML).prefix([SYSTEM, HELLO, ANSWER])
    assert prefix.endswith("Hi!<|im_end|>\n<|im_start|>user\n")


def test_a_sentence_that_is_still_growing_shares_its_beginning() -> None:
    chat = ChatTemplate(CHATML)
    early, late = chat.prefix([SYSTEM, HELLO]), chat.prompt([SYSTEM, Message("user", "Hello there")])
    assert late[: common_length(early, late)].endswith("user\nHello")


def test_a_template_without_system_role_gets_the_system_text_in_the_first_user_turn() -> None:
    assert ChatTemplate(NO_SYSTEM, bos="<bos>").prompt([SYSTEM, HELLO]) == "<bos><user>Be kind.\n\nHello</><assistant>"
    assert without_system([SYSTEM]) == [Message("user", "Be kind.")]


def test_a_template_that_refuses_everything_is_one_sentence() -> None:
    with pytest.raises(EngineFailed, match="No thanks"):
        ChatTemplate("{{ raise_exception('No thanks') }}").prompt([HELLO])


def test_two_messages_of_one_role_become_one() -> None:
    assert alternating([HELLO, Message("user", "again"), ANSWER]) == [Message("user", "Hello\nagain"), ANSWER]


def test_a_conversation_that_fits_is_left_alone() -> None:
    messages = [SYSTEM, *exchange(1), HELLO]
    assert fit(messages, budget_tokens=40, count=length) == messages


def test_the_oldest_exchanges_go_first_and_the_system_message_stays() -> None:
    messages = [SYSTEM, *(message for index in range(9) for message in exchange(index)), HELLO]
    kept = fit(messages, budget_tokens=100, count=length)
    assert kept[0] == SYSTEM
    assert kept[1].role == "user"
    assert kept == [SYSTEM, *messages[len(messages) - len(kept) + 1 :]]
    assert len(kept) * 10 <= 100


def test_the_same_cut_holds_for_several_turns() -> None:
    history: list[Message] = []
    firsts = []
    for index in range(40):
        history += exchange(index)
        firsts.append(fit([SYSTEM, *history, HELLO], budget_tokens=200, count=length)[1])
    changes = sum(one != other for one, other in pairwise(firsts))
    assert 0 < changes < 10


def test_the_last_message_is_never_dropped() -> None:
    assert fit([SYSTEM, *exchange(1), HELLO], budget_tokens=5, count=length) == [SYSTEM, HELLO]


def test_steps_grow_on_a_fast_machine_and_shrink_on_a_slow_one() -> None:
    step = StepSize(16, 100)
    for _ in range(5):
        step.took(step.tokens, 1)
    assert step.tokens == 100
    step.took(7, 1_000)
    assert step.tokens == 100
    for _ in range(5):
        step.took(step.tokens, STEP_TARGET_MS + 1)
    assert step.tokens == 16
