"""What the language model does beside the answers: it thinks ahead while somebody speaks, drafts, and remembers."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from models.errors import ModelError
from models.interfaces import LanguageModel, Message
from peer_remote.head_start import HeadStart, probably_over
from peer_remote.history import History
from peer_remote.memory import CALM_S, condense
from peer_remote.metrics import Metrics
from peer_remote.prompt import Prompt
from peer_remote.spoken import spoken
from signaling import protocol

logger = logging.getLogger(__name__)


class Aside:
    """One thing at a time: thinking ahead gives way to a draft, a draft to the next one, and both to an answer.

    When nobody has wanted anything for CALM_S, what no longer fits is condensed; that gives way to everything.
    `free` returns when no answer needs the model any more; a draft waits for that, so that it knows what was said.
    `remembered` is called with each new summary of what was said. With `preemptive` the answer to a line that is
    probably whole is begun at once (head_start.py).
    """

    def __init__(
        self,
        llm: LanguageModel,
        history: History,
        prompt: Prompt,
        *,
        max_answer_tokens: int,
        preemptive: bool,
        tasks: asyncio.TaskGroup,
        free: Callable[[], Awaitable[None]],
        remembered: Callable[[str], None],
        metrics: Metrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._llm = llm
        self._history = history
        self._prompt = prompt
        self._max_answer_tokens = max_answer_tokens
        self._preemptive = preemptive
        self._tasks = tasks
        self._free = free
        self._remembered = remembered
        self._metrics = metrics
        self._now = now
        self._expecting: asyncio.Task[None] | None = None
        self._drafting: asyncio.Task[None] | None = None
        self._head: HeadStart | None = None
        self.remembering = False
        """Whether it waits for a calm moment, or the model is busy with what was said long ago."""

    def expect(self, text: str | None, *, calm: bool = True) -> None:
        """Bring the conversation, and what the user is saying, into the model's cache unless it is drafting.

        Nobody is expected to speak when it is `calm` and there is no text: then there is time to remember.
        """
        if self._drafting is not None and not self._drafting.done():
            return
        if text is not None and self._head is not None and self._head.fits(self._prompt.messages(text)):
            return
        self.stop()
        self._expecting = self._tasks.create_task(self._expect(text, calm), name="prefill")

    def draft(self, text: str, reply: Callable[[protocol.Drafted | protocol.Error], None]) -> None:
        """Think of an answer to `text` and hand it to `reply`; the history does not change."""
        self.stop()
        self._drafting = self._tasks.create_task(self._draft(text, reply), name="draft")

    def claim(self, messages: Sequence[Message]) -> HeadStart | None:
        """The beginning of the answer to `messages`, if it was begun; it belongs to the caller then."""
        head = self._head
        if head is None or not head.fits(messages):
            return None
        self._head = None
        head.claim()
        self._metrics.head_start("kept")
        return head

    def stop(self) -> set[asyncio.Task[None]]:
        """Leave the model to somebody else; returns the tasks that are about to end."""
        tasks = [self._expecting, self._drafting]
        if self._head is not None:
            self._metrics.head_start("failed" if self._head.failed else "thrown_away")
            tasks.append(self._head.task)
        ending = {task for task in tasks if task is not None and not task.done()}
        for task in ending:
            task.cancel()
        self._expecting = self._drafting = self._head = None
        return ending

    async def _expect(self, text: str | None, calm: bool) -> None:
        try:
            await self._free()
            messages = self._prompt.messages(text)
            if self._preemptive and text is not None and probably_over(text):
                self._head = HeadStart(
                    self._llm, messages, max_tokens=self._max_answer_tokens, tasks=self._tasks, now=self._now
                )
                return
            await self._llm.prefill(messages)
            if text is None and calm:
                await self._remember()
        except ModelError as error:
            logger.warning("prefill_failed", extra={"code": error.code})
        except Exception:
            logger.exception("prefill_failed")

    async def _remember(self) -> None:
        """Condense what no longer fits, once it has been calm for a while."""
        self.remembering = True
        try:
            await asyncio.sleep(CALM_S)
            summary = await condense(self._llm, self._history)
        except ModelError as error:
            logger.warning("summary_failed", extra={"code": error.code})
            return
        finally:
            self.remembering = False
        if summary is not None:
            self._remembered(summary)
            await self._llm.prefill(self._prompt.messages())

    async def _draft(self, text: str, reply: Callable[[protocol.Drafted | protocol.Error], None]) -> None:
        code = "internal_error"
        try:
            await self._free()
            answer = ""
            messages = self._prompt.messages(text)
            async with aclosing(self._llm.stream(messages, max_tokens=self._max_answer_tokens)) as pieces:
                async for piece in pieces:
                    answer += piece
            reply(protocol.Drafted(answers=text, text=spoken(answer)))
            return
        except ModelError as error:
            logger.warning("draft_failed", extra={"code": error.code})
            code = error.code
        except Exception:
            logger.exception("draft_failed")
        reply(protocol.Error(code=code, message="The draft broke off; please ask for it again."))
