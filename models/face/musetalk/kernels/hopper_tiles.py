"""The fastest tile of every convolution of the decoder on Hopper, as measured.

H100 80GB HBM3, torch 2.11, Triton 3.6, on 2026-11-25, by `python -m tests.bench.musetalk_decoder`, which prints this
table (`tiles.written` says how it is read). Other cards have other sizes of memory, and not all have a copy engine:
they get a guess.
"""

from typing import Final

from models.face.musetalk.kernels.tiles import Tiles, read_tiles

HOPPER: Final = (9, 0)

TABLE: Final = """
format kernel height    in   out   1 frames       4 frames       16 frames
fp16        1    128   512   256   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp16        1    256   256   128   128x128/4/3    128x128/4/3    128x128/4/3
fp16        2     32   512   512   128x128/4/3    256x128/8/3    256x128/8/3
fp16        2     64   512   512   256x128/8/3    256x128/8/3    128x128/4/3
fp16        2    128   256   256   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp16        3     32   512   512   64x64/4/4      128x128/4/3    256x128/8/3
fp16        3     64   512   512   64x256/4/4d    256x128/8/3    128x256/8/3
fp16        3    128   256   256   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp16        3    128   512   256   128x128/4/3d   128x128/4/3d   64x256/4/4d
fp16        3    256   128     3   128x16/4/4d    128x16/4/4d    128x16/4/4d
fp16        3    256   128   128   256x128/8/4d   128x128/4/3d   128x128/4/3d
fp16        3    256   256   128   256x128/8/4d   256x128/8/4d   256x128/8/4d
int8        2     32   512   512   128x64/4/4     128x128/4/3    128x128/4/3
int8        2     64   512   512   128x128/4/3    128x128/4/3    128x128/4/3
int8        2    128   256   256   128x128/4/3    128x128/4/3d   128x128/4/3d
int8        3     32   512   512   64x64/4/4      128x64/4/4     128x128/4/3
int8        3     64   512   512   128x64/4/4     128x128/4/3    128x128/4/3
int8        3    128   256   256   128x128/4/3d   128x128/4/3d   128x128/4/3d
int8        3    128   512   256   128x128/4/3    128x128/4/3d   128x128/4/3d
int8        3    256   128   128   128x128/4/3d   128x128/4/3d   128x128/4/3d
int8        3    256   256   128   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp8         2     32   512   512   128x128/4/3    256x128/8/3    256x128/8/3
fp8         2     64   512   512   256x128/8/3    256x128/8/3    256x128/8/3
fp8         2    128   256   256   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp8         3     32   512   512   64x64/4/4      128x64/4/4     256x128/8/3
fp8         3     64   512   512   64x256/4/4d    256x128/8/3    256x128/8/3
fp8         3    128   256   256   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp8         3    128   512   256   128x128/4/3d   128x128/4/3d   256x128/8/3
fp8         3    256   128   128   128x128/4/3d   128x128/4/3d   128x128/4/3d
fp8         3    256   256   128   256x128/8/4d   256x128/8/4d   128x128/4/3
"""

TILES: Final = read_tiles(TABLE)


def measured_tiles(capability: tuple[int, int]) -> Tiles:
    """What was measured on cards of this compute capability: nothing except on Hopper."""
    return TILES if capability == HOPPER else {}
