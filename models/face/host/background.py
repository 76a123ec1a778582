"""The room behind the host: a calm wall in warm light, a shelf and a plant, all out of focus."""

import cv2
import numpy as np

from models.face.host.brush import DESIGN_UNITS, Canvas, box, canvas_on, linear, oval, paint, radial, spline, tone
from models.interfaces import Image

_DEFOCUS_UNITS = 5.0
_BOOKS = (
    (9, 58, 0x8A5A44),
    (11, 66, 0x47606B),
    (8, 52, 0xC9A46A),
    (12, 62, 0x6E7A5E),
    (7, 70, 0xA8483E),
    (10, 56, 0xDDCDB2),
    (9, 64, 0x3F4E5C),
)


def background(size_px: int) -> Image:
    """The room as opaque RGBA uint8 [size_px, size_px, 4]."""
    pixels = np.zeros((size_px, size_px, 4), np.uint8)
    canvas = canvas_on(pixels, size_px / DESIGN_UNITS)
    _wall(canvas)
    _shelf(canvas)
    _plant(canvas)
    blurred = cv2.GaussianBlur(pixels, (0, 0), _DEFOCUS_UNITS * size_px / DESIGN_UNITS)
    canvas = canvas_on(blurred, size_px / DESIGN_UNITS)
    _light(canvas)
    return np.asarray(blurred, np.uint8)


def _wall(canvas: Canvas) -> None:
    canvas.drawPaint(paint(linear((0, 0), (512, 380), [tone(0xD6CCBA), tone(0xB9B4A2), tone(0x8F9186)])))
    for x in (30, 150, 420):
        canvas.drawLine(x, 0, x, 512, paint(tone(0x6F6A5C, 0.16), width=3))
    canvas.drawRect(box(0, 430, 512, 512), paint(linear((0, 430), (0, 512), [tone(0x8A7762), tone(0x5F5146)])))


def _shelf(canvas: Canvas) -> None:
    canvas.drawRect(
        box(352, 0, 512, 330), paint(linear((352, 0), (512, 0), [tone(0x74604C, 0.55), tone(0x5C4A3B, 0.7)]))
    )
    for y in (108, 224, 330):
        canvas.drawRect(box(346, y, 512, y + 9), paint(linear((0, y), (0, y + 9), [tone(0xB58A5E), tone(0x7D5A3B)])))
        canvas.drawRect(box(352, y + 9, 512, y + 24), paint(tone(0x2E241C, 0.28)))
    x = 400.0
    for width, height, colour in _BOOKS:
        canvas.drawRect(box(x, 224 - height, x + width, 224), paint(tone(colour)))
        x += width + 1.5
    x = 420.0
    for width, height, colour in reversed(_BOOKS[:6]):
        canvas.drawRect(box(x, 108 - height, x + width * 1.2, 108), paint(tone(colour, 0.9)))
        x += width * 1.2 + 1.5
    canvas.drawPath(oval((436, 304), 19, 26), paint(radial((428, 292), 44, [tone(0xE9DCC6), tone(0x9C8064)])))
    canvas.drawRect(box(468, 268, 500, 330), paint(linear((468, 0), (500, 0), [tone(0x5A7078), tone(0x384850)])))


def _plant(canvas: Canvas) -> None:
    canvas.drawPath(
        spline([(26, 448), (92, 448)], [(92, 448), (84, 512)], [(84, 512), (34, 512)]),
        paint(linear((26, 0), (92, 0), [tone(0xD9B79A), tone(0x9B6F53)])),
    )
    leaves = (
        ((58, 440), (20, 372), (8, 300), 0x4E6B4F),
        ((60, 440), (44, 350), (62, 268), 0x5F7F5A),
        ((60, 440), (92, 360), (128, 312), 0x6C8B62),
        ((58, 440), (4, 400), (-18, 372), 0x3E5743),
        ((62, 440), (104, 398), (138, 382), 0x547454),
        ((60, 440), (70, 380), (98, 268), 0x47644B),
    )
    for base, middle, tip, colour in leaves:
        side = 15 if tip[0] > base[0] else -15
        canvas.drawPath(
            spline(
                [base, (middle[0] - side, middle[1]), tip],
                [tip, (middle[0] + side, middle[1] + 12), base],
            ),
            paint(linear(base, tip, [tone(colour), tone(0xA9BE8B)])),
        )


def _light(canvas: Canvas) -> None:
    canvas.drawPaint(paint(radial((40, 40), 380, [tone(0xFFE9C4, 0.55), tone(0xFFE3B8, 0.18), tone(0xFFE0B0, 0.0)])))
    canvas.drawPaint(paint(radial((256, 230), 420, [tone(0x241C18, 0.0), tone(0x241C18, 0.06), tone(0x241C18, 0.34)])))
    for x, y, radius, alpha in ((96, 92, 17, 0.10), (60, 150, 12, 0.08), (128, 44, 10, 0.09), (30, 210, 9, 0.06)):
        canvas.drawPath(oval((x, y), radius, radius), paint(tone(0xFFF3DA, alpha), blur=1.2))
