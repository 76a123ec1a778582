"""A face that another process draws, on a real service in a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from itertools import pairwise

import numpy as np
import pytest

from models.errors import EngineFailed, EngineUnavailable
from models.face.host.face import HostFace
from models.face.remote.face import create
from models.face.remote.windows import AHEAD, IDLE_AHEAD
from models.interfaces import BEAT_SAMPLES, Face, Image, Phoneme, Speech
from models.settings import EngineSettings
from tests.face_service import RunningService, Shown, performer, pieces
from tests.pictures import psnr_db
from tests.viewer import eventually
from tests.watched_face import FAILURE, WatchedFace, loud, seen

ALIKE_DB = 40.0


async def endless() -> AsyncIterator[Speech]:
    while True:
        yield loud(*[0.5] * 10)


def sentence() -> Sequence[Speech]:
    """Two clauses with lips, the second cut amid a beat."""
    hum = np.random.default_rng(1).normal(0, 0.1, 13 * BEAT_SAMPLES + 700).astype(np.float32)
    first, second = hum[: 8 * BEAT_SAMPLES], hum[8 * BEAT_SAMPLES :]
    return (
        Speech(first, (Phoneme("ˈɑ", 0, 6_000), Phoneme("m", 6_000, 9_000), Phoneme("i", 9_000, len(first)))),
        Speech(second),
    )


async def perform(face: Face) -> list[Image]:
    """Idle, an answer, idle, an answer that is interrupted, idle."""
    shown = Shown(90)
    await shown.idle(face, 3)
    await shown.speak(face, pieces(*sentence()))
    await shown.idle(face, 6)
    await shown.speak(face, pieces(*sentence()), most=5)
    await shown.idle(face, 6)
    return shown.pictures


async def test_every_picture_is_the_one_that_the_face_would_draw_in_this_process() -> None:
    here = HostFace(256)
    expected = await perform(here)
    await here.aclose()
    with RunningService(lambda: HostFace(256)) as service:
        async with performer(service) as face:
            pictures = await perform(face)
    assert len(pictures) == len(expected) == 3 + 14 + 6 + 5 + 6
    assert min(psnr_db(one, other) for one, other in zip(pictures, expected, strict=True)) > ALIKE_DB


async def test_each_picture_shows_the_sound_of_its_own_beat_and_is_drawn_for_the_beat_it_is_shown_at() -> None:
    levels = [round(0.1 * (number % 8 + 1), 1) for number in range(24)]
    whole = loud(*levels).samples
    cuts = (0, 700, 5_000, 5_001, 20_000, len(whole))
    talk = [Speech(whole[start:end]) for start, end in pairwise(cuts)]
    shown = Shown(10)
    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            await shown.speak(face, pieces(*talk))
    assert [seen(picture) for picture in shown.pictures] == list(zip(levels, range(10, 34), strict=True))


async def test_a_picture_whose_sound_comes_late_is_drawn_for_the_beat_of_then() -> None:
    position, looked_at, more = 10, 0, asyncio.Event()

    async def hesitant() -> AsyncIterator[Speech]:
        yield loud(0.5)
        await more.wait()
        yield loud(0.5, 0.5)

    def look() -> int:
        nonlocal looked_at
        looked_at = position
        return position

    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            async with aclosing(face.speak(hesitant(), look)) as stream:
                assert seen((await anext(stream)).i420) == (0.5, 10)
                position = 11
                waiting = asyncio.create_task(anext(stream))
                await eventually(lambda: looked_at == 11)
                position = 47
                await eventually(lambda: looked_at == 47)
                more.set()
                assert seen((await waiting).i420) == (0.5, 47)
                position = 48
                assert seen((await anext(stream)).i420) == (0.5, 48)


async def test_what_nobody_takes_is_not_drawn_and_closing_stops_the_drawing() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        async with performer(service) as face:
            stream = face.speak(endless(), lambda: 0)
            await anext(stream)
            await eventually(lambda: watched.spoken == AHEAD + 1)
            await stream.aclose()
            await face.idle(1)
            assert (watched.begun, watched.ended) == (1, 1)
            assert watched.spoken == AHEAD + 1
            assert watched.taken <= 2


async def test_closing_amid_a_picture_stops_after_it_and_the_next_answer_is_whole() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        async with performer(service) as face:
            stream = face.speak(endless(), lambda: 0)
            await anext(stream)
            await eventually(lambda: watched.spoken == AHEAD + 1)
            watched.hold()
            await anext(stream)
            await stream.aclose()
            watched.release()
            shown = Shown(20)
            await shown.speak(face, pieces(loud(0.1, 0.2), loud(0.3)))
            assert len(shown.pictures) == 3
            await eventually(lambda: watched.ended == 2)
            assert watched.spoken <= AHEAD + 2 + 3


async def test_silent_pictures_are_drawn_before_they_are_wanted_and_no_more_than_a_few() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        async with performer(service) as face:
            await face.idle(5)
            await eventually(lambda: len(watched.idled) == 1 + IDLE_AHEAD)
            watched.hold()
            for position in range(6, 6 + IDLE_AHEAD):
                assert seen((await face.idle(position)).i420) == (0.0, position)
            watched.release()
            assert seen((await face.idle(90)).i420) == (0.0, 90)
            await eventually(lambda: watched.idled[-1] == 90 + IDLE_AHEAD)
            assert watched.idled == [*range(5, 6 + 2 * IDLE_AHEAD), *range(90, 91 + IDLE_AHEAD)]


async def test_a_silent_picture_that_was_drawn_before_somebody_spoke_is_not_shown_afterwards() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        async with performer(service) as face:
            await face.idle(5)
            await eventually(lambda: len(watched.idled) == 1 + IDLE_AHEAD)
            shown = Shown(6)
            await shown.speak(face, pieces(loud(0.5)))
            await face.idle(7)
            assert watched.idled[1 + IDLE_AHEAD] == 7


async def test_a_face_that_fails_says_why_and_draws_the_next_answer() -> None:
    watched = WatchedFace()
    with RunningService(lambda: watched) as service:
        async with performer(service) as face:
            await face.idle(0)
            watched.failing = FAILURE
            with pytest.raises(EngineFailed, match="hiccups"):
                await Shown().speak(face, pieces(loud(0.5)))
            with pytest.raises(EngineFailed, match="hiccups"):
                await face.idle(50)
            watched.failing = ValueError("of a programmer")
            with pytest.raises(EngineFailed, match="see its log"):
                await Shown().speak(face, pieces(loud(0.5)))
            with pytest.raises(EngineFailed, match="see its log"):
                await face.idle(60)
            watched.failing = None
            shown = Shown(70)
            await shown.speak(face, pieces(loud(0.5)))
            await shown.idle(face, 2)
            assert len(shown.pictures) == 3


async def test_pictures_of_the_sound_before_an_error_of_the_voice_are_shown() -> None:
    async def broken() -> AsyncIterator[Speech]:
        yield loud(0.1, 0.2, 0.3)
        raise EngineFailed("The voice failed.")

    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            shown = Shown()
            with pytest.raises(EngineFailed, match=r"The voice failed\."):
                await shown.speak(face, broken())
            assert len(shown.pictures) == 3


async def test_an_answer_ends_when_another_begins() -> None:
    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            first = face.speak(endless(), lambda: 0)
            await anext(first)
            async with aclosing(face.speak(pieces(loud(0.2, 0.2)), lambda: 50)) as second:
                assert seen((await anext(second)).i420) == (0.2, 50)
                assert len([picture async for picture in first]) <= AHEAD
                assert len([picture async for picture in second]) == 1


async def test_a_second_performer_is_told_and_comes_when_the_first_has_left() -> None:
    with RunningService(WatchedFace) as service:
        async with performer(service) as first:
            await first.idle(0)
            settings = service.settings(start_wait_s=0)
            with pytest.raises(EngineUnavailable, match=r"another performer already; stop that one, or start"):
                await asyncio.to_thread(create, EngineSettings(face=settings))
            assert seen((await first.idle(1)).i420) == (0.0, 1)
        async with performer(service) as second:
            assert seen((await second.idle(2)).i420) == (0.0, 2)


async def test_two_performers_who_come_at_once_are_one_performer_and_one_who_is_told() -> None:
    with RunningService(WatchedFace) as service:
        async with performer(service) as one, performer(service) as other:
            results = await asyncio.gather(one.idle(1), other.idle(1), return_exceptions=True)
            refused = [result for result in results if isinstance(result, EngineFailed)]
            assert len(refused) == 1
            assert "another performer" in str(refused[0])


@pytest.mark.parametrize("position", [lambda: -3, lambda: 2**40])
async def test_positions_are_any_numbers(position: Callable[[], int]) -> None:
    with RunningService(WatchedFace) as service:
        async with performer(service) as face:
            await face.idle(position())
            async with aclosing(face.speak(pieces(loud(0.5)), position)) as stream:
                assert seen((await anext(stream)).i420) == (0.5, position() % 100)
