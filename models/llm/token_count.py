"""How many tokens a text has on a server: asked where the server can tell, else estimated."""

from collections.abc import Awaitable, Callable
from typing import Any

Ask = Callable[[str, dict[str, str]], Awaitable[dict[str, Any] | None]]
"""Posts a question below the server's root; None when nothing there answers it."""

BYTES_PER_TOKEN = 3
"""For an estimate that is rarely too low: English has 4 bytes a token, Ukrainian 3.4 by Qwen's and 5 by Gemma's
vocabulary."""

REMEMBERED_TEXTS = 512


class TokenCounter:
    """Counts each text once. Vocabularies fall back to bytes, so that no text has more tokens than bytes."""

    def __init__(self, ask: Ask, *, model: str) -> None:
        self._ask = ask
        self._model = model
        self._known: dict[str, int] = {}
        self._endpoints = ["extras/tokenize/count", "tokenize"]

    def most(self, text: str) -> int:
        """The number of tokens if it is known, else a bound that costs nothing."""
        known = self._known.get(text)
        return len(text.encode()) + 1 if known is None else known

    async def count(self, text: str) -> int:
        if text in self._known:
            return self._known[text]
        # One question for all: llama-cpp-python's server reads `input`, llama-server `content`, vLLM `prompt`.
        question = {"model": self._model, "input": text, "content": text, "prompt": text}
        for endpoint in list(self._endpoints):
            count = _count(await self._ask(endpoint, question))
            if count is not None:
                self._endpoints = [endpoint]
                return self._remember(text, count)
        self._endpoints = []
        return self._remember(text, -(-len(text.encode()) // BYTES_PER_TOKEN) + 1)

    def _remember(self, text: str, count: int) -> int:
        while len(self._known) >= REMEMBERED_TEXTS:
            del self._known[next(iter(self._known))]
        self._known[text] = count
        return count


def _count(reply: dict[str, Any] | None) -> int | None:
    reply = reply or {}
    if isinstance(count := reply.get("count"), int):
        return count
    return len(tokens) if isinstance(tokens := reply.get("tokens"), list) else None
