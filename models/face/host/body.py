"""Neck, blouse and jacket of the host."""

import skia

from models.face.host.brush import Canvas, Path, inside, linear, oval, paint, spline, tone

_RAISED_UNITS = -12.0
"""The body is drawn this much higher than its outlines say."""

_NECK = spline(
    [(213, 250), (214, 300), (212, 344), (203, 370), (176, 390)],
    [(176, 390), (214, 440), (256, 470), (300, 440), (340, 390)],
    [(340, 390), (311, 370), (300, 344), (298, 300), (299, 250)],
)
_BLOUSE = spline(
    [(196, 378), (214, 398), (256, 412), (298, 398), (318, 378)],
    [(318, 378), (336, 410), (330, 556)],
    [(330, 556), (180, 556)],
    [(180, 556), (176, 410), (196, 378)],
)
_JACKET_LEFT = spline(
    [(199, 366), (168, 384), (118, 402), (72, 420), (46, 452), (30, 500), (22, 560)],
    [(22, 560), (262, 560)],
    [(262, 560), (246, 512), (222, 456), (203, 410), (199, 366)],
)
_JACKET_RIGHT = spline(
    [(315, 366), (346, 384), (396, 402), (440, 420), (466, 452), (482, 500), (490, 560)],
    [(490, 560), (252, 560)],
    [(252, 560), (268, 512), (292, 456), (311, 410), (315, 366)],
)
_LAPEL_LEFT = spline(
    [(199, 364), (184, 382), (170, 416)],
    [(170, 416), (163, 428), (158, 446)],
    [(158, 446), (178, 452)],
    [(178, 452), (176, 462), (206, 508), (244, 546)],
    [(244, 546), (254, 530)],
    [(254, 530), (228, 474), (206, 420), (199, 364)],
)
_LAPEL_RIGHT = spline(
    [(315, 364), (330, 382), (344, 416)],
    [(344, 416), (351, 428), (356, 446)],
    [(356, 446), (336, 452)],
    [(336, 452), (338, 462), (308, 508), (270, 546)],
    [(270, 546), (260, 530)],
    [(260, 530), (286, 474), (308, 420), (315, 364)],
)


def draw_body(canvas: Canvas) -> None:
    canvas.save()
    canvas.translate(0, _RAISED_UNITS)
    _neck(canvas)
    _blouse(canvas)
    _jacket(canvas)
    canvas.restore()
    _shadow_of_hair(canvas)


def _shadow_of_hair(canvas: Canvas) -> None:
    """Below the lock that falls on the far shoulder."""
    with inside(canvas, _jacket_outline()):
        lock = spline([(322, 340), (322, 400), (330, 450), (352, 472), (392, 458), (402, 420), (398, 370), (380, 340)])
        canvas.drawPath(lock, paint(tone(0x08131A, 0.55), blur=6))


def _neck(canvas: Canvas) -> None:
    canvas.drawPath(_NECK, paint(linear((205, 0), (310, 0), [tone(0xDCA586), tone(0xE2AE8F), tone(0xB87A5D)])))
    with inside(canvas, _NECK):
        canvas.drawPath(oval((262, 316), 58, 44), paint(tone(0x7A4433, 0.62), blur=13))
        canvas.drawPath(oval((268, 328), 40, 24), paint(tone(0x6B3A2C, 0.40), blur=9))
        # sterno-mastoid muscles and the hollow of the throat
        canvas.drawPath(
            spline([(296, 322), (284, 362), (266, 394)], closed=False), paint(tone(0x9A5F49, 0.34), blur=4, width=7)
        )
        canvas.drawPath(
            spline([(219, 330), (230, 368), (247, 396)], closed=False), paint(tone(0xF3CDB2, 0.38), blur=4, width=7)
        )
        canvas.drawPath(oval((257, 402), 11, 9), paint(tone(0x9A5F49, 0.40), blur=5))
        canvas.drawPath(
            spline([(206, 392), (230, 398), (248, 404)], closed=False), paint(tone(0xF6D6BD, 0.45), blur=3, width=4)
        )
        canvas.drawPath(
            spline([(268, 404), (288, 398), (312, 390)], closed=False), paint(tone(0xE9BC9E, 0.40), blur=3, width=4)
        )
        canvas.drawPath(oval((320, 352), 22, 60), paint(tone(0x6B3A2C, 0.35), blur=12))


def _blouse(canvas: Canvas) -> None:
    with inside(canvas, _NECK):
        canvas.drawPath(
            spline([(196, 376), (214, 396), (256, 410), (298, 396), (318, 376)], closed=False),
            paint(tone(0x7A4433, 0.5), blur=3.5, width=6),
        )
    canvas.drawPath(_BLOUSE, paint(linear((190, 380), (320, 500), [tone(0xF6EEE2), tone(0xE9DDCD), tone(0xC6B6A4)])))
    with inside(canvas, _BLOUSE):
        canvas.drawPath(
            spline([(196, 384), (214, 404), (256, 418), (298, 404), (318, 384)], closed=False),
            paint(tone(0xB5A18C, 0.55), blur=0.8, width=1.4),
        )
        for run, alpha in (
            (((236, 420), (238, 460), (250, 512)), 0.30),
            (((284, 412), (272, 460), (268, 520)), 0.36),
            (((212, 404), (224, 450), (244, 500)), 0.30),
            (((258, 424), (256, 470), (258, 530)), 0.16),
        ):
            canvas.drawPath(spline(run, closed=False), paint(tone(0x9C8874, alpha), blur=3.5, width=7))
        canvas.drawPath(oval((306, 440), 26, 70), paint(tone(0x8A7562, 0.42), blur=11))
        canvas.drawPath(oval((202, 430), 12, 60), paint(tone(0x8A7562, 0.30), blur=7))


def _jacket_outline() -> Path:
    outline = skia.Path(_JACKET_RIGHT)
    outline.offset(0, _RAISED_UNITS)
    return outline


def _jacket(canvas: Canvas) -> None:
    for side, path in ((-1, _JACKET_LEFT), (1, _JACKET_RIGHT)):
        colours = (
            [tone(0x3F6470), tone(0x2E4D59), tone(0x213B46)]
            if side < 0
            else [tone(0x345561), tone(0x284551), tone(0x1A2F39)]
        )
        canvas.drawPath(path, paint(linear((256 + side * 60, 370), (256 + side * 200, 556), colours)))
        with inside(canvas, path):
            canvas.drawPath(
                oval((256 + side * 150, 410), 70, 15, tilt_deg=side * 17),
                paint(tone(0x6C93A0, 0.40 if side < 0 else 0.22), blur=11),
            )
            sleeve = [(256 + side * 172, 424), (256 + side * 162, 470), (256 + side * 164, 560)]
            canvas.drawPath(spline(sleeve, closed=False), paint(tone(0x0F1E26, 0.55), blur=3.5, width=5))
            canvas.drawPath(oval((256 + side * 178, 520), 10, 60), paint(tone(0x5B8290, 0.22), blur=8))
            for run, alpha in (
                (((256 + side * 120, 430), (256 + side * 96, 480), (256 + side * 70, 560)), 0.30),
                (((256 + side * 156, 470), (256 + side * 120, 510), (256 + side * 104, 560)), 0.30),
            ):
                canvas.drawPath(spline(run, closed=False), paint(tone(0x0F1E26, alpha), blur=6, width=12))
    for side, lapel in ((-1, _LAPEL_LEFT), (1, _LAPEL_RIGHT)):
        canvas.save()
        canvas.translate(side * 3, 4)
        canvas.drawPath(lapel, paint(tone(0x0C181F, 0.55), blur=4))
        canvas.restore()
        colours = [tone(0x4A717D), tone(0x33535F)] if side < 0 else [tone(0x3B5C68), tone(0x263F4A)]
        canvas.drawPath(lapel, paint(linear((256 + side * 58, 370), (256 + side * 20, 556), colours)))
        with inside(canvas, lapel):
            canvas.drawPath(lapel, paint(tone(0x8FB0B9, 0.35 if side < 0 else 0.2), blur=0.7, width=1.6))
            fold = [(256 + side * 57, 364), (256 + side * 52, 420), (256 + side * 28, 474), (256 + side * 4, 530)]
            canvas.drawPath(spline(fold, closed=False), paint(tone(0x0F1E26, 0.35), blur=5, width=9))
        seam = [(256 + side * 60, 396), (256 + side * 84, 420)]
        canvas.drawPath(spline(seam, closed=False), paint(tone(0x0F1E26, 0.55), blur=0.6, width=1.3))
