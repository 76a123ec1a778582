"""The host's eyes and brows, drawn anew for each picture."""

import numpy as np
import skia

from models.face.host.brush import (
    CENTRE_X,
    Canvas,
    Path,
    canvas_on,
    image_of,
    inside,
    linear,
    oval,
    paint,
    radial,
    spline,
    tone,
)
from models.face.host.head import EYE_OFFSET_X, EYE_Y
from models.face.pose import Pose
from models.interfaces import Image

_IRIS_RADIUS = 8.7
_GAZE_REACH_X = 6.5
_GAZE_REACH_Y = 3.6
_LASH = 0x2A1611
_SPRITE_SCALE = 4.0
_SMOOTH = skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kLinear)

# Half an eye: from the inner to the outer corner, in units from the eye's centre, outward positive.
_INNER = (-17.2, 2.6)
_OUTER = (18.2, -1.2)


class Eyes:
    """Holds the sprites and paints; `draw` paints both eyes and brows for a pose."""

    def __init__(self) -> None:
        self._iris_pixels = _iris()
        self._iris = image_of(self._iris_pixels)
        self._brow_pixels = _brow()
        self._brow = image_of(self._brow_pixels)
        self._image_paint = skia.Paint(AntiAlias=True)
        self._white = paint(linear((0, -10), (0, 8), [tone(0xBDB0A8), tone(0xF0E9E2), tone(0xF3ECE5), tone(0xDCCCC2)]))
        self._white_turn = paint(
            radial((0, -1), 19, [tone(0x7A5A4E, 0.0), tone(0x7A5A4E, 0.0), tone(0x7A5A4E, 0.34)], [0, 0.55, 1])
        )
        self._lid_shadow = paint(tone(0x2B1712, 0.50), blur=1.5, width=5.5)
        self._duct = paint(tone(0xD08D7C, 0.9), blur=0.7)
        self._wet = paint(tone(0xFFF4EA, 0.50), blur=0.5, width=0.9)
        self._lower_line = paint(tone(0x7A4034, 0.60), blur=0.6, width=1.1)
        self._lower_shadow = paint(tone(0x9A5C48, 0.30), blur=1.6, width=2.6)
        self._lash = paint(tone(_LASH, 0.95))
        self._lash_hair = paint(tone(_LASH, 0.80), width=0.65)
        self._lower_lash_hair = paint(tone(_LASH, 0.26), width=0.5)
        self._crease = paint(tone(0x8E4F3C, 0.62), blur=0.8, width=1.5)
        self._lid = paint(linear((0, -15), (0, 7), [tone(0xD59B7D), tone(0xE0AA8B), tone(0xD2957A)]))
        self._lid_edge = paint(tone(0x9A5A46, 0.35), blur=1.4, width=2.4)
        self._glint = paint(tone(0xFFFFFF, 0.92))
        self._glint_low = paint(tone(0xFFF2DC, 0.42), blur=0.7)

    def draw(self, canvas: Canvas, pose: Pose) -> None:
        for side in (-1, 1):
            canvas.save()
            canvas.translate(CENTRE_X + side * EYE_OFFSET_X, EYE_Y)
            canvas.scale(side * 1.07, 1.07)
            self._eye(canvas, pose, side)
            self._draw_brow(canvas, pose, side)
            canvas.restore()

    def _eye(self, canvas: Canvas, pose: Pose, side: int) -> None:
        lids = pose.lids * (1 - 0.10 * pose.gaze_y) if pose.lids > 0.5 else pose.lids
        squint = 0.9 * pose.smile + 1.2 * (1 - min(1.0, pose.lids))
        upper = _upper(lids)
        lower = _lower(squint)
        ball = _eyeball(upper, lower)
        canvas.drawPath(_curve(_INNER, (-8, 11 - squint), (10, 12 - squint), _OUTER), self._lower_shadow)
        if lids > 0.06:
            with inside(canvas, ball):
                canvas.drawPath(ball, self._white)
                canvas.drawPath(oval((_INNER[0] + 2.2, _INNER[1] - 0.2), 3.0, 2.3), self._duct)
                self._draw_iris(canvas, pose, side)
                canvas.drawPath(ball, self._white_turn)
                canvas.drawPath(_curve_of(upper), self._lid_shadow)
                canvas.drawPath(_curve(_INNER, (-8, 7.4 - squint), (10, 8.4 - squint), _OUTER), self._wet)
        canvas.drawPath(_lower_curve(squint), self._lower_line)
        lashes = skia.Path()
        for x in (2.0, 5.0, 8.0, 11.0, 13.5):
            y = 6.9 - squint * 0.75 - 0.028 * (x - 3) ** 2
            lashes.moveTo(x, y)
            lashes.lineTo(x + 1.0 + x * 0.07, y + 2.2)
        canvas.drawPath(lashes, self._lower_lash_hair)
        self._draw_lid(canvas, lids, upper)

    def _draw_iris(self, canvas: Canvas, pose: Pose, side: int) -> None:
        x = 0.3 * -1 + side * pose.gaze_x * _GAZE_REACH_X
        y = -1.6 + pose.gaze_y * _GAZE_REACH_Y
        radius = _IRIS_RADIUS
        canvas.save()
        canvas.translate(x, y)
        canvas.scale(side, 1)
        canvas.drawImageRect(self._iris, skia.Rect(-radius, -radius, radius, radius), _SMOOTH, self._image_paint)
        canvas.drawPath(oval((-3.1, -3.6), 2.2, 1.9), self._glint)
        canvas.drawPath(oval((2.9, 3.4), 2.0, 1.3), self._glint_low)
        canvas.restore()

    def _draw_lid(self, canvas: Canvas, lids: float, upper: tuple[tuple[float, float], ...]) -> None:
        shut = 1 - min(1.0, lids)
        crease = ((-16.2, -1.5 + 1.2 * shut), (-12, -15.6 + 4.5 * shut), (8, -18.6 + 5 * shut), (22.0, -5.2 + 2 * shut))
        skin = skia.Path()
        skin.moveTo(*_INNER)
        skin.lineTo(*crease[0])
        skin.cubicTo(*crease[1], *crease[2], *crease[3])
        skin.lineTo(*_OUTER)
        skin.cubicTo(*upper[2], *upper[1], *upper[0])
        skin.close()
        canvas.drawPath(skin, self._lid)
        canvas.drawPath(_curve(*crease), self._crease)
        canvas.drawPath(_curve_of(upper), self._lid_edge)
        canvas.drawPath(_lash_line(upper), self._lash)
        hairs = skia.Path()
        for at, reach in ((0.50, 3.6), (0.60, 4.4), (0.70, 5.2), (0.79, 5.8), (0.87, 6.0), (0.94, 5.4)):
            x, y = _on(upper, at)
            flip = -1.0 + 1.9 * shut
            tip = (x + reach * (0.25 + 0.75 * at), y + reach * flip * 0.62)
            hairs.moveTo(x, y)
            hairs.quadTo(x + reach * 0.55 * at + 0.8, y + reach * 0.05 + shut, *tip)
        canvas.drawPath(hairs, self._lash_hair)

    def _draw_brow(self, canvas: Canvas, pose: Pose, side: int) -> None:
        canvas.save()
        canvas.translate(1.5, -25.5 - 5.0 * pose.brows)
        canvas.rotate(2.0 - 2.5 * pose.brows + 5.0 * pose.brow_tilt)
        canvas.drawImageRect(self._brow, skia.Rect(-27, -11, 27, 11), _SMOOTH, self._image_paint)
        canvas.restore()


def _upper(lids: float) -> tuple[tuple[float, float], ...]:
    """The upper lid's edge; shut it lies on the lower lid's curve."""
    return (
        _INNER,
        (-11.5, 8.0 - 19.2 * lids),
        (8.5, 9.2 - 22.0 * lids),
        _OUTER,
    )


def _lower(squint: float) -> tuple[tuple[float, float], ...]:
    return (_INNER, (-8.0, 8.6 - squint), (10.0, 9.6 - squint), _OUTER)


def _lower_curve(squint: float) -> Path:
    return _curve_of(_lower(squint))


def _curve(
    start: tuple[float, float], one: tuple[float, float], two: tuple[float, float], end: tuple[float, float]
) -> Path:
    path = skia.Path()
    path.moveTo(*start)
    path.cubicTo(*one, *two, *end)
    return path


def _curve_of(points: tuple[tuple[float, float], ...]) -> Path:
    return _curve(points[0], points[1], points[2], points[3])


def _eyeball(upper: tuple[tuple[float, float], ...], lower: tuple[tuple[float, float], ...]) -> Path:
    path = _curve_of(upper)
    path.cubicTo(*lower[2], *lower[1], *lower[0])
    path.close()
    return path


def _lash_line(upper: tuple[tuple[float, float], ...]) -> Path:
    """The dark edge of the upper lid, thin at the nose and thick at the temple."""
    inner, one, two, outer = upper
    path = skia.Path()
    path.moveTo(inner[0] + 0.6, inner[1] - 0.2)
    path.cubicTo(one[0], one[1] + 0.3, two[0], two[1] + 0.6, outer[0] + 0.2, outer[1] + 0.8)
    path.lineTo(outer[0] + 3.6, outer[1] - 2.2)
    path.cubicTo(two[0] + 2.5, two[1] - 2.5, one[0] + 1.0, one[1] - 1.4, inner[0] + 0.6, inner[1] - 0.2)
    path.close()
    return path


def _on(curve: tuple[tuple[float, float], ...], at: float) -> tuple[float, float]:
    """The point of a cubic Bezier curve at `at` in [0, 1]."""
    rest = 1 - at
    weights = (rest**3, 3 * rest * rest * at, 3 * rest * at * at, at**3)
    x = sum(w * p[0] for w, p in zip(weights, curve, strict=True))
    y = sum(w * p[1] for w, p in zip(weights, curve, strict=True))
    return x, y


def _iris() -> Image:
    """A hazel iris with fibres, a dark rim and the pupil; RGBA uint8, premultiplied."""
    size = 96
    pixels = np.zeros((size, size, 4), np.uint8)
    canvas = canvas_on(pixels, size / 20, -10, -10)
    disc = oval((0, 0), 9.6, 9.6)
    canvas.drawPath(
        disc,
        paint(
            radial(
                (0, 0), 9.7, [tone(0x8A6A3A), tone(0x7E7444), tone(0x5E6A45), tone(0x2E3526)], [0.25, 0.5, 0.78, 1.0]
            )
        ),
    )
    chance = np.random.default_rng(8)
    with inside(canvas, disc):
        for _ in range(90):
            angle = float(chance.uniform(0, 2 * np.pi))
            start, end = float(chance.uniform(3.6, 5)), float(chance.uniform(6.5, 9))
            colour = 0xC9AE6A if chance.random() < 0.55 else 0x2F3A26
            x, y = float(np.cos(angle)), float(np.sin(angle))
            canvas.drawLine(x * start, y * start, x * end, y * end, paint(tone(colour, 0.32), width=0.35))
        canvas.drawPath(oval((1.5, 5.5), 6.0, 3.4), paint(tone(0xE6CF92, 0.34), blur=1.4))
        canvas.drawPath(oval((0, -7), 9.5, 5.0), paint(tone(0x120C08, 0.50), blur=1.8))
    canvas.drawPath(oval((0, 0), 9.2, 9.2), paint(tone(0x1E1B14, 0.78), blur=0.5, width=1.1))
    canvas.drawPath(oval((0, 0), 4.0, 4.0), paint(tone(0x0B0706), blur=0.25))
    return pixels


def _brow() -> Image:
    """A brow of single hairs, from the nose outward; RGBA uint8, premultiplied."""
    pixels = np.zeros((round(22 * _SPRITE_SCALE), round(54 * _SPRITE_SCALE), 4), np.uint8)
    canvas = canvas_on(pixels, _SPRITE_SCALE, -27, -11)
    body = spline(
        [(-21, 3.0), (-20.5, -1.6), (-10, -4.2), (3, -6.2), (14, -4.9), (25.5, 2.8)],
        [(25.5, 2.8), (13, -1.2), (2, -1.0), (-10, 1.7), (-18, 4.2), (-21, 3.0)],
    )
    fade = [tone(0x5A3626, 0.0), tone(0x4A2C20, 0.55), tone(0x462A1F, 0.74), tone(0x462A1F, 0.74), tone(0x4A2C20, 0.50)]
    canvas.drawPath(body, paint(linear((-24, 0), (25, 0), fade, [0, 0.18, 0.4, 0.8, 1]), blur=1.1))
    chance = np.random.default_rng(2)
    for _ in range(170):
        at = float(chance.beta(1.15, 1.15))
        x = -21.5 + 43 * at
        spine_low = float(np.interp(x, [-21, -18, -10, 2, 13, 24], [2.8, 4.0, 1.5, -1.1, -1.2, 2.4]))
        spine_high = float(np.interp(x, [-21, -20, -10, 3, 14, 24], [1.0, -1.4, -4.0, -6.0, -4.8, 2.0]))
        y = spine_low + (spine_high - spine_low) * float(chance.uniform(0.05, 0.75))
        lean = float(np.interp(at, [0, 0.25, 0.7, 1], [58, 34, 12, -24])) + float(chance.normal(0, 7))
        length = float(np.interp(at, [0, 0.2, 1], [2.6, 4.4, 3.8])) * float(chance.uniform(0.7, 1.1))
        dx, dy = length * float(np.cos(np.radians(lean))), -length * float(np.sin(np.radians(lean)))
        canvas.drawPath(
            spline([(x, y), (x + dx * 0.55, y + dy * 0.5 - 0.3), (x + dx, y + dy * 0.9)], closed=False),
            paint(tone(0x3A2218 if chance.random() < 0.7 else 0x6A4432, 0.42), blur=0.25, width=0.55),
        )
    return pixels
