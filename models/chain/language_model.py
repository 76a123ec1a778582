"""A language model that is several: the first that is well answers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from models.chain.chain import Chain
from models.chain.members import Member, Members
from models.chain.pull import Pull
from models.interfaces import LanguageModel, Message

_GROWING = Message("user", "…")
"""Stands for what the user has not said yet."""


class LanguageModelChain(Chain[LanguageModel]):
    """LanguageModel whose request goes to the next member when one fails before its first piece.

    An answer that breaks off later stays broken off: another model would go on with another thought.
    """

    def __init__(self, members: Sequence[Member[LanguageModel]], *, patience_s: float) -> None:
        self._beginning: Sequence[Message] = ()
        """What conversations begin with, as far as it is known: a member that comes back reads it in its trial."""
        super().__init__(Members("llm", members, patience_s=patience_s, trial=self._trial))

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        """Yield the answer of the first member that gives one. Raises EngineFailed."""
        for member, patience_s in self._members.candidates():
            pull = Pull(member.made().stream(messages, max_tokens=max_tokens), name=f"llm {member.name}")
            given = False
            try:
                while (piece := await pull.next(None if given else patience_s)) is not None:
                    if not given:
                        given = True
                        self._members.succeeded(member, whole=False)
                    yield piece[0]
                if given:
                    self._members.succeeded(member, whole=True)
                return
            except (asyncio.CancelledError, GeneratorExit):
                if not given:
                    self._members.interrupted(member, pull.waited_s)
                raise
            except Exception as error:
                self._members.failed(member, error, amid=given)
                if given or patience_s is None:
                    raise self._members.told(error) from None
                pull.abandon()
                self._members.leave(pull.task)
            finally:
                if not pull.task.cancelling():
                    self._members.leave(pull.task)
                    await pull.aclose()

    async def prefill(self, messages: Sequence[Message]) -> None:
        """Bring `messages` into the cache of the member that the next answer will come from; nobody waits for it."""
        self._beginning = self._beginning or tuple(messages)
        for member, patience_s in self._members.candidates():
            try:
                await member.made().prefill(messages)
                return
            except Exception as error:
                self._members.failed(member, error)
                if patience_s is None:
                    raise self._members.told(error) from None

    async def _trial(self, model: LanguageModel) -> None:
        """One token after the beginning of the conversation, which is then in the cache."""
        messages = [*self._beginning]
        if not messages or messages[-1].role != "user":
            messages.append(_GROWING)
        stream = model.stream(messages, max_tokens=1)
        try:
            async for _ in stream:
                pass
        finally:
            await stream.aclose()
