from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest

from models.errors import EngineFailed
from models.interfaces import Speech
from models.tts.phrase_cache import MOST_PHRASES, PhraseCache


class Voice:
    """Two pieces per text, whose length is that of the text; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fail = False

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        self.asked.append(text)
        yield Speech(np.full(len(text), 0.1, np.float32))
        if self.fail:
            raise EngineFailed("broke")
        yield Speech(np.full(len(text), 0.2, np.float32))

    async def aclose(self) -> None: ...


async def lengths(cache: PhraseCache, text: str) -> list[int]:
    return [len(piece.samples) async for piece in cache.stream(text)]


async def test_an_opening_that_was_learnt_is_not_synthesised_again() -> None:
    voice = Voice()
    cache = PhraseCache(voice)
    for phrase in ("Well,", "Of course,"):
        await cache.learn(phrase)
    assert await lengths(cache, "Well,") == [5, 5]
    assert voice.asked == ["Well,", "Of course,"]


async def test_long_texts_are_not_kept() -> None:
    voice = Voice()
    cache = PhraseCache(voice)
    for _ in range(2):
        await lengths(cache, "this has too many words")
    assert len(voice.asked) == 2


async def test_a_phrase_that_was_cut_off_or_failed_is_not_kept() -> None:
    voice = Voice()
    cache = PhraseCache(voice)
    async with aclosing(cache.stream("Well,")) as pieces:
        await anext(pieces)
    voice.fail = True
    with pytest.raises(EngineFailed):
        await lengths(cache, "Well,")
    voice.fail = False
    assert await lengths(cache, "Well,") == [5, 5]
    assert len(voice.asked) == 3


async def test_the_oldest_phrase_makes_room() -> None:
    voice = Voice()
    cache = PhraseCache(voice)
    for number in range(MOST_PHRASES):
        await cache.learn(f"phrase {number}")
    await lengths(cache, "phrase 0")
    await lengths(cache, "new one")
    voice.asked.clear()
    await lengths(cache, "phrase 0")
    await lengths(cache, "phrase 1")
    assert voice.asked == ["phrase 1"]
