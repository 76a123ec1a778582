"""A language model that reads its answers from a script, for tests and for trying the rest without weights."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from models.errors import EngineFailed
from models.interfaces import Message
from models.settings import EngineSettings


async def _no_pause() -> None:
    await asyncio.sleep(0)


class ScriptedModel:
    """LanguageModel that gives `answers` in order, word by word, and the last one again and again."""

    def __init__(
        self,
        answers: Sequence[str] = ("Hello. I am the understudy's stand-in.",),
        *,
        pause: Callable[[], Awaitable[None]] = _no_pause,
        fail_after_pieces: int | None = None,
    ) -> None:
        """Await `pause()` before every piece; with `fail_after_pieces` the next request fails after so many."""
        self._answers = list(answers)
        self._pause = pause
        self.fail_after_pieces = fail_after_pieces
        self._turn = asyncio.Lock()
        self._closed = False
        self.calls: list[list[Message]] = []
        """The messages of every request, in order."""
        self.prefills: list[list[Message]] = []
        self.pieces_made = 0

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        """Yield at most `max_tokens` words, each with the space before it."""
        async with self._turn:
            self._refuse_when_closed()
            self.calls.append(list(messages))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            fail_after, self.fail_after_pieces = self.fail_after_pieces, None
            for index, piece in enumerate(pieces(answer)[:max_tokens]):
                await self._pause()
                self._refuse_when_closed()
                if index == fail_after:
                    raise EngineFailed("The script says that this request fails.")
                self.pieces_made += 1
                yield piece

    async def prefill(self, messages: Sequence[Message]) -> None:
        self._refuse_when_closed()
        self.prefills.append(list(messages))

    async def aclose(self) -> None:
        self._closed = True

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise EngineFailed("The language model is closed.")


def pieces(text: str) -> list[str]:
    """`text` cut before every space; joined they are `text` again."""
    words = text.split(" ")
    return [piece for piece in (words[0], *(f" {word}" for word in words[1:])) if piece]


def create(settings: EngineSettings) -> ScriptedModel:
    return ScriptedModel()
