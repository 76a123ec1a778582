"""The host's face without its moving parts: skin, ears, nose and the shadows of the sockets."""

from models.face.host.brush import (
    CENTRE_X,
    Canvas,
    inside,
    linear,
    mirrored,
    oval,
    paint,
    radial,
    spline,
    tone,
)

FACE = spline(
    mirrored(
        [
            (256, 84),
            (214, 90),
            (185, 116),
            (174, 156),
            (172, 196),
            (174, 226),
            (181, 254),
            (196, 283),
            (218, 306),
            (240, 318),
            (256, 320.5),
        ]
    )
)
EYE_OFFSET_X = 37.0
EYE_Y = 203.0
MOUTH_Y = 272.5


def draw_head(canvas: Canvas) -> None:
    _skin(canvas)
    with inside(canvas, FACE):
        _planes(canvas)
        _sockets(canvas)
        _nose(canvas)
        _mouth_surround(canvas)


def draw_ear(canvas: Canvas) -> None:
    """The ear that the hair leaves free, on the light side."""
    ear = spline(
        [
            (181, 194),
            (174, 184),
            (165, 184),
            (160.5, 193),
            (161, 209),
            (165, 225),
            (169.5, 239),
            (175.5, 246),
            (181, 241),
        ]
    )
    canvas.drawPath(
        ear, paint(linear((158, 190), (186, 240), [tone(0xE9B495), tone(0xD59A7D), tone(0xDDA486)]), blur=0.5)
    )
    with inside(canvas, ear):
        canvas.drawPath(
            spline([(178, 193), (170, 190), (166, 200), (168, 218), (173, 234)], closed=False),
            paint(tone(0x9A5A44, 0.50), blur=1.4, width=2.4),
        )
        canvas.drawPath(oval((177, 219), 4, 8), paint(tone(0x8E4F3A, 0.50), blur=2.2))
        canvas.drawPath(
            spline([(164, 188), (162.5, 204), (166.5, 224)], closed=False),
            paint(tone(0xFBDFC8, 0.6), blur=1.0, width=1.6),
        )
        canvas.drawPath(oval((170, 203), 14, 9, tilt_deg=-38), paint(tone(0x5A2E20, 0.42), blur=4))
    canvas.drawPath(
        oval((173.6, 244.5), 2.0, 2.0),
        paint(radial((173, 243.8), 2.2, [tone(0xFFF7E4), tone(0xD9B26A), tone(0x8A6530)])),
    )


def _skin(canvas: Canvas) -> None:
    canvas.drawPath(
        FACE,
        paint(
            radial(
                (232, 178), 170, [tone(0xF3CBAE), tone(0xE9B999), tone(0xD79E7E), tone(0xB97B5E)], [0, 0.42, 0.75, 1.0]
            )
        ),
    )


def _planes(canvas: Canvas) -> None:
    """Light from the upper left: turn of the far cheek, temples, jaw; warmth where blood is near the skin."""
    canvas.drawPath(
        spline([(350, 120), (330, 170), (326, 220), (318, 262), (296, 300), (262, 322), (300, 330), (360, 300)]),
        paint(tone(0xA9664C, 0.52), blur=12),
    )
    canvas.drawPath(
        spline([(166, 150), (180, 200), (184, 240), (200, 284), (226, 308), (180, 320), (150, 240)]),
        paint(tone(0xB8755A, 0.30), blur=8),
    )
    canvas.drawPath(oval((256, 326), 40, 12), paint(tone(0x9A5A44, 0.42), blur=8))
    canvas.drawPath(oval((200, 244), 21, 15, tilt_deg=-18), paint(tone(0xE07F6B, 0.30), blur=10))
    canvas.drawPath(oval((312, 245), 20, 15, tilt_deg=18), paint(tone(0xD06A58, 0.27), blur=10))
    canvas.drawPath(oval((203, 230), 17, 9, tilt_deg=-24), paint(tone(0xFFE6D2, 0.42), blur=6))
    canvas.drawPath(oval((305, 231), 13, 7, tilt_deg=24), paint(tone(0xFFE0C8, 0.22), blur=5))
    canvas.drawPath(oval((240, 138), 42, 20), paint(tone(0xFFE8D4, 0.34), blur=13))
    canvas.drawPath(oval((252, 305), 13, 8), paint(tone(0xFFE3CC, 0.40), blur=5))


def _sockets(canvas: Canvas) -> None:
    for side in (-1, 1):
        x = CENTRE_X + side * EYE_OFFSET_X
        strength = 1.0 if side > 0 else 0.8
        canvas.drawPath(
            oval((x + side * 1, 194), 23, 9, tilt_deg=side * 6), paint(tone(0xA8654D, 0.30 * strength), blur=5.5)
        )
        canvas.drawPath(oval((x - side * 16, 195), 8, 11), paint(tone(0x9C5A45, 0.36 * strength), blur=5))
        canvas.drawPath(oval((x, 218), 20, 5, tilt_deg=side * -4), paint(tone(0xB06E58, 0.20 * strength), blur=4))
        canvas.drawPath(
            oval((x + side * 3, 225), 17, 4, tilt_deg=side * -10), paint(tone(0xFFE6D4, 0.26 * strength), blur=3.5)
        )
        canvas.drawPath(
            oval((x + side * 8, 183), 15, 3.5, tilt_deg=side * 9), paint(tone(0xFFE8D6, 0.32 * strength), blur=3)
        )


def _nose(canvas: Canvas) -> None:
    # bridge: the far side turns away from the light
    canvas.drawPath(
        spline([(262, 186), (264, 205), (266, 224), (272, 240), (277, 236), (271, 214), (268, 190)]),
        paint(tone(0xA0604A, 0.46), blur=4),
    )
    canvas.drawPath(
        spline([(249, 188), (246, 210), (243, 232), (240, 244), (237, 238), (242, 210)]),
        paint(tone(0xB4755B, 0.22), blur=4),
    )
    canvas.drawPath(
        spline([(254, 182), (253, 206), (254, 230), (255, 239), (257.5, 230), (257, 206), (257, 184)]),
        paint(tone(0xFFEEDF, 0.55), blur=2.6),
    )
    # wings and base
    canvas.drawPath(
        spline([(240, 249), (247, 255), (256, 257), (266, 255), (273, 249), (270, 258), (256, 262), (242, 258)]),
        paint(tone(0x9A553F, 0.44), blur=3.2),
    )
    canvas.drawPath(oval((243, 245), 5.5, 5), paint(tone(0xF6CDB2, 0.42), blur=2.2))
    canvas.drawPath(oval((270.5, 246), 5, 5), paint(tone(0xB0694F, 0.30), blur=2.4))
    canvas.drawPath(
        spline([(237.4, 242), (236.4, 247.5), (239.4, 251.5)], closed=False),
        paint(tone(0x8E5540, 0.42), blur=1.1, width=1.7),
    )
    canvas.drawPath(
        spline([(274.8, 242), (275.8, 247.5), (272.8, 251.5)], closed=False),
        paint(tone(0x8E5540, 0.58), blur=1.1, width=1.9),
    )
    for side, alpha in ((-1, 0.70), (1, 0.78)):
        nostril = spline(
            [
                (256 + side * 4.2, 252.2),
                (256 + side * 7.6, 250.2),
                (256 + side * 12.0, 251.6),
                (256 + side * 11.0, 253.9),
                (256 + side * 7.2, 254.2),
            ]
        )
        canvas.drawPath(nostril, paint(tone(0x55261C, alpha), blur=0.9))
    canvas.drawPath(oval((255, 242), 8, 6), paint(tone(0xFBD8C0, 0.55), blur=3))
    canvas.drawPath(oval((253, 239.5), 3.2, 2.6), paint(tone(0xFFF6EC, 0.85), blur=1.5))
    canvas.drawPath(oval((256, 247), 10, 3), paint(tone(0xC0775F, 0.30), blur=2.5))


def _mouth_surround(canvas: Canvas) -> None:
    canvas.drawPath(oval((257.5, 260), 3.0, 4.5), paint(tone(0xA8654D, 0.34), blur=1.8))
    canvas.drawPath(oval((252, 260), 1.6, 4.5), paint(tone(0xFFE6D2, 0.34), blur=1.2))
    canvas.drawPath(
        spline([(236, 251), (228, 260), (224, 270)], closed=False), paint(tone(0xA8654D, 0.22), blur=3, width=3.5)
    )
    canvas.drawPath(
        spline([(277, 251), (285, 260), (289, 270)], closed=False), paint(tone(0x96543E, 0.28), blur=3, width=3.5)
    )
