"""How much of a convolution one program of the GPU computes at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from models.face.musetalk.fp8_formats import NARROWEST_TILE, Format

PROGRAMS_WANTED: Final = 120
"""About one for each of Hopper's 132 multiprocessors; with fewer, smaller tiles are faster."""


class ConvShape(NamedTuple):
    """What the speed of a convolution depends on, besides the number of frames."""

    format: Format
    kernel: int
    height_px: int
    in_channels: int
    out_channels: int

    @property
    def phases(self) -> int:
        return 4 if self.kernel == 2 else 1

    @property
    def operations(self) -> int:
        """For one frame."""
        taps = self.phases * self.kernel**2
        return 2 * self.height_px**2 * taps * self.in_channels * self.out_channels


@dataclass(frozen=True, slots=True)
class Tile:
    pixels: int
    channels: int
    depth: int
    warps: int
    stages: int
    described: bool = False
    """Read by Hopper's copy engine instead of by the threads; for tiles that lie within one row of pixels."""


TILES: Mapping[tuple[ConvShape, int], Tile] = {}
"""What was fastest where it was measured (`python -m tests.bench.musetalk_decoder --tune`), by shape and frames."""


def tile_for(shape: ConvShape, frames: int, tiles: Mapping[tuple[ConvShape, int], Tile] = TILES) -> Tile:
    """The measured tile for the most frames that are not more than `frames`, else a guess."""
    measured = [count for known, count in tiles if known == shape and count <= frames]
    return tiles[shape, max(measured)] if measured else guess(shape, frames)


def guess(shape: ConvShape, frames: int) -> Tile:
    """A tile that keeps the matrix units busy on Hopper, and divides the shape."""
    best = [tile for tile in candidates(shape) if not tile.described]
    for tile in best:
        if programs(tile, shape, frames) >= PROGRAMS_WANTED:
            return tile
    return best[-1]


def candidates(shape: ConvShape) -> tuple[Tile, ...]:
    """Tiles worth timing, the likely best for many pixels first, the one for fewest pixels last."""
    wide = 64 if shape.format == "fp16" else 128
    if shape.out_channels <= NARROWEST_TILE:
        read = [Tile(128, NARROWEST_TILE, wide, 4, 4), Tile(64, NARROWEST_TILE, wide, 4, 4)]
        copied = [replace(tile, described=True) for tile in read]
    else:
        read = [
            Tile(128, 128, wide, 8, 4),
            Tile(256, 128, wide, 8, 3),
            Tile(128, 128, wide, 4, 3),
            Tile(128, 256, wide, 8, 3),
            Tile(128, 64, wide, 4, 4),
            Tile(64, 64, wide, 4, 4),
        ]
        copied = [
            Tile(128, 128, wide, 8, 3, described=True),
            Tile(128, 128, wide, 4, 3, described=True),
            Tile(128, 256, wide, 8, 4, described=True),
            Tile(256, 128, wide, 8, 4, described=True),
            Tile(64, 256, wide, 4, 4, described=True),
            Tile(64, 128, wide, 4, 4, described=True),
        ]
    within_a_row = [tile for tile in copied if shape.height_px % tile.pixels == 0]
    fitted = (_fitted(tile, shape) for tile in (*within_a_row, *read))
    return tuple(dict.fromkeys(fitted))


def programs(tile: Tile, shape: ConvShape, frames: int) -> int:
    """How many programs work on it."""
    return frames * shape.height_px**2 // tile.pixels * shape.phases * -(-shape.out_channels // tile.channels)


def _fitted(tile: Tile, shape: ConvShape) -> Tile:
    """`tile`, no larger than the shape and dividing it."""
    return replace(
        tile,
        pixels=_divisor(shape.height_px**2, tile.pixels),
        channels=_divisor(max(shape.out_channels, NARROWEST_TILE), tile.channels),
        depth=_divisor(shape.in_channels, tile.depth),
    )


def _divisor(size: int, most: int) -> int:
    """The largest power of two that divides `size` and is at most `most`."""
    return min(size & -size, most)
