"""The host's mouth, drawn anew for each picture: lips, teeth, tongue and the dark behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import skia

from models.face.host_brush import CENTRE_X, Canvas, Path, Point, inside, linear, oval, paint, radial, tone
from models.face.host_pose import Pose

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


class Mouth:
    """Holds the paints; `draw` paints the mouth of a pose through `place`, which undoes the stretch of the jaw."""

    def __init__(self) -> None:
        self._cavity = paint(radial((0, 6), 24, [tone(0x5A2222), tone(0x3A1214), tone(0x1E0808)]))
        self._teeth = paint(
            linear(
                (-20, 0),
                (20, 0),
                [tone(0x6A5046), tone(0xD8CCC0), tone(0xF3ECE2), tone(0xE6DCD0), tone(0xC4B6AA), tone(0x5A423A)],
                [0, 0.24, 0.46, 0.62, 0.78, 1],
            )
        )
        self._lower_teeth = paint(linear((-16, 0), (16, 0), [tone(0x8C7D72), tone(0xD2C7BB), tone(0x84756B)]))
        self._teeth_shade = paint(tone(0x3A1414, 0.42), blur=1.3, width=3.0)
        self._tooth_gap = paint(tone(0x8A7466, 0.20), blur=0.3, width=0.5)
        self._tongue = paint(radial((0, 4), 16, [tone(0xC76B68), tone(0xA44C4C), tone(0x7A3434)]), blur=0.8)
        self._tongue_groove = paint(tone(0x7A3434, 0.5), blur=1.0, width=1.3)
        self._upper_lip = paint(linear((0, -12), (0, 3), [tone(0xCB8073), tone(0xBC6C63), tone(0xA0524A)]), blur=0.55)
        self._outline = paint(tone(0xB06A58, 0.45), blur=1.6)
        self._lower_colours = [tone(0xBC6961), tone(0xD08378), tone(0xC57869)]
        self._shine = paint(tone(0xFFDCD2, 0.50), blur=1.6)
        self._shine_small = paint(tone(0xFFF2EC, 0.55), blur=0.9)
        self._bow_light = paint(tone(0xFFE4D4, 0.55), blur=1.0, width=1.3)
        self._seam = paint(tone(0x5A201E, 0.82), blur=0.55, width=1.35)
        self._corner = paint(tone(0x6A2E26, 0.55), blur=1.5)
        self._under = paint(tone(0x9A5643, 0.50), blur=3.6)
        self._fold = paint(tone(0x94543F, 0.34), blur=2.4, width=2.6)
        self._inner_edge = paint(tone(0x7A3330, 0.55), blur=0.7, width=1.3)

    def draw(self, canvas: Canvas, pose: Pose, place: Place) -> None:
        lips = lip_line(pose)
        gap = lips.lower_edge - lips.upper_edge
        self._skin_around(canvas, pose, lips, place)
        opening = _opening(lips, place)
        if gap > 0.8:
            with inside(canvas, opening):
                self._inside_mouth(canvas, pose, lips, place)
        upper, lower = _upper_lip(lips, place), _lower_lip(lips, place)
        canvas.drawPath(upper, self._upper_lip)
        shader = linear(place(0, lips.lower_edge), place(0, lips.lower_bottom), self._lower_colours)
        canvas.drawPath(lower, paint(shader, blur=0.55))
        self._highlights(canvas, pose, lips, place)
        if gap <= 2.2:
            seam = paint(tone(0x5A201E, 0.82 * min(1.0, 1.4 - gap / 2.2)), blur=0.55, width=1.35)
            canvas.drawPath(_seam(lips, place), seam)
        for side in (-1, 1):
            canvas.drawPath(oval(place(side * (lips.half_width + 0.3), lips.corner_y), 2.0, 1.5), self._corner)

    def _skin_around(self, canvas: Canvas, pose: Pose, lips: LipLine, place: Place) -> None:
        x, y = place(0.5, lips.lower_bottom + 4.2)
        canvas.drawPath(oval((x, y), 13, 3.2), self._under)
        canvas.drawPath(_outer(lips, place), self._outline)
        strength = 0.5 * pose.smile + 0.45 * max(0.0, pose.mouth.width) + 0.15 * pose.mouth.opening
        fold = paint(tone(0x94543F, min(0.5, 0.12 + 0.5 * strength)), blur=2.2, width=2.4)
        for side in (-1, 1):
            path = skia.Path()
            path.moveTo(*place(side * (lips.half_width + 3.5), lips.corner_y - 5.5))
            path.quadTo(
                *place(side * (lips.half_width + 6.5), lips.corner_y),
                *place(side * (lips.half_width + 4.0), lips.corner_y + 5.5),
            )
            canvas.drawPath(path, fold)

    def _inside_mouth(self, canvas: Canvas, pose: Pose, lips: LipLine, place: Place) -> None:
        mouth = pose.mouth
        x, y = place(0, (lips.upper_edge + lips.lower_edge) / 2)
        canvas.save()
        canvas.translate(x, y - 6)
        canvas.drawPaint(self._cavity)
        canvas.restore()
        canvas.save()
        canvas.translate(CENTRE_X, 0)
        edge = lips.lower_edge
        if mouth.teeth > 0.15 or mouth.opening > 0.55:
            top = edge - 1.2 - 3.4 * max(mouth.teeth, 0.35)
            self._row(canvas, place, top, edge + 6, 15.0, 2.4, self._lower_teeth)
        tongue_top = edge - 3.5 - 4.0 * mouth.opening
        tongue_top += (lips.incisor_y + 0.4 - tongue_top) * mouth.tongue
        if edge - lips.upper_edge > 4:
            _, top_y = place(0, tongue_top)
            _, low_y = place(0, edge + 8)
            tongue = oval((0, (top_y + low_y) / 2), 12.5 - 2 * mouth.tongue, max(1.0, (low_y - top_y) / 2))
            canvas.drawPath(tongue, self._tongue)
            if mouth.tongue < 0.4:
                canvas.drawLine(0, top_y + 2, 0, low_y, self._tongue_groove)
        self._row(canvas, place, lips.upper_edge - 4, lips.incisor_y, 21.0, -3.0, self._teeth)
        _, top_y = place(0, lips.upper_edge - 2)
        _, low_y = place(0, lips.incisor_y - 0.8)
        for tooth_x in (-10.6, -6.4, 0.0, 6.4, 10.6):
            canvas.drawLine(tooth_x, top_y, tooth_x * 0.98, low_y, self._tooth_gap)
        canvas.restore()
        canvas.drawPath(_edge(lips, place, upper=True), self._teeth_shade)

    def _row(
        self, canvas: Canvas, place: Place, top: float, bottom: float, half: float, arch: float, fill: object
    ) -> None:
        """A row of teeth; its free edge rises (or falls) by `arch` toward the sides."""
        row = skia.Path()
        _, top_y = place(0, top)
        _, low_y = place(0, bottom)
        if arch < 0:
            row.moveTo(-half, top_y)
            row.lineTo(half, top_y)
            row.lineTo(half, low_y + arch)
            row.cubicTo(half * 0.7, low_y + arch * 0.3, half * 0.3, low_y, 0, low_y)
            row.cubicTo(-half * 0.3, low_y, -half * 0.7, low_y + arch * 0.3, -half, low_y + arch)
        else:
            row.moveTo(-half, low_y)
            row.lineTo(half, low_y)
            row.lineTo(half, top_y + arch)
            row.cubicTo(half * 0.7, top_y + arch * 0.2, half * 0.3, top_y, 0, top_y)
            row.cubicTo(-half * 0.3, top_y, -half * 0.7, top_y + arch * 0.2, -half, top_y + arch)
        row.close()
        canvas.drawPath(row, fill)

    def _highlights(self, canvas: Canvas, pose: Pose, lips: LipLine, place: Place) -> None:
        middle = lips.lower_edge + 0.46 * (lips.lower_bottom - lips.lower_edge)
        soft = 1 - 0.6 * pose.mouth.press - 0.5 * pose.mouth.bite
        x, y = place(-2.0, middle)
        canvas.drawPath(oval((x, y), 0.34 * lips.half_width, 1.9 * soft), self._shine)
        x, y = place(-4.5, middle - 0.3)
        canvas.drawPath(oval((x, y), 3.4, 0.9 * soft), self._shine_small)
        bow = skia.Path()
        bow.moveTo(*place(-lips.peak_x - 3.5, lips.upper_top - 0.4))
        bow.quadTo(*place(-lips.peak_x, lips.upper_top - 1.9), *place(-0.8, lips.upper_dip - 1.2))
        canvas.drawPath(bow, self._bow_light)


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


def _upper_lip(lips: LipLine, place: Place) -> Path:
    inner = partial(_edge_run, lips, upper=True)
    return _ring(lips, place, partial(_top_run, lips), lips.half_width, inner, lips.inner_half_width)


def _lower_lip(lips: LipLine, place: Place) -> Path:
    inner = partial(_edge_run, lips, upper=False)
    return _ring(lips, place, inner, lips.inner_half_width, partial(_bottom_run, lips), lips.half_width)


def _opening(lips: LipLine, place: Place) -> Path:
    upper, lower = partial(_edge_run, lips, upper=True), partial(_edge_run, lips, upper=False)
    return _ring(lips, place, upper, lips.inner_half_width, lower, lips.inner_half_width)


def _outer(lips: LipLine, place: Place) -> Path:
    return _ring(lips, place, partial(_top_run, lips), lips.half_width, partial(_bottom_run, lips), lips.half_width)


def _edge(lips: LipLine, place: Place, *, upper: bool) -> Path:
    path = skia.Path()
    path.moveTo(*place(-lips.inner_half_width, lips.corner_y))
    _trace(
        path,
        place,
        *_edge_run(lips, -1, upper=upper),
        *_back(_edge_run(lips, 1, upper=upper), (lips.inner_half_width, lips.corner_y)),
    )
    return path


def _seam(lips: LipLine, place: Place) -> Path:
    return _edge(lips, place, upper=True)
