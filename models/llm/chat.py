"""A conversation as the text that a chat model continues. Pure: no model is needed."""

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.errors import EngineFailed
from models.interfaces import Message

MESSAGE_OVERHEAD_TOKENS = 8
"""What a chat template puts around one message, at most."""

TOO_LONG = (
    "The message does not fit the model's context of {tokens} tokens; shorten it or raise "
    "UNDERSTUDY_LLM__CONTEXT_TOKENS."
)

_MARKUP = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?(?:start|end)_of_turn>|</?(?:bos|eos|pad|unk|s)>|\[/?INST\]|<</?SYS>>")


class ChatTemplate:
    """The Jinja chat template of a model file, with the environment that Transformers gives such templates."""

    def __init__(self, source: str, *, bos: str = "", eos: str = "") -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        self._template = environment.from_string(source)
        self._names = {"bos_token": bos, "eos_token": eos, "raise_exception": _refuse}

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text after which the model writes the assistant's next message. Raises EngineFailed."""
        return self._render(alternating(messages), answer=True)

    def prefix(self, messages: Sequence[Message]) -> str:
        """The longest text with which the prompt of any conversation that begins with `messages` begins.

        A last user message may still grow, so that its end is included only as a guess; after any other message the
        start of the next user turn is included.
        """
        if messages and messages[-1].role == "user":
            return self.prompt(messages)
        first, second = (
            self._render(alternating([*messages, Message("user", probe)]), answer=False) for probe in ("A", "b")
        )
        return first[: common_length(first, second)]

    def _render(self, messages: list[Message], *, answer: bool) -> str:
        try:
            return self._attempt(messages, answer=answer)
        except TemplateError:
            # Gemma 2's template has no system role.
            try:
                return self._attempt(without_system(messages), answer=answer)
            except TemplateError as error:
                raise EngineFailed(f"The model's chat template refuses the conversation: {error}.") from None

    def _attempt(self, messages: list[Message], *, answer: bool) -> str:
        entries = [{"role": message.role, "content": message.content} for message in messages]
        return self._template.render(
            cast(dict[str, Any], {"messages": entries, "add_generation_prompt": answer, "tools": None} | self._names)
        )


def _refuse(reason: str) -> None:
    raise TemplateError(reason)


def common_length(first: Sequence[object], second: Sequence[object]) -> int:
    """How many items both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(first), len(second)))


def alternating(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of one role joined by a line break, because templates want user and assistant to alternate."""
    result: list[Message] = []
    for message in messages:
        if result and result[-1].role == message.role:
            result[-1] = Message(message.role, f"{result[-1].content}\n{message.content}")
        else:
            result.append(message)
    return result


def without_system(messages: Sequence[Message]) -> list[Message]:
    """The system text moved to the start of the first user message."""
    system = "\n".join(message.content for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    if system and rest and rest[0].role == "user":
        rest[0] = Message("user", f"{system}\n\n{rest[0].content}")
    elif system:
        rest.insert(0, Message("user", system))
    return rest


def without_markup(text: str) -> str:
    """`text` without what usual chat templates write between turns: for a server whose control tokens are not known."""
    while (shorter := _MARKUP.sub("", text)) != text:
        text = shorter
    return text


def fit(messages: Sequence[Message], *, budget_tokens: int, count: Callable[[Message], int]) -> list[Message]:
    """`messages` without the oldest exchanges that do not fit; the leading system message and the last one stay.

    Exchanges are dropped in portions of half the budget, so that the same cut, and with it the model's cache, holds
    for many turns.
    """
    head = [message for message in messages[:1] if message.role == "system"]
    rest = list(messages[len(head) :])
    sizes = [count(message) for message in rest]
    excess = sum(map(count, head)) + sum(sizes) - budget_tokens
    if excess <= 0:
        return [*head, *rest]
    portion = max(1, budget_tokens // 2)
    wanted = -(-excess // portion) * portion
    dropped = cut = 0
    while cut < len(rest) - 1 and (dropped < wanted or rest[cut].role != "user"):
        dropped += sizes[cut]
        cut += 1
    return [*head, *rest[cut:]]
