"""An answer that is begun before it is certain that it is wanted."""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from models.errors import EngineFailed, ModelError
from models.interfaces import LanguageModel, Message
from peer_remote.clauses import ClauseSplitter
from peer_remote.spoken import SpokenFilter

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 10.0
"""A line that is not finished by then is hardly finished as it was begun; the model is let go."""
MOST_PIECES = 64
"""Pieces made ahead, if they are no clause by then."""


class HeadStart:
    """The first clause of the answer to `messages`, made by a task of its own; nobody hears it unless it is claimed.

    It rests after that clause until somebody takes `pieces`, and then makes one piece at a time as they are taken.
    """

    def __init__(
        self,
        llm: LanguageModel,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        tasks: asyncio.TaskGroup,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._llm = llm
        self._messages = list(messages)
        self._max_tokens = max_tokens
        self._now = now
        self._made: deque[str] = deque()
        self._changed = asyncio.Event()
        self._wanted = asyncio.Event()
        self._claimed = False
        self._over = False
        self._error: ModelError | None = None
        self._expired = False
        self.first_token_s: float | None = None
        """When the first piece was there."""
        self.task = tasks.create_task(self._run(), name="head start")

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether this is the beginning of the answer to `messages`: the same, but for case and marks of the last."""
        if self._error is not None or self._expired or not self._messages or not messages:
            return False
        same = list(messages[:-1]) == self._messages[:-1] and messages[-1].role == self._messages[-1].role
        return same and _words(messages[-1].content) == _words(self._messages[-1].content)

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation that it answers."""
        return self._messages

    @property
    def failed(self) -> bool:
        """Whether the model broke off."""
        return self._error is not None

    def claim(self) -> None:
        """The answer is wanted: `pieces` will be taken, or `task` cancelled."""
        self._claimed = True

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The answer from its beginning; closing this stops the model. Raises what the model raised."""
        try:
            while True:
                while not self._made:
                    if self._over:
                        if self._error is not None:
                            raise self._error
                        return
                    self._changed.clear()
                    self._wanted.set()
                    await self._changed.wait()
                yield self._made.popleft()
        finally:
            self.task.cancel()
            await asyncio.wait((self.task,))

    async def _run(self) -> None:
        words, splitter = SpokenFilter(), ClauseSplitter()
        enough = False
        try:
            async with aclosing(self._llm.stream(self._messages, max_tokens=self._max_tokens)) as pieces:
                async for piece in pieces:
                    if self.first_token_s is None:
                        self.first_token_s = self._now()
                    self._made.append(piece)
                    self._wanted.clear()
                    self._changed.set()
                    enough = enough or bool(splitter.push(words.push(piece))) or len(self._made) >= MOST_PIECES
                    if (enough or self._claimed) and not await self._rest():
                        return
        except ModelError as error:
            logger.warning("head_start_failed", extra={"code": error.code})
            self._error = error
        except Exception:
            logger.exception("head_start_failed")
            self._error = EngineFailed("The language model broke off.")
        finally:
            self._over = True
            self._changed.set()

    async def _rest(self) -> bool:
        """Wait until more is wanted; false when nobody claimed it for too long."""
        while True:
            try:
                async with asyncio.timeout(LONGEST_WAIT_S):
                    await self._wanted.wait()
                return True
            except TimeoutError:
                if not self._claimed:
                    self._expired = True
                    return False


def probably_over(text: str) -> bool:
    """Whether a line that so far is `text` may be whole: it ends as a sentence does."""
    return re.search(r"(?<![.…])[.!?][\"'”’»)]*\s*$", text) is not None


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
