"""A face for tests: it paints the number of the beat and whether it speaks, to be read again behind a video codec."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import numpy as np

from models.errors import EngineFailed
from models.interfaces import BEAT_SAMPLES, Image, Picture, Speech
from models.settings import EngineSettings

_COLUMNS = 8
_ROWS = 6
_POSITION_BITS = 32
_DARK, _LIGHT, _GREY = 40, 210, 128
"""Luma well inside the limited range (16 to 235), far enough apart for any quantiser."""
_CELLS = _COLUMNS * _ROWS
_SPEAKING_CELLS = (32, 33, 34, 35, 36, 37, 38, 39)
_CHECK_FIRST = 40
_CHECK_BITS = 8


def create(settings: EngineSettings) -> "CounterFace":
    return CounterFace(settings.face.size_px)


class CounterFace:
    """`Face` that paints 48 blocks: 32 bits of position, a row that is light while it speaks, and a check sum."""

    def __init__(self, size_px: int) -> None:
        self._size_px = size_px
        self._closed = False

    @property
    def width_px(self) -> int:
        return self._size_px

    @property
    def height_px(self) -> int:
        return self._size_px

    async def idle(self, position: int) -> Picture:
        self._refuse_if_closed()
        return Picture(_painted(self._size_px, position, speaking=False))

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        begun_samples = 0
        async for piece in speech:
            begun_samples += len(piece.samples)
            while begun_samples >= BEAT_SAMPLES:
                if self._closed:
                    return
                begun_samples -= BEAT_SAMPLES
                yield Picture(_painted(self._size_px, position(), speaking=True))
                await asyncio.sleep(0)
        if begun_samples and not self._closed:
            yield Picture(_painted(self._size_px, position(), speaking=True))

    async def aclose(self) -> None:
        self._closed = True

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EngineFailed("The face is closed; create a new one to go on drawing.")


def read_counter(picture: Image) -> tuple[int, bool]:
    """Position and speaking flag of an I420 picture uint8 [h * 3 // 2, w] that a CounterFace painted.

    Works after lossy compression and scaling. Raises ValueError if the picture is not one of ours or is too damaged.
    """
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    luma = picture[:height].astype(np.float32)
    bits = []
    for cell in range(_CELLS):
        row, column = divmod(cell, _COLUMNS)
        # the middle half of a block: its rim is smeared by the codec
        rows = slice(int((row + 0.25) * height / _ROWS), int((row + 0.75) * height / _ROWS))
        columns = slice(int((column + 0.25) * width / _COLUMNS), int((column + 0.75) * width / _COLUMNS))
        bits.append(bool(luma[rows, columns].mean() > (_DARK + _LIGHT) / 2))
    position = sum(1 << bit for bit in range(_POSITION_BITS) if bits[bit])
    votes = sum(bits[cell] for cell in _SPEAKING_CELLS)
    speaking = votes * 2 > len(_SPEAKING_CELLS)
    check = sum(1 << bit for bit in range(_CHECK_BITS) if bits[_CHECK_FIRST + bit])
    if check != _check(position, speaking):
        raise ValueError("the picture does not carry a readable counter")
    return position, speaking


def _painted(size_px: int, position: int, *, speaking: bool) -> Image:
    value = position % (1 << _POSITION_BITS)
    check = _check(value, speaking)
    bits = [bool(value >> bit & 1) for bit in range(_POSITION_BITS)]
    bits += [speaking] * len(_SPEAKING_CELLS)
    bits += [bool(check >> bit & 1) for bit in range(_CHECK_BITS)]
    blocks = np.where(np.array(bits).reshape(_ROWS, _COLUMNS), _LIGHT, _DARK).astype(np.uint8)
    rows = np.arange(size_px) * _ROWS // size_px
    columns = np.arange(size_px) * _COLUMNS // size_px
    picture = np.full((size_px * 3 // 2, size_px), _GREY, np.uint8)
    picture[:size_px] = blocks[rows][:, columns]
    return picture


def _check(position: int, speaking: bool) -> int:
    """Eight bits that tell a counter from any other picture; never 0, so that a dark picture is refused."""
    mixed = (position * 0x9E3779B1 + 0x5A + 97 * speaking) & 0xFFFFFFFF
    return (mixed >> 24) ^ (mixed >> 9 & 0xFF) or 0xA5
