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


class SeveralVoices(Voice):
    speaker = "first"
    dead = False

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        if self.dead:
            raise EngineFailed("dead")
        async for piece in super().stream(text):
            yield piece


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
        await lengths(cache, f"phrase {number}")
    await lengths(cache, "phrase 0")
    await lengths(cache, "new one")
    voice.asked.clear()
    await lengths(cache, "phrase 0")
    await lengths(cache, "phrase 1")
    assert voice.asked == ["phrase 1"]


async def test_a_line_that_was_learnt_is_kept_whatever_its_length_and_heard_when_the_voice_has_died() -> None:
    voice = Voice()
    cache = PhraseCache(voice)
    await cache.learn("this has too many words")
    for number in range(MOST_PHRASES + 1):
        await lengths(cache, f"phrase {number}")
    voice.fail = True
    assert await lengths(cache, "this has too many words") == [23, 23]


async def test_what_another_voice_said_is_only_heard_again_when_the_present_one_fails() -> None:
    voice = SeveralVoices()
    cache = PhraseCache(voice)
    await cache.learn("Well,")
    voice.speaker = "second"
    await lengths(cache, "Well,")
    assert voice.asked == ["Well,", "Well,"]
    voice.speaker, voice.dead = "third", True
    assert await lengths(cache, "Well,") == [5, 5]


async def test_a_phrase_during_which_the_voice_changed_is_not_kept() -> None:
    voice = SeveralVoices()
    cache = PhraseCache(voice)
    async for _ in cache.stream("Well,"):
        voice.speaker = "second"
    await lengths(cache, "Well,")
    assert len(voice.asked) == 2


async def test_each_voice_keeps_what_it_has_learnt() -> None:
    voice = SeveralVoices()
    cache = PhraseCache(voice)
    for name in ("first", "second"):
        voice.speaker = name
        await cache.learn("this has too many words")
    for name in ("first", "second"):
        voice.speaker = name
        await lengths(cache, "this has too many words")
    assert len(voice.asked) == 2
