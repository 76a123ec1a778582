"""What the language model does beside the answers: it thinks ahead while somebody speaks, and drafts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from models.errors import ModelError
from models.interfaces import LanguageModel
from peer_remote.history import History
from signaling import protocol

logger = logging.getLogger(__name__)


class Aside:
    """One thing at a time: thinking ahead gives way to a draft, a draft to the next one, and both to an answer.

    `free` returns when no answer needs the model any more; a draft waits for that, so that it knows what was said.
    """

    def __init__(
        self,
        llm: LanguageModel,
        history: History,
        *,
        max_answer_tokens: int,
        tasks: asyncio.TaskGroup,
        free: Callable[[], Awaitable[None]],
    ) -> None:
        self._llm = llm
        self._history = history
        self._max_answer_tokens = max_answer_tokens
        self._tasks = tasks
        self._free = free
        self._expecting: asyncio.Task[None] | None = None
        self._drafting: asyncio.Task[None] | None = None

    def expect(self, text: str | None) -> None:
        """Bring the conversation, and what the user is saying, into the model's cache unless it is drafting."""
        if self._drafting is None or self._drafting.done():
            self.stop()
            self._expecting = self._tasks.create_task(self._expect(text), name="prefill")

    def draft(self, text: str, reply: Callable[[protocol.Drafted | protocol.Error], None]) -> None:
        """Think of an answer to `text` and hand it to `reply`; the history does not change."""
        self.stop()
        self._drafting = self._tasks.create_task(self._draft(text, reply), name="draft")

    def stop(self) -> set[asyncio.Task[None]]:
        """Leave the model to somebody else; returns the tasks that are about to end."""
        ending = {task for task in (self._expecting, self._drafting) if task is not None and not task.done()}
        for task in ending:
            task.cancel()
        self._expecting = self._drafting = None
        return ending

    async def _expect(self, text: str | None) -> None:
        try:
            await self._free()
            await self._llm.prefill(self._history.messages(text))
        except ModelError as error:
            logger.warning("prefill_failed", extra={"code": error.code})
        except Exception:
            logger.exception("prefill_failed")

    async def _draft(self, text: str, reply: Callable[[protocol.Drafted | protocol.Error], None]) -> None:
        code = "internal_error"
        try:
            await self._free()
            answer = ""
            messages = self._history.messages(text)
            async with aclosing(self._llm.stream(messages, max_tokens=self._max_answer_tokens)) as pieces:
                async for piece in pieces:
                    answer += piece
            reply(protocol.Drafted(answers=text, text=answer.strip()))
            return
        except ModelError as error:
            logger.warning("draft_failed", extra={"code": error.code})
            code = error.code
        except Exception:
            logger.exception("draft_failed")
        reply(protocol.Error(code=code, message="The draft broke off; please ask for it again."))
