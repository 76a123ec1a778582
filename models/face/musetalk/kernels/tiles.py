"""How much of a convolution one program of the GPU computes at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, cast

from models.face.musetalk.kernels.formats import NARROWEST_TILE, STORED, Format

PROGRAMS_WANTED: Final = 120
"""About one for each of Hopper's 132 multiprocessors; with fewer, smaller tiles are faster."""
SHARED_BYTES: Final = 99 * 1024
"""A program's shared memory on Ada and on Blackwell for desktops; data centres' cards have more than twice as much."""
NOT_MEASURED: Final = "-"


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


Tiles = Mapping[ConvShape, Mapping[int, Tile]]
"""The fastest tile by shape and number of frames, where it was measured."""


def read_tiles(table: str) -> Tiles:
    """What `written` wrote."""
    title, *rows = table.strip().splitlines()
    counts = [int(word) for word in title.split() if word.isdigit()]
    tiles: dict[ConvShape, dict[int, Tile]] = {}
    for row in rows:
        format, *sizes_and_tiles = row.split()
        sizes, found = sizes_and_tiles[:4], sizes_and_tiles[4:]
        shape = ConvShape(cast(Format, format), *map(int, sizes))
        tiles[shape] = {
            count: _read_tile(text, shape) for count, text in zip(counts, found, strict=True) if text != NOT_MEASURED
        }
    return tiles


def written(tiles: Tiles) -> str:
    """A line for each shape, a column for each number of frames; a tile is "pixels x channels / warps / stages".

    A "d" after it stands for described. Each is 128 bytes deep, or as deep as there are channels.
    """
    counts = sorted({count for measured in tiles.values() for count in measured})
    lines = ["format kernel height    in   out" + "".join(f"   {f'{count} frames':12}" for count in counts)]
    for shape, measured in tiles.items():
        sizes = f"{shape.format:6} {shape.kernel:6} {shape.height_px:6} {shape.in_channels:5} {shape.out_channels:5}"
        lines.append(sizes + "".join(f"   {_written_tile(measured.get(count)):12}" for count in counts))
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _written_tile(tile: Tile | None) -> str:
    if tile is None:
        return NOT_MEASURED
    return f"{tile.pixels}x{tile.channels}/{tile.warps}/{tile.stages}{'d' if tile.described else ''}"


def _read_tile(text: str, shape: ConvShape) -> Tile:
    size, warps, stages = text.removesuffix("d").split("/")
    pixels, channels = map(int, size.split("x"))
    depth = _divisor(shape.in_channels, _deepest(shape))
    return Tile(pixels, channels, depth, int(warps), int(stages), described=text.endswith("d"))


def tile_for(shape: ConvShape, frames: int, tiles: Tiles) -> Tile:
    """The measured tile for the most frames that are not more than `frames`, else a guess."""
    measured = tiles.get(shape, {})
    counts = [count for count in measured if count <= frames]
    return measured[max(counts)] if counts else guess(shape, frames)


def guess(shape: ConvShape, frames: int) -> Tile:
    """A tile that divides the shape, keeps the matrix units busy and fits any card that can run the kernels."""
    best = [tile for tile in candidates(shape) if not tile.described and shared_bytes(tile, shape) <= SHARED_BYTES]
    for tile in best:
        if programs(tile, shape, frames) >= PROGRAMS_WANTED:
            return tile
    return best[-1]


def candidates(shape: ConvShape) -> tuple[Tile, ...]:
    """Tiles worth timing, the likely best for many pixels first, the one for fewest pixels last."""
    wide = _deepest(shape)
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


def shared_bytes(tile: Tile, shape: ConvShape) -> int:
    """Shared memory of one program: what is read ahead, which is more than what its sums need afterwards."""
    return tile.stages * (tile.pixels + tile.channels) * tile.depth * STORED[shape.format].itemsize


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


def _deepest(shape: ConvShape) -> int:
    return 128 // STORED[shape.format].itemsize


def _divisor(size: int, most: int) -> int:
    """The largest power of two that divides `size` and is at most `most`."""
    return min(size & -size, most)
