"""Chains of faces: a picture for every beat, whichever face draws it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from models.errors import EngineFailed
from models.face.counter import CounterFace, read_counter
from models.interfaces import BEAT_SAMPLES, Picture, Speech
from models.tts.tone import ToneSynthesizer
from tests.broken_engines import FAULTS, HELLO, Broken, Fault, chain_of, model, said, spoken
from tests.virtual_time import run


def test_a_face_that_is_well_while_nobody_speaks_and_breaks_off_each_time_is_asked_less_and_less() -> None:
    async def main() -> None:
        chain = chain_of(
            "face", Broken(CounterFace(128), "fail", 1), CounterFace(128), now=asyncio.get_running_loop().time
        )
        broken = 0
        for _ in range(100):
            await chain.idle(0)
            broken += chain.health().engine == "first"
            await drawn(chain, talk(2))
            await asyncio.sleep(6)
        assert broken < 20
        await chain.aclose()

    run(main())


def speech(beats: float) -> Speech:
    return Speech(np.zeros(int(beats * BEAT_SAMPLES), np.float32))


async def talk(*beats: float) -> AsyncIterator[Speech]:
    for length in beats:
        yield speech(length)


class Positions:
    def __init__(self) -> None:
        self.next = 100

    def __call__(self) -> int:
        return self.next


async def drawn(chain: Any, talking: AsyncIterator[Speech]) -> list[int]:
    """The positions of the pictures, each shown before the next is drawn."""
    position, pictures = Positions(), []
    async with aclosing(chain.speak(talking, position)) as stream:
        async for picture in stream:
            pictures.append(read_counter(picture.i420)[0])
            position.next += 1
    return pictures


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", [0, 1, 4, 7])
def test_a_talk_goes_on_with_the_next_face_without_a_picture_too_few_or_too_many(fault: Fault, after: int) -> None:
    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), fault, after), CounterFace(128))
        assert await drawn(chain, talk(3, 0.5, 2.25, 1.5)) == list(range(100, 108))
        assert chain.health().engine == "second"
        await chain.aclose()

    run(main())


def test_a_face_that_waits_for_the_voice_is_not_late() -> None:
    async def slow_talk() -> AsyncIterator[Speech]:
        for _ in range(3):
            await asyncio.sleep(30)
            yield speech(2)

    async def main() -> None:
        chain = chain_of("face", CounterFace(128), CounterFace(128))
        assert await drawn(chain, slow_talk()) == list(range(100, 106))
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


def test_a_face_is_given_its_time_from_the_moment_on_at_which_it_has_the_sound() -> None:
    class Slow(CounterFace):
        async def speak(self, speech: Any, position: Any) -> Any:
            async for picture in super().speak(speech, position):
                await asyncio.sleep(0.5)
                yield picture

    async def late_talk() -> AsyncIterator[Speech]:
        await asyncio.sleep(0.9)
        yield speech(2)

    async def main() -> None:
        chain = chain_of("face", Slow(128), CounterFace(128))
        assert await drawn(chain, late_talk()) == [100, 101]
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


def test_a_talk_that_is_left_may_be_closed_even_if_the_voice_lets_go_late() -> None:
    async def stubborn_talk() -> AsyncIterator[Speech]:
        try:
            yield speech(2)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(3)

    async def main() -> None:
        chain, talking = chain_of("face", CounterFace(128), CounterFace(128)), stubborn_talk()
        pictures = chain.speak(talking, Positions())
        asking = asyncio.create_task(_all(pictures))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.wait((asking,))
        await talking.aclose()  # type: ignore[attr-defined]
        await chain.aclose()

    run(main())


async def _all(pictures: Any) -> list[Any]:
    async with aclosing(pictures):
        return [picture async for picture in pictures]


def test_a_voice_that_breaks_off_is_not_the_faces_fault() -> None:
    async def broken_talk() -> AsyncIterator[Speech]:
        yield speech(2)
        raise EngineFailed("The voice broke.")

    async def main() -> None:
        chain = chain_of("face", CounterFace(128), CounterFace(128))
        with pytest.raises(EngineFailed, match="The voice broke"):
            await drawn(chain, broken_talk())
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_face_that_cannot_be_drawn_is_replaced_while_nobody_speaks(fault: Fault) -> None:
    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), fault), CounterFace(128))
        for position in (7, 8):
            assert read_counter((await chain.idle(position)).i420) == (position, False)
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", ["fail", "wrong"])
def test_faces_that_are_all_down_do_not_flood_the_log_with_each_beat(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), fault), Broken(CounterFace(128), fault))
        for beat in range(100):
            with pytest.raises(EngineFailed):
                await chain.idle(beat)
        await chain.aclose()

    with caplog.at_level("INFO"):
        run(main())
    assert len(caplog.records) <= 6


@pytest.mark.parametrize(("size", "bars"), [((128, 128), 0), ((128, 256), 64), ((256, 128), 64)])
def test_pictures_of_another_face_have_the_size_of_the_first_one(size: tuple[int, int], bars: int) -> None:
    class Wide(CounterFace):
        width_px, height_px = size

        async def idle(self, position: int) -> Picture:
            return Picture(np.full((size[1] * 3 // 2, size[0]), 200, np.uint8))

    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), "fail"), Wide(128))
        picture = (await chain.idle(0)).i420
        assert picture.shape == (192, 128)
        black = picture[:128] == 16
        lines = black.all(axis=1 if size[0] > size[1] else 0)
        assert lines.sum() == bars
        assert (picture[:128][~black] == 200).all()
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", ["fail", "wrong"])
@pytest.mark.parametrize("after", [0, 1])
def test_who_asks_in_vain_is_told_in_a_sentence(fault: Fault, after: int) -> None:
    async def main() -> None:
        minds = [model(fault=fault, after=after) for _ in range(2)]
        voices = [Broken(ToneSynthesizer(), fault, after) for _ in range(2)]
        faces = [Broken(CounterFace(128), fault, after) for _ in range(2)]
        llm, tts, face = chain_of("llm", *minds), chain_of("tts", *voices), chain_of("face", *faces)
        for failing in (said(llm), spoken(tts), drawn(face, talk(3))):
            with pytest.raises(EngineFailed):
                await failing
        if not after:
            for asking in (face.idle(0), llm.prefill(HELLO)):
                with pytest.raises(EngineFailed):
                    await asking
        for chain in (llm, tts, face):
            await chain.aclose()

    run(main())
