"""The counting face: what is painted can be read again, also behind a codec."""

from collections.abc import AsyncIterator
from fractions import Fraction

import av
import numpy as np
import pytest

from models.errors import EngineFailed
from models.face.counter import CounterFace, create, read_counter
from models.interfaces import BEAT_SAMPLES, Image, Speech
from models.settings import EngineSettings


async def speech(*lengths: int) -> AsyncIterator[Speech]:
    for length in lengths:
        yield Speech(np.zeros(length, np.float32))


@pytest.mark.parametrize("position", [0, 1, 255, 90_000, 2**31 + 5])
async def test_idle_carries_its_position(position: int) -> None:
    assert read_counter((await CounterFace(128).idle(position)).i420) == (position, False)


async def test_speech_carries_the_position_and_the_flag() -> None:
    face = create(EngineSettings())
    seen: list[tuple[int, bool]] = []
    async for picture in face.speak(speech(1_000, 3_000, 500), lambda: 7 + len(seen)):
        seen.append(read_counter(picture.i420))
    assert seen == [(7, True), (8, True), (9, True)]


async def test_a_whole_number_of_beats_leaves_no_extra_picture() -> None:
    assert len([picture async for picture in CounterFace(128).speak(speech(2 * BEAT_SAMPLES), lambda: 0)]) == 2


async def test_survives_a_harsh_video_codec() -> None:
    face = CounterFace(256)
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width = encoder.height = 256
    encoder.pix_fmt = "yuv420p"
    encoder.bit_rate = 60_000
    encoder.time_base = Fraction(1, 25)
    decoder = av.CodecContext.create("vp8", "r")
    frames: list[Image] = []
    packets = []
    for position in range(1_000, 1_025):
        frame = av.VideoFrame.from_ndarray((await face.idle(position)).i420, format="yuv420p")
        frame.pts = position
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    for packet in packets:
        frames += [frame.to_ndarray(format="yuv420p") for frame in decoder.decode(packet)]
    frames += [frame.to_ndarray(format="yuv420p") for frame in decoder.decode(None)]
    assert [read_counter(frame) for frame in frames] == [(position, False) for position in range(1_000, 1_025)]


@pytest.mark.parametrize("luma", [16, 128, 235])
def test_a_picture_without_counter_is_refused(luma: int) -> None:
    with pytest.raises(ValueError, match="readable counter"):
        read_counter(np.full((192, 128), luma, np.uint8))


async def test_nothing_comes_after_close() -> None:
    face = CounterFace(128)
    await face.aclose()
    with pytest.raises(EngineFailed):
        await face.idle(0)
    assert [picture async for picture in face.speak(speech(5_000), lambda: 0)] == []
