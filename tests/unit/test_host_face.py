"""The illustrated host as an engine: pictures for sound, and a mouth that shuts."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest

from models.errors import EngineFailed
from models.face.host.face import HostFace, create
from models.face.host.lips import lip_line
from models.face.host.warp import HEAD, Warp
from models.face.mouth_shape import MouthShape
from models.face.pose import Pose
from models.interfaces import BEAT_SAMPLES, Image, Phoneme, Picture, Speech
from models.settings import EngineSettings, FaceSettings

SIZE_PX = 128


@pytest.fixture
async def face() -> AsyncIterator[HostFace]:
    made = create(EngineSettings(face=FaceSettings(size_px=SIZE_PX)))
    yield made
    await made.aclose()


def ah(samples: int = 10 * BEAT_SAMPLES) -> Speech:
    return Speech(np.zeros(samples, np.float32), (Phoneme("ɑ", 0, samples),))


async def pieces(*speech: Speech) -> AsyncIterator[Speech]:
    for piece in speech:
        yield piece


async def spoken(face: HostFace, *speech: Speech, first: int = 0) -> list[Picture]:
    shown: list[Picture] = []
    async for picture in face.speak(pieces(*speech), lambda: first + len(shown)):
        shown.append(picture)
    return shown


def mouth_of(picture: Picture, size_px: int = SIZE_PX) -> Image:
    """The luma around the mouth."""
    unit = size_px / 512
    return picture.i420[int(255 * unit) : int(312 * unit), int(222 * unit) : int(290 * unit)]


def difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


async def test_pictures_are_i420_in_limited_range(face: HostFace) -> None:
    picture = await face.idle(0)
    assert picture.i420.shape == (SIZE_PX * 3 // 2, SIZE_PX)
    assert picture.i420.dtype == np.uint8
    assert (face.width_px, face.height_px) == (SIZE_PX, SIZE_PX)
    luma = picture.i420[:SIZE_PX]
    assert luma.min() >= 16
    assert luma.max() <= 235


async def test_an_idle_picture_keeps_its_looks_when_another_is_drawn(face: HostFace) -> None:
    first = await face.idle(0)
    kept = first.i420.copy()
    await face.idle(40)
    assert np.array_equal(first.i420, kept)


async def test_idle_moves_but_the_room_does_not(face: HostFace) -> None:
    shown = [(await face.idle(position)).i420[:SIZE_PX] for position in range(0, 300, 25)]
    corner = SIZE_PX // 6
    assert all(np.array_equal(picture[:corner, :corner], shown[0][:corner, :corner]) for picture in shown)
    assert all(not np.array_equal(one, other) for one, other in pairwise(shown))


@pytest.mark.parametrize("samples", [1, BEAT_SAMPLES - 1, BEAT_SAMPLES, BEAT_SAMPLES + 1, 5 * BEAT_SAMPLES])
async def test_one_picture_per_beat_the_last_counted_whole(face: HostFace, samples: int) -> None:
    assert len(await spoken(face, ah(samples))) == -(-samples // BEAT_SAMPLES)


async def test_beats_run_on_across_pieces(face: HostFace) -> None:
    lengths = (1_000, 2_500, 300, 7_777)
    shown = await spoken(face, *(ah(length) for length in lengths))
    assert len(shown) == -(-sum(lengths) // BEAT_SAMPLES)


async def test_no_speech_no_pictures(face: HostFace) -> None:
    assert await spoken(face) == []


async def test_a_picture_is_not_held_back_until_the_next_piece(face: HostFace) -> None:
    more = asyncio.Event()

    async def two_pieces() -> AsyncIterator[Speech]:
        yield ah(4 * BEAT_SAMPLES)
        await more.wait()
        yield ah(BEAT_SAMPLES)

    stream = face.speak(two_pieces(), lambda: 0)
    for _ in range(4):
        await asyncio.wait_for(anext(stream), 10)
    more.set()
    assert len([picture async for picture in stream]) == 1


async def test_the_mouth_moves_in_speech(face: HostFace) -> None:
    still = await face.idle(499)
    shown = await spoken(face, ah(), first=500)
    assert difference(mouth_of(shown[5]), mouth_of(still)) > 5


async def test_the_mouth_closes_after_an_interruption(face: HostFace) -> None:
    resting = [mouth_of(await face.idle(position)) for position in range(300, 312)]
    position = 300
    stream = face.speak(pieces(ah(50 * BEAT_SAMPLES)), lambda: position)
    for _ in range(6):
        last = await anext(stream)
        position += 1
    await stream.aclose()
    after = [await face.idle(position + beat) for beat in range(6)]
    assert difference(mouth_of(last), resting[5]) > 5
    assert difference(mouth_of(after[0]), mouth_of(last)) < difference(mouth_of(after[3]), mouth_of(last))
    assert difference(mouth_of(after[0]), resting[6]) > 2 * difference(mouth_of(after[5]), resting[11])


async def test_idle_continues_what_was_shown_not_what_was_thrown_away(face: HostFace) -> None:
    silence_then_ah = Speech(
        np.zeros(20 * BEAT_SAMPLES, np.float32), (Phoneme("ɑ", 12 * BEAT_SAMPLES, 20 * BEAT_SAMPLES),)
    )
    reference = await face.idle(604)
    await spoken(face, silence_then_ah, first=600)
    assert difference(mouth_of(await face.idle(604)), mouth_of(reference)) < 1.5


async def test_nothing_comes_after_close() -> None:
    face = HostFace(SIZE_PX)
    stream = face.speak(pieces(ah()), lambda: 0)
    await anext(stream)
    await face.aclose()
    assert [picture async for picture in stream] == []
    with pytest.raises(EngineFailed):
        await face.idle(0)


def test_lips_are_shut_when_pressed_and_narrow_when_rounded() -> None:
    pressed = lip_line(Pose(mouth=MouthShape(opening=0.8, press=1.0)))
    assert pressed.lower_edge - pressed.upper_edge < 0.01
    rounded, spread = (
        lip_line(Pose(mouth=MouthShape(opening=0.2, **shape))) for shape in ({"rounding": 0.9}, {"width": 0.8})
    )
    assert rounded.half_width < 0.65 * spread.half_width


def test_bite_shows_teeth_above_the_lower_lip() -> None:
    lips = lip_line(Pose(mouth=MouthShape(opening=0.1, bite=1.0)))
    assert lips.upper_edge < lips.lower_edge < lips.incisor_y


def test_features_travel_further_than_the_outline_when_the_head_turns() -> None:
    frame = HEAD.frames[0]
    warp = Warp(HEAD, frame, 1.0, 1.0, 0.0)
    moved = warp.map(Pose(yaw_deg=-6.0)) - warp.map(Pose(yaw_deg=6.0))
    row = round(243 - frame[1])
    nose, cheek, outline = (float(moved[row, round(x - frame[0]), 0]) for x in (256, 300, 344))
    assert nose > cheek > outline
    assert nose > 12
    assert nose > 1.7 * outline
