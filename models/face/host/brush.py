"""Drawing tools of the host: splines, soft fills, gradients. Lengths are design units, 512 to the picture's edge."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import skia
from numpy.typing import NDArray

from models.interfaces import Image

Point = tuple[float, float]
Path = Any
Canvas = Any
Shader = Any

DESIGN_UNITS = 512
CENTRE_X = 256.0


def tone(rgb: int, alpha: float = 1.0) -> int:
    """An ARGB colour from 0xRRGGBB and an opacity in [0, 1]."""
    return (round(255 * alpha) << 24) | rgb


def spline(*runs: Sequence[Point], closed: bool = True) -> Path:
    """A path of Catmull-Rom runs; runs meet in corners, one run that closes on itself is smooth all round."""
    path = skia.Path()
    path.moveTo(*runs[0][0])
    for run in runs:
        points = list(run)
        loop = closed and len(runs) == 1
        if loop:
            points = [points[-1], *points, points[0], points[1]]
        else:
            points = [points[0], *points, points[-1]]
        for before, start, end, after in zip(points, points[1:], points[2:], points[3:], strict=False):
            path.cubicTo(
                start[0] + (end[0] - before[0]) / 6,
                start[1] + (end[1] - before[1]) / 6,
                end[0] - (after[0] - start[0]) / 6,
                end[1] - (after[1] - start[1]) / 6,
                *end,
            )
    if closed:
        path.close()
    return path


def mirrored(points: Sequence[Point]) -> list[Point]:
    """The half outline `points`, from top to bottom, continued up the other side of the face."""
    other = [(2 * CENTRE_X - x, y) for x, y in points if abs(x - CENTRE_X) > 1e-6]
    return [*points, *reversed(other)]


def resampled(points: Sequence[Point], count: int) -> NDArray[np.float64]:
    """`count` points [count, 2] evenly along the spline through `points`."""
    measure = skia.PathMeasure(spline(points, closed=False), False)
    length = measure.getLength()
    found = [measure.getPosTan(length * step / (count - 1))[0] for step in range(count)]
    return np.array([(point.x(), point.y()) for point in found])


def linear(start: Point, end: Point, colours: Sequence[int], stops: Sequence[float] | None = None) -> Shader:
    return skia.GradientShader.MakeLinear(
        [skia.Point(*start), skia.Point(*end)], list(colours), list(stops) if stops else []
    )


def radial(centre: Point, radius: float, colours: Sequence[int], stops: Sequence[float] | None = None) -> Shader:
    return skia.GradientShader.MakeRadial(skia.Point(*centre), radius, list(colours), list(stops) if stops else [])


def paint(
    fill: int | Shader = 0xFF000000, *, blur: float = 0.0, width: float = 0.0, blend: Any = None, alpha: float = 1.0
) -> Any:
    """A paint: `fill` is a colour or a shader, `blur` a sigma, `width` makes it a round stroke."""
    made = skia.Paint(AntiAlias=True)
    if isinstance(fill, int):
        made.setColor(fill)
    else:
        made.setShader(fill)
        made.setDither(True)
    if alpha < 1:
        made.setAlphaf(made.getAlphaf() * alpha)
    if blur:
        made.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    if width:
        made.setStyle(skia.Paint.kStroke_Style)
        made.setStrokeWidth(width)
        made.setStrokeCap(skia.Paint.kRound_Cap)
        made.setStrokeJoin(skia.Paint.kRound_Join)
    if blend is not None:
        made.setBlendMode(blend)
    return made


def oval(centre: Point, radius_x: float, radius_y: float, *, tilt_deg: float = 0.0) -> Path:
    path = skia.Path()
    path.addOval(skia.Rect(-radius_x, -radius_y, radius_x, radius_y))
    path.transform(skia.Matrix().setRotate(tilt_deg).postTranslate(*centre))
    return path


@contextmanager
def inside(canvas: Canvas, path: Path) -> Iterator[None]:
    """Draw only within `path`."""
    canvas.save()
    canvas.clipPath(path, skia.ClipOp.kIntersect, True)
    try:
        yield
    finally:
        canvas.restore()


def canvas_on(pixels: Image, scale: float, left: float = 0.0, top: float = 0.0) -> Canvas:
    """A canvas in design units over premultiplied RGBA uint8 [h, w, 4]; (left, top) is at the corner.

    `pixels` must outlive the canvas.
    """
    height, width = pixels.shape[:2]
    info = skia.ImageInfo.Make(width, height, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)
    canvas = skia.Canvas.MakeRasterDirect(info, pixels, pixels.strides[0])
    canvas.scale(scale, scale)
    canvas.translate(-left, -top)
    return canvas


def image_of(pixels: Image) -> Any:
    """A view of premultiplied RGBA uint8 [h, w, 4] that can be drawn; `pixels` must outlive it."""
    return skia.Image.fromarray(pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType, copy=False)


def box(left: float, top: float, right: float, bottom: float) -> Any:
    return skia.Rect.MakeLTRB(left, top, right, bottom)
