"""The host's hair: the mass behind the neck, and the parted front that frames the face."""

import numpy as np
import skia
from numpy.random import Generator

from models.face.host.brush import Canvas, Path, Point, inside, linear, oval, paint, resampled, spline, tone

_BASE = 0x3A2219
_DARK = 0x1F110C
_MID = 0x5B3826
_LIGHT = 0x8E5E3E
_GLINT = 0xC79263

Guide = tuple[Point, ...]

_BACK = spline(
    [
        (256, 70),
        (178, 92),
        (147, 148),
        (139, 208),
        (145, 262),
        (139, 308),
        (147, 356),
        (170, 392),
        (206, 404),
        (256, 396),
        (312, 404),
        (346, 392),
        (366, 350),
        (372, 290),
        (374, 210),
        (366, 150),
        (338, 96),
    ]
)
# The sweep over the forehead to the right, then down in front of the shoulder.
_SWEEP_OUTER: Guide = (
    (239, 63),
    (266, 56),
    (302, 59),
    (338, 80),
    (363, 118),
    (374, 166),
    (377, 216),
    (387, 262),
    (392, 304),
    (384, 346),
    (381, 384),
    (386, 416),
    (376, 446),
    (356, 462),
)
_SWEEP_INNER: Guide = (
    (239, 66),
    (241, 92),
    (258, 108),
    (286, 121),
    (310, 141),
    (325, 167),
    (333, 198),
    (336, 230),
    (343, 266),
    (345, 304),
    (335, 342),
    (331, 380),
    (338, 414),
    (346, 440),
    (356, 462),
)
# Two thinner locks that give the sweep its soft end.
_LOCKS: tuple[tuple[Guide, Guide], ...] = (
    (
        ((348, 236), (356, 290), (352, 334), (342, 372), (344, 408), (346, 436), (330, 458)),
        ((336, 222), (340, 290), (332, 330), (321, 366), (319, 400), (324, 432), (330, 458)),
    ),
    (
        ((376, 222), (393, 270), (400, 314), (392, 356), (391, 394), (398, 420), (392, 444)),
        ((360, 232), (374, 284), (380, 326), (370, 366), (368, 402), (378, 430), (392, 444)),
    ),
)
# The other side, tucked behind the ear.
_TUCK_OUTER: Guide = (
    (239, 63),
    (208, 59),
    (176, 75),
    (152, 109),
    (142, 152),
    (139.5, 194),
    (143, 222),
    (151, 248),
)
_TUCK_INNER: Guide = (
    (239, 66),
    (236, 92),
    (220, 106),
    (202, 123),
    (189, 145),
    (181, 168),
    (174, 189),
    (164, 206),
    (158, 224),
    (151, 248),
)


def draw_hair_behind(canvas: Canvas) -> None:
    canvas.drawPath(
        _BACK, paint(linear((140, 0), (374, 0), [tone(0x4A2D20), tone(_DARK), tone(_DARK), tone(0x2C1911)]))
    )
    chance = np.random.default_rng(5)
    left_outer = ((150, 140), (142, 200), (143, 262), (151, 326), (164, 392))
    left_inner = ((196, 120), (192, 200), (196, 262), (200, 326), (206, 400))
    right_outer = ((362, 140), (372, 200), (372, 262), (366, 326), (354, 392))
    right_inner = ((318, 120), (322, 200), (318, 262), (314, 326), (308, 400))
    with inside(canvas, _BACK):
        _strands(canvas, left_outer, left_inner, 190, chance, light=0.55)
        _strands(canvas, right_outer, right_inner, 120, chance, light=0.3)
        canvas.drawPath(oval((256, 300), 74, 110), paint(tone(0x120906, 0.6), blur=18))


def draw_hair_shadow(canvas: Canvas, face: Path) -> None:
    """What the front hair throws on forehead and cheek."""
    with inside(canvas, face):
        canvas.save()
        canvas.translate(0, 5)
        canvas.drawPath(spline(_SWEEP_INNER[1:10], closed=False), paint(tone(0x6B3626, 0.50), blur=6, width=13))
        canvas.drawPath(spline(_TUCK_INNER[1:6], closed=False), paint(tone(0x7A4231, 0.40), blur=5, width=10))
        canvas.restore()


def draw_hair_tucked(canvas: Canvas) -> None:
    """The side that goes behind the ear."""
    _lock(canvas, _TUCK_OUTER, _TUCK_INNER, 320, np.random.default_rng(11), light=1.0)
    _shine(canvas, _TUCK_OUTER, _TUCK_INNER, 0.30, 0.34)


def draw_hair_swept(canvas: Canvas) -> None:
    """The side that sweeps over forehead and cheek and falls on the shoulder."""
    chance = np.random.default_rng(17)
    canvas.saveLayer(None, None)
    for outer, inner in _LOCKS:
        _lock(canvas, outer, inner, 110, chance, light=0.6)
    _lock(canvas, _SWEEP_OUTER, _SWEEP_INNER, 520, chance, light=0.85)
    for outer, inner in (*_LOCKS, (_SWEEP_OUTER, _SWEEP_INNER)):
        _thin_out(canvas, outer, inner, chance)
        _tip(canvas, outer, inner, chance)
    canvas.restore()
    _shine(canvas, _SWEEP_OUTER, _SWEEP_INNER, 0.21, 0.36)
    _shine(canvas, _SWEEP_OUTER, _SWEEP_INNER, 0.60, 0.22)
    _flyaways(canvas, chance)


def _lock(canvas: Canvas, outer: Guide, inner: Guide, count: int, chance: Generator, *, light: float) -> None:
    lock = spline(outer, list(reversed(inner)))
    top, bottom = outer[0][1], outer[-1][1]
    fill = linear((200, top), (300, bottom), [tone(_MID), tone(_BASE), tone(_BASE), tone(0x4A2C1E)])
    canvas.drawPath(lock, paint(fill, blur=0.5))
    with inside(canvas, lock):
        _strands(canvas, outer, inner, count, chance, light=light)
        canvas.drawPath(spline(inner, closed=False), paint(tone(_DARK, 0.50), blur=4, width=9))
        canvas.drawPath(spline(outer, closed=False), paint(tone(_DARK, 0.40), blur=5, width=9))


def _strands(canvas: Canvas, outer: Guide, inner: Guide, count: int, chance: Generator, *, light: float) -> None:
    """Strands between two guides: broad soft ones that give form, then `count` fine ones."""
    steps = 22
    edge, other = resampled(outer, steps), resampled(inner, steps)
    along = np.linspace(0, 1, steps)[:, None]
    for number in range(count + 46):
        broad = number < 46
        u = float(chance.beta(1.0, 1.0))
        wave = 0.025 * np.sin(along * 6 + u * 11) + float(chance.normal(0, 0.04)) * along
        mix = np.clip(u + wave, 0.01, 0.99)
        line = edge * (1 - mix) + other * mix
        first = 0 if broad else int(chance.integers(0, 5))
        last = steps if broad else int(chance.integers(steps - 7, steps + 1))
        points = [(float(x), float(y)) for x, y in line[first:last]]
        belly = 1 - (2 * u - 1) ** 2
        roll = float(chance.random())
        if roll < 0.42 - 0.22 * belly:
            colour, alpha = _DARK, 0.30
        elif roll < 0.72:
            colour, alpha = _MID, 0.34
        elif roll < 0.93:
            colour, alpha = _LIGHT, 0.26 * light * (0.4 + 0.6 * belly)
        else:
            colour, alpha = _GLINT, 0.26 * light * (0.3 + 0.7 * belly)
        width = float(chance.uniform(2.5, 6.0)) if broad else float(chance.uniform(0.4, 1.15))
        blur = 1.8 if broad else 0.3
        stroke = paint(tone(colour, alpha * (0.7 if broad else 1.0)), blur=blur, width=width)
        canvas.drawPath(spline(points, closed=False), stroke)


def _thin_out(canvas: Canvas, outer: Guide, inner: Guide, chance: Generator) -> None:
    """Let light through between the hairs at the end of a lock."""
    edge, other = resampled(outer[-4:], 14), resampled(inner[-4:], 14)
    for _ in range(18):
        u = float(chance.beta(0.6, 0.6))
        line = (edge * (1 - u) + other * u)[int(chance.integers(5, 12)) :]
        points = [(float(x) + 0.4 * index * (u - 0.5), float(y) + 0.9 * index) for index, (x, y) in enumerate(line)]
        if len(points) > 2:
            width = float(chance.uniform(0.5, 2.0))
            clear = paint(tone(0x000000, 0.65), blur=0.5, width=width, blend=skia.BlendMode.kDstOut)
            canvas.drawPath(spline(points, closed=False), clear)


def _tip(canvas: Canvas, outer: Guide, inner: Guide, chance: Generator) -> None:
    """Single hairs that run out of the end of a lock, so that it is not cut from paper."""
    edge, other = resampled(outer[-5:], 14), resampled(inner[-5:], 14)
    for _ in range(60):
        u = float(chance.uniform(0.0, 1.0))
        start = int(chance.integers(0, 6))
        end = int(chance.integers(9, 15))
        spread = np.linspace(0, 1, 14)[:, None] ** 2 * np.array([(0.5 - u) * 13, float(chance.uniform(-6, 4))])
        line = (edge * (1 - u) + other * u + spread)[start:end]
        points = [(float(x), float(y)) for x, y in line]
        colour = _MID if chance.random() < 0.6 else _BASE
        canvas.drawPath(
            spline(points, closed=False), paint(tone(colour, 0.55), blur=0.3, width=float(chance.uniform(0.5, 1.2)))
        )


def _shine(canvas: Canvas, outer: Guide, inner: Guide, centre: float, alpha: float) -> None:
    """A band of light across a lock, broken into strands; `centre` is its place along the lock in [0, 1]."""
    chance = np.random.default_rng(3)
    steps = 60
    edge, other = resampled(outer, steps), resampled(inner, steps)
    for _ in range(110):
        u = float(chance.uniform(0.08, 0.92))
        length = float(chance.uniform(0.03, 0.12))
        middle = centre + float(chance.normal(0, 0.028)) + 0.05 * (u - 0.5)
        picked = slice(max(0, int((middle - length) * steps)), int((middle + length) * steps))
        points = [(float(x), float(y)) for x, y in edge[picked] * (1 - u) + other[picked] * u]
        if len(points) > 2:
            strength = alpha * (1 - (2 * u - 1) ** 2)
            width = float(chance.uniform(0.5, 1.9))
            canvas.drawPath(spline(points, closed=False), paint(tone(_GLINT, 0.8 * strength), blur=0.8, width=width))


def _flyaways(canvas: Canvas, chance: Generator) -> None:
    for outer in (_SWEEP_OUTER, _TUCK_OUTER):
        guide = resampled(outer, 30)
        for _ in range(16):
            start = int(chance.integers(2, 18))
            away = float(chance.uniform(0.6, 3.0))
            span = guide[start : start + int(chance.integers(6, 11))]
            centre = np.array([256.0, 220.0])
            outward = (span - centre) / np.linalg.norm(span - centre, axis=1, keepdims=True)
            bow = np.sin(np.linspace(0, np.pi, len(span)))[:, None]
            points = [(float(x), float(y)) for x, y in span + outward * bow * away]
            canvas.drawPath(spline(points, closed=False), paint(tone(_MID, 0.35), blur=0.4, width=0.7))
