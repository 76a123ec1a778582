"""What the double may have to say at once is known before it is needed."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from models.errors import EngineFailed
from models.interfaces import Speech
from models.tts.phrase_cache import PhraseCache
from peer_remote.rehearsal import Rehearsal
from tests.virtual_time import run


class Voice:
    speaker = ""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.fail: Exception | None = None

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        self.asked.append((self.speaker, text))
        if self.fail is not None:
            raise self.fail
        yield Speech(np.ones(5, np.float32))

    async def aclose(self) -> None: ...


async def calm() -> bool:
    await asyncio.sleep(1)
    return True


def test_a_single_voice_learns_everything_once_and_is_done() -> None:
    async def main() -> Voice:
        voice = Voice()
        await Rehearsal(PhraseCache(voice), ("Oh,", "Well,"), calm=calm).run()
        return voice

    assert run(main()).asked == [("", "Oh,"), ("", "Well,")]


@pytest.mark.parametrize("error", [EngineFailed("broke"), RuntimeError("a bug")])
def test_it_waits_for_calm_and_goes_on_after_a_failure(error: Exception) -> None:
    async def main() -> tuple[Voice, float]:
        voice, moods = Voice(), iter([False, False, True, True])
        voice.fail = error

        async def restless() -> bool:
            await asyncio.sleep(1)
            return next(moods)

        await Rehearsal(PhraseCache(voice), ("Oh,", "Well,"), calm=restless).run()
        return voice, asyncio.get_running_loop().time()

    voice, took_s = run(main())
    assert len(voice.asked) == 2 and took_s == 4


def test_a_voice_that_takes_over_learns_too_and_one_that_comes_back_has_not_forgotten() -> None:
    async def main() -> Voice:
        voice = Voice()
        voice.speaker = "first"
        rehearsal = Rehearsal(PhraseCache(voice), ("Oh,",), calm=calm)
        running = asyncio.create_task(rehearsal.run())
        for speaker in ("first", "second", "first"):
            voice.speaker = speaker
            rehearsal.voice_may_have_changed()
            await asyncio.sleep(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return voice

    assert run(main()).asked == [("first", "Oh,"), ("second", "Oh,")]


def test_what_another_voice_said_in_its_place_is_not_learnt_as_its_own() -> None:
    async def main() -> Voice:
        voice = Voice()
        cache = PhraseCache(voice)
        voice.speaker = "second"
        await cache.learn("Oh,")
        voice.speaker, voice.fail = "first", EngineFailed("broke")
        with pytest.raises(EngineFailed):
            await cache.learn("Oh,")
        voice.fail = None
        async for _ in cache.stream("Oh,"):
            pass
        return voice

    assert run(main()).asked == [("second", "Oh,"), ("first", "Oh,"), ("first", "Oh,")]
