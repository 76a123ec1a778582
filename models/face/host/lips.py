"""Where the lips of the host are for a pose, and the outlines they make."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import skia

from models.face.host.brush import Path, Point
from models.face.pose import Pose

JAW_DROP_UNITS = 20.0
"""How far the lower lip moves at full opening."""

_HALF_WIDTH = 25.5
_UPPER_THICKNESS = 7.4
_LOWER_THICKNESS = 9.6
_INCISOR_EDGE_Y = 3.0
"""The upper teeth end this far below the line of the closed lips; they hang on the skull and do not move."""

Place = Callable[[float, float], Point]
Run = Callable[[int], list[Point]]
"""Control points from the corner on one side (-1 or 1) to the middle."""


@dataclass(frozen=True, slots=True)
class LipLine:
    """The lips in units from the mouth's centre, down positive, for the picture's right half; the left mirrors it."""

    half_width: float
    inner_half_width: float
    """Of the line where the lips part; rounded lips stay together at the corners."""
    corner_y: float
    peak_x: float
    upper_top: float
    upper_dip: float
    upper_edge: float
    lower_edge: float
    lower_bottom: float
    fullness: float
    """0 for a slit, 1 for a round opening."""
    incisor_y: float
    """Where the upper teeth end: rounded lips stand out before them and hide them."""


def lip_line(pose: Pose) -> LipLine:
    """Where the lips are for a pose."""
    mouth = pose.mouth
    free = 1 - mouth.press
    opening = mouth.opening * free
    half_width = _HALF_WIDTH * (1 + 0.17 * mouth.width - 0.43 * mouth.rounding + 0.12 * pose.smile - 0.05 * opening)
    lift = (2.6 * opening + 2.4 * mouth.teeth + 3.2 * mouth.bite) * free * (1 - 0.5 * mouth.rounding)
    drop = JAW_DROP_UNITS * opening + (3.2 * mouth.teeth + 2.2 * mouth.rounding) * free
    drop = drop * (1 - 0.85 * mouth.bite) + 0.8 * mouth.bite
    edge = (1.0 * mouth.rounding - lift) * free
    upper = _UPPER_THICKNESS * (1 - 0.34 * mouth.press - 0.12 * max(0.0, mouth.width)) + 1.0 * mouth.rounding
    lower = (
        _LOWER_THICKNESS * (1 - 0.30 * mouth.press - 0.42 * mouth.bite - 0.10 * max(0.0, mouth.width))
        + 0.8 * mouth.rounding
    )
    return LipLine(
        half_width=half_width,
        inner_half_width=half_width * (0.97 - 0.26 * mouth.rounding),
        corner_y=-7.6 * pose.smile - 0.6 * max(0.0, mouth.width) + 2.2 * opening,
        peak_x=5.2 * (1 - 0.3 * mouth.rounding),
        upper_top=-upper - lift,
        upper_dip=-upper + 1.7 - lift,
        upper_edge=edge,
        lower_edge=max(drop, edge),
        lower_bottom=max(drop, edge) + lower,
        fullness=min(1.0, 0.30 + 0.75 * mouth.rounding + 0.35 * opening),
        incisor_y=_INCISOR_EDGE_Y - 2.4 * mouth.rounding * (1 - mouth.teeth),
    )


def _trace(path: Path, place: Place, *points: Point) -> None:
    """Cubic runs through `place`d control points."""
    placed = [place(x, y) for x, y in points]
    for one, two, end in zip(placed[0::3], placed[1::3], placed[2::3], strict=True):
        path.cubicTo(*one, *two, *end)


def _top_run(lips: LipLine, side: int) -> list[Point]:
    """Outer edge of the upper lip from the corner on `side` to the dip of the bow."""
    return [
        (side * lips.half_width * 0.72, lips.corner_y + (lips.upper_top - lips.corner_y) * 0.42),
        (side * (lips.peak_x + 6.0), lips.upper_top + 0.6),
        (side * lips.peak_x, lips.upper_top),
        (side * lips.peak_x * 0.55, lips.upper_top - 0.3),
        (side * lips.peak_x * 0.35, lips.upper_dip - 0.2),
        (0.0, lips.upper_dip),
    ]


def _edge_run(lips: LipLine, side: int, *, upper: bool) -> list[Point]:
    """Inner edge of a lip from the corner on `side` to the middle."""
    at = lips.upper_edge if upper else lips.lower_edge
    full = lips.fullness
    gap = lips.lower_edge - lips.upper_edge
    # closed lips meet in a line with a slight tubercle; open ones part in an arc
    closed = max(0.0, 1 - gap / 3)
    near = lips.corner_y + (at - lips.corner_y) * (0.04 + 0.78 * full)
    return [
        (side * lips.inner_half_width * (0.66 + 0.24 * full), near + 0.5 * closed),
        (side * lips.inner_half_width * (0.34 + 0.22 * full), at - 0.9 * closed),
        (0.0, at + 0.7 * closed),
    ]


def _bottom_run(lips: LipLine, side: int) -> list[Point]:
    full = lips.fullness
    return [
        (
            side * lips.half_width * (0.76 + 0.2 * full),
            lips.corner_y + (lips.lower_bottom - lips.corner_y) * (0.56 + 0.2 * full),
        ),
        (side * lips.half_width * (0.46 + 0.12 * full), lips.lower_bottom),
        (0.0, lips.lower_bottom),
    ]


def _back(run: list[Point], corner: Point) -> list[Point]:
    """`run` the other way, ending in `corner`."""
    return [*reversed(run[:-1]), corner]


def _ring(lips: LipLine, place: Place, over: Run, over_half: float, under: Run, under_half: float) -> Path:
    """From the left corner along `over` to the right and back along `under`; each run has corners of its own."""
    corner_y = lips.corner_y
    path = skia.Path()
    path.moveTo(*place(-over_half, corner_y))
    _trace(path, place, *over(-1), *_back(over(1), (over_half, corner_y)))
    path.lineTo(*place(under_half, corner_y))
    _trace(path, place, *under(1), *_back(under(-1), (-under_half, corner_y)))
    path.close()
    return path


def upper_lip_path(lips: LipLine, place: Place) -> Path:
    inner = partial(_edge_run, lips, upper=True)
    return _ring(lips, place, partial(_top_run, lips), lips.half_width, inner, lips.inner_half_width)


def lower_lip_path(lips: LipLine, place: Place) -> Path:
    inner = partial(_edge_run, lips, upper=False)
    return _ring(lips, place, inner, lips.inner_half_width, partial(_bottom_run, lips), lips.half_width)


def opening_path(lips: LipLine, place: Place) -> Path:
    upper, lower = partial(_edge_run, lips, upper=True), partial(_edge_run, lips, upper=False)
    return _ring(lips, place, upper, lips.inner_half_width, lower, lips.inner_half_width)


def outer_path(lips: LipLine, place: Place) -> Path:
    return _ring(lips, place, partial(_top_run, lips), lips.half_width, partial(_bottom_run, lips), lips.half_width)


def edge_path(lips: LipLine, place: Place) -> Path:
    """The lower edge of the upper lip: the line where closed lips meet."""
    path = skia.Path()
    path.moveTo(*place(-lips.inner_half_width, lips.corner_y))
    corner = (lips.inner_half_width, lips.corner_y)
    _trace(path, place, *_edge_run(lips, -1, upper=True), *_back(_edge_run(lips, 1, upper=True), corner))
    return path
