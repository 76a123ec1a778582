"""MuseTalk's face around the real engine on a CPU, with networks that show what they hear."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.errors import EngineFailed
from models.face.avatar.pack import AvatarPack
from models.face.musetalk.face import MuseTalkFace
from models.face.musetalk.orders import Mouth, Sound
from models.interfaces import BEAT_SAMPLES, Samples, Speech
from tests import virtual_time
from tests.avatars import synthetic_pack
from tests.small_musetalk import loudness_networks, shown_rows, small_engine, small_face

HUM = 0.02
"""Loud enough to be speech."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def hum(beats: float) -> Samples:
    noise = np.random.default_rng(1).standard_normal(round(beats * BEAT_SAMPLES))
    return (HUM * noise).astype(np.float32)


async def pieces(sound: Samples, lengths: Sequence[int]) -> AsyncIterator[Speech]:
    """`sound` in pieces of these lengths, the rest in one."""
    start = 0
    for length in [*lengths, len(sound)]:
        if start < len(sound):
            yield Speech(sound[start : start + length])
        start += length


async def spoken(face: MuseTalkFace, speech: AsyncIterator[Speech], position: int = 0) -> list[NDArray[np.uint8]]:
    places = count(position)
    async with aclosing(face.speak(speech, lambda: next(places))) as pictures:
        return [picture.i420 async for picture in pictures]


@pytest.mark.parametrize("lengths", [(), (8_304, 2_000, 2_000), (1_920,) * 30, (700, 30_000, 9_000)])
async def test_every_picture_shows_the_sound_of_its_own_40_ms(lengths: tuple[int, ...]) -> None:
    marked = {5: (0, 1), 11: (1,), 12: (0,), 23: (0, 1), 29: (0, 1)}
    sound = hum(30)
    for beat, halves in marked.items():
        for half in halves:  # rows of features are centred on the start and on the middle of a beat
            centre = beat * BEAT_SAMPLES + half * BEAT_SAMPLES // 2
            sound[centre - 240 : centre + 240] *= 12
    pack = synthetic_pack()
    face = small_face(pack, loudness_networks())
    shown = 0
    try:
        pictures = []
        async with aclosing(face.speak(pieces(sound, lengths), lambda: shown)) as stream:
            async for picture in stream:
                pictures.append(shown_rows(picture.i420, pack, pack.frame_at(shown)))
                shown += 1
    finally:
        await face.aclose()
    assert shown == 30
    levels = np.array(pictures[3:])  # the mouth is fully shown from picture 3 on
    loud = levels > (levels.min() + levels.max()) / 2
    expected = np.zeros((31, 2), bool)
    for beat, halves in marked.items():
        expected[beat, list(halves)] = True
    assert loud[:, 1:].tolist() == expected[3:30].tolist()
    assert loud[:, 0].tolist() == expected[2:29, 1].tolist()


async def test_the_head_goes_on_through_the_same_frames_while_it_speaks() -> None:
    pack = synthetic_pack()
    face = small_face(pack)
    try:
        shown = 0
        before = [(await face.idle(position)).i420 for position in range(3)]
        async with aclosing(face.speak(pieces(hum(6), ()), lambda: 3 + shown)) as stream:
            async for picture in stream:
                frame = pack.frames[pack.frame_at(3 + shown)]
                shown += 1
                assert (picture.i420[:40] == frame[:40]).all()
                assert (picture.i420 != frame).any()
        after = (await face.idle(9 + 8)).i420
    finally:
        await face.aclose()
    assert all((picture == pack.frames[pack.frame_at(place)]).all() for place, picture in enumerate(before))
    assert (after == pack.frames[pack.frame_at(17)]).all()


def changed(picture: NDArray[np.uint8], pack: AvatarPack, position: int) -> float:
    """How far a picture is from the avatar's own frame."""
    return float(np.abs(picture.astype(int) - pack.frames[pack.frame_at(position)]).mean())


async def test_after_an_interruption_the_mouth_fades_out_within_four_pictures_and_the_networks_rest() -> None:
    pack = synthetic_pack()
    engine = small_engine(loudness_networks())
    face = MuseTalkFace(engine.open(pack), pack, close=engine.close, patience_s=120)
    shown = 0
    try:
        async with aclosing(face.speak(pieces(12 * hum(50), ()), lambda: shown)) as stream:
            async for _ in stream:
                shown += 1
                if shown == 10:
                    break
        fading = [changed((await face.idle(place)).i420, pack, place) for place in range(10, 14)]
        drawn = engine.counts.pictures
        rest = [changed((await face.idle(place)).i420, pack, place) for place in range(14, 30)]
    finally:
        await face.aclose()
    assert fading[:3] == sorted(fading[:3], reverse=True)
    assert fading[0] > 0 and fading[3] == 0
    assert not any(rest)
    assert engine.counts.pictures == drawn


async def test_silence_costs_no_network() -> None:
    pack = synthetic_pack()
    engine = small_engine()
    face = MuseTalkFace(engine.open(pack), pack, close=engine.close, patience_s=120)
    try:
        pictures = await spoken(face, pieces(np.zeros(20 * BEAT_SAMPLES, np.float32), ()))
    finally:
        await face.aclose()
    assert len(pictures) == 20
    assert engine.counts.batches == 0


async def test_a_new_answer_shows_nothing_of_the_one_before() -> None:
    pack = synthetic_pack()
    face = small_face(pack, loudness_networks())
    try:
        shown = 0
        async with aclosing(face.speak(pieces(12 * hum(50), ()), lambda: shown)) as stream:
            async for _ in stream:
                shown += 1
                if shown == 12:
                    break
        quiet = await spoken(face, pieces(hum(10), ()), position=shown)
        fresh = small_face(pack, loudness_networks())
        expected = await spoken(fresh, pieces(hum(10), ()), position=shown)
        await fresh.aclose()
    finally:
        await face.aclose()
    assert all((a == b).all() for a, b in zip(quiet[3:], expected[3:], strict=True))


async def test_two_faces_on_one_engine_keep_their_own_words_and_avatars() -> None:
    engine = small_engine(loudness_networks(), sessions=2)
    packs = synthetic_pack(seed=1), synthetic_pack(seed=2, frames=6)
    faces = [MuseTalkFace(engine.open(pack), pack, close=lambda: None, patience_s=120) for pack in packs]
    try:
        both = await asyncio.gather(spoken(faces[0], pieces(hum(12), ())), spoken(faces[1], pieces(12 * hum(12), ())))
    finally:
        for face in faces:
            await face.aclose()
        engine.close()
    levels = [
        np.mean([shown_rows(picture, pack, pack.frame_at(place)) for place, picture in enumerate(pictures)][4:])
        for pictures, pack in zip(both, packs, strict=True)
    ]
    assert levels[1] > levels[0] + 10


class Engine:
    """A session whose pictures the test decides about; they come `delay_s` after their order.

    It works on one picture at a time, `each_s` long. Of the orders whose number is in `failing` nothing comes.
    """

    def __init__(
        self,
        pack: AvatarPack,
        *,
        delay_s: float | None = 0.0,
        each_s: float = 0.0,
        broken: bool = False,
        failing: Container[int] = (),
    ) -> None:
        self._pack = pack
        self._delay_s = delay_s
        self._each_s = each_s
        self._free_s = 0.0
        self._broken = broken
        self._failing = failing
        self._tickets: list[Future[list[NDArray[np.uint8]]]] = []
        self.orders: list[tuple[float, int]] = []
        self.mouths: list[Sequence[Mouth]] = []
        self.sounds: list[Sequence[Sound]] = []

    def order(self, mouths: Sequence[Mouth], sounds: Sequence[Sound], **_: Any) -> "Future[list[NDArray[np.uint8]]]":
        if self._broken:
            raise EngineFailed("The face could not be drawn.")
        loop = asyncio.get_running_loop()
        ticket: Future[list[NDArray[np.uint8]]] = Future()
        if len(self.orders) in self._failing:
            ticket.set_exception(EngineFailed("The face could not be drawn."))
        elif self._delay_s is not None:
            self._free_s = max(self._free_s, loop.time()) + len(mouths) * self._each_s
            loop.call_at(self._free_s + self._delay_s, self._draw, ticket, len(mouths))
        self.orders.append((loop.time(), len(mouths)))
        self.mouths.append(mouths)
        self.sounds.append(sounds)
        self._tickets.append(ticket)
        return ticket

    def cancel(self) -> None:
        for ticket in self._tickets:
            ticket.cancel()

    def _draw(self, ticket: "Future[list[NDArray[np.uint8]]]", count: int) -> None:
        if not ticket.cancelled():
            ticket.set_result([np.full_like(self._pack.frames[0], 255) for _ in range(count)])


def in_virtual_time(engine: Engine, pack: AvatarPack, talk: Callable[[], AsyncIterator[Speech]]) -> Any:
    """Pictures with the time each came, and the face that made them."""

    async def main() -> Any:
        face = MuseTalkFace(engine, pack, close=lambda: None)
        came = []
        async with aclosing(face.speak(talk(), lambda: len(came))) as pictures:
            async for picture in pictures:
                came.append((asyncio.get_running_loop().time(), bool((picture.i420 == 255).all())))
        return came, face

    return virtual_time.run(main())


def test_the_first_picture_is_ordered_alone_and_later_ones_together() -> None:
    pack = synthetic_pack()
    engine = Engine(pack)

    async def talk() -> AsyncIterator[Speech]:
        yield Speech(hum(40))

    came, _ = in_virtual_time(engine, pack, talk)
    assert len(came) == 40
    sizes = [size for _, size in engine.orders]
    assert sizes[:2] == [1, 2]
    assert 4 in sizes and max(sizes) == 4


def test_sound_whose_continuation_is_late_gets_its_picture_before_it_is_due() -> None:
    pack = synthetic_pack()

    async def talk() -> AsyncIterator[Speech]:
        yield Speech(hum(10))
        await asyncio.sleep(5)
        yield Speech(hum(10))

    came, face = in_virtual_time(Engine(pack), pack, talk)
    assert len(came) == 20
    start_s = came[0][0]
    assert all(time_s - start_s <= place * 0.04 for place, (time_s, _) in enumerate(came[:10]))
    assert face.counts.hurried == 3
    assert came[10][0] >= 5


def test_an_engine_that_never_answers_does_not_stop_the_talk() -> None:
    pack = synthetic_pack()

    async def talk() -> AsyncIterator[Speech]:
        yield Speech(hum(25))

    came, face = in_virtual_time(Engine(pack, delay_s=None), pack, talk)
    assert len(came) == 25
    assert not any(drawn for _, drawn in came)
    assert came[-1][0] < 1.0 + 25 * 0.08
    assert face.counts.plain == 25


@pytest.mark.parametrize("each_s", [0.045, 0.06, 0.15, 0.4])
def test_an_engine_that_is_slower_than_speech_holds_it_up_by_a_second_at_most(each_s: float) -> None:
    pack = synthetic_pack()
    engine = Engine(pack, each_s=each_s)

    async def main() -> tuple[float, MuseTalkFace]:
        clock = asyncio.get_running_loop().time
        face = MuseTalkFace(engine, pack, close=lambda: None)
        shown, start_s = 0, 0.0
        async with aclosing(in_pieces_of(500, 1)) as sound, aclosing(face.speak(sound, lambda: shown)) as pictures:
            async for _ in pictures:
                start_s = start_s if shown else clock()
                shown += 1
                await asyncio.sleep(max(0.0, start_s + (shown - 8) * 0.04 - clock()))
        assert shown == 500
        return clock() - start_s, face

    took_s, face = virtual_time.run(main())
    assert took_s < 20 + 1
    assert face.counts.plain > 300 or each_s < 0.05


def test_a_broken_engine_leaves_the_avatars_own_frames() -> None:
    pack = synthetic_pack()

    async def talk() -> AsyncIterator[Speech]:
        yield Speech(hum(25))

    came, face = in_virtual_time(Engine(pack, broken=True), pack, talk)
    assert len(came) == 25
    assert face.counts.plain == 25


async def interrupted(face: MuseTalkFace, speech: AsyncGenerator[Speech, None], after: int) -> None:
    """Let it speak from position 0 on and stop it after so many pictures."""
    shown = 0
    async with aclosing(speech), aclosing(face.speak(speech, lambda: shown)) as pictures:
        async for _ in pictures:
            shown += 1
            if shown == after:
                break


async def in_pieces_of(beats: int, count: int) -> AsyncGenerator[Speech, None]:
    for _ in range(count):
        yield Speech(hum(beats))


def test_after_an_interruption_the_engine_gets_all_sound_again() -> None:
    pack = synthetic_pack()
    engine = Engine(pack, delay_s=0.01)

    async def main() -> None:
        face = MuseTalkFace(engine, pack, close=lambda: None)
        await interrupted(face, in_pieces_of(2, 20), 10)
        await face.idle(10)

    virtual_time.run(main())
    (sound,) = engine.sounds[-1]
    assert sound.restart and sound.start_samples == 0
    assert len(sound.samples) >= 10 * 640


def test_after_an_order_that_failed_the_engine_gets_all_sound_again() -> None:
    pack = synthetic_pack()
    engine = Engine(pack, delay_s=0.01, failing={3})

    async def main() -> None:
        await interrupted(MuseTalkFace(engine, pack, close=lambda: None), in_pieces_of(2, 20), 40)

    virtual_time.run(main())
    restarts = [index for index, sounds in enumerate(engine.sounds) if any(sound.restart for sound in sounds)]
    assert len(restarts) == 2
    assert 3 < restarts[1] <= 6


def test_the_mouth_that_closes_after_half_a_minute_says_nothing_that_was_not_heard() -> None:
    pack = synthetic_pack()
    engine = Engine(pack)

    async def main() -> None:
        face = MuseTalkFace(engine, pack, close=lambda: None)
        await interrupted(face, in_pieces_of(900, 1), 850)
        await face.idle(850)

    virtual_time.run(main())
    ((mouth,),) = engine.mouths[-1:]
    assert mouth.valid_rows == mouth.first_row + 4


def test_an_answer_that_is_closed_late_leaves_the_next_one_alone() -> None:
    pack = synthetic_pack()
    engine = Engine(pack, delay_s=0.05)

    async def main() -> MuseTalkFace:
        face = MuseTalkFace(engine, pack, close=lambda: None)
        async with aclosing(in_pieces_of(50, 1)) as old_sound, aclosing(in_pieces_of(10, 1)) as sound:
            old = face.speak(old_sound, lambda: 0)
            await anext(old)
            answer = asyncio.create_task(spoken(face, sound, position=1))
            await asyncio.sleep(0.01)
            assert not [picture async for picture in old if not (picture.i420 == 255).all()]
            await old.aclose()
            assert len(await answer) == 10
        return face

    face = virtual_time.run(main())
    assert face.counts.plain == 0


def test_the_mouth_closes_steadily_when_pictures_are_skipped_after_an_interruption() -> None:
    pack = synthetic_pack()
    engine = Engine(pack)

    async def main() -> None:
        face = MuseTalkFace(engine, pack, close=lambda: None)
        await interrupted(face, in_pieces_of(50, 1), 10)
        drawn = len(engine.mouths)
        for position in (10, 12, 14):
            await face.idle(position)
        assert [mouth.gain for mouths in engine.mouths[drawn:] for mouth in mouths] == [0.75, 0.25]

    virtual_time.run(main())
