"""What is drawn for the camera: the still card, and the discreet sign on a picture that stands still."""

import cv2
import numpy as np
import skia

from models.face.host.brush import Canvas, box, canvas_on, linear, oval, paint, radial, tone
from models.interfaces import Image
from peer_local.on_air.framing import darken, planes_of, size_of

_HEIGHT_UNITS = 720.0
"""Everything is designed for a picture of this height and scaled to the camera's."""
_FAMILIES = (
    "Inter",
    "Segoe UI",
    "SF Pro Text",
    "Helvetica Neue",
    "Noto Sans",
    "Liberation Sans",
    "Arial",
    "DejaVu Sans",
)
_TEXT_SIZE = 58.0
_TEXT_WIDTH_SHARE = 0.78
_DITHER = 1.5
"""Standard deviation of the noise that keeps the dark gradients from showing bands."""


def draw_card(width_px: int, height_px: int, text: str, *, name: str = "") -> Image:
    """A calm still picture, I420 of the given size: `text` under a small sign, `name` below it in small letters.

    Without a font that has the letters of `text` only the sign is drawn.
    """
    pixels = np.zeros((height_px, width_px, 4), np.uint8)
    scale = height_px / _HEIGHT_UNITS
    width = width_px / scale
    canvas = canvas_on(pixels, scale)
    middle = width / 2
    canvas.drawPaint(paint(linear((0, 0), (width * 0.55, 720), [tone(0x2B3A4A), tone(0x22303E), tone(0x1A222D)])))
    canvas.drawPaint(paint(radial((width * 0.2, 60), width * 0.62, [tone(0x6D8FA6, 0.42), tone(0x6D8FA6, 0.0)])))
    canvas.drawPaint(paint(radial((width * 0.88, 760), width * 0.5, [tone(0xC08A6A, 0.36), tone(0xC08A6A, 0.0)])))
    noise = np.random.default_rng(1).normal(0, _DITHER, (height_px, width_px, 3))
    pixels[..., :3] = np.clip(pixels[..., :3] + noise, 0, 255).astype(np.uint8)
    lines = _lines(text, width * _TEXT_WIDTH_SHARE)
    sign_y = 292.0 - 36 * (len(lines) - 1)
    baseline = sign_y + 112
    _dots(canvas, (middle, sign_y))
    for line, font in lines:
        canvas.drawString(line, middle - font.measureText(line) / 2, baseline, font, paint(tone(0xF4F1EA, 0.96)))
        baseline += font.getSize() * 1.25
    if name and lines:
        font = _font(name, 27)
        if font is not None:
            left = middle - font.measureText(name) / 2
            canvas.drawString(name, left, baseline - 8, font, paint(tone(0xC9D3DA, 0.72)))
    return _i420(pixels)


def _dots(canvas: Canvas, centre: tuple[float, float]) -> None:
    """Three soft dots: somebody is about to go on."""
    for step, opacity in ((-1, 0.9), (0, 0.6), (1, 0.32)):
        canvas.drawPath(oval((centre[0] + step * 38, centre[1]), 10, 10), paint(tone(0xF1C9A5, opacity)))


class FreezeSign:
    """Marks a picture that stands still: a little darker, with a small label whose dot pulses softly.

    For pictures of one size and one thread. Budget at 1280x720: 0.5 ms while the picture stays the same.
    """

    _PULSE_S = 2.0
    _PHASES = 24
    _DARKER = 0.22

    def __init__(self, width_px: int, height_px: int, text: str = "Reconnecting") -> None:
        self._labels = [self._label(width_px, height_px, text, step / self._PHASES) for step in range(self._PHASES)]
        self._dark: tuple[Image, Image] | None = None

    def on(self, image: Image, at_s: float) -> Image:
        """`image`, I420 of the sign's size, as it is shown at `at_s`."""
        if self._dark is None or self._dark[0] is not image:
            self._dark = (image, darken(image, self._DARKER))
        shown = self._dark[1].copy()
        label = self._labels[int(at_s / self._PULSE_S * self._PHASES) % self._PHASES]
        label.blend(shown)
        return shown

    def _label(self, width_px: int, height_px: int, text: str, phase: float) -> "_Patch":
        scale = height_px / _HEIGHT_UNITS
        font = _font(text, 25)
        width = 64 + (font.measureText(text) if font is not None else -16)
        pixels = np.zeros((_even(52 * scale), _even(width * scale), 4), np.uint8)
        canvas = canvas_on(pixels, scale)
        canvas.drawRoundRect(box(0.5, 0.5, width - 0.5, 51.5), 25.5, 25.5, paint(tone(0x11161C, 0.62)))
        glow = 0.5 - 0.5 * float(np.cos(2 * np.pi * phase))
        canvas.drawPath(oval((27, 26), 11, 11), paint(tone(0xF1C9A5, 0.22 * glow), blur=3))
        canvas.drawPath(oval((27, 26), 6, 6), paint(tone(0xF1C9A5, 0.4 + 0.55 * glow)))
        if font is not None:
            canvas.drawString(text, 45, 34.5, font, paint(tone(0xF4F1EA, 0.9)))
        left_px = _even((width_px - pixels.shape[1]) / 2)
        return _Patch(pixels, left_px, _even(height_px - pixels.shape[0] - 36 * scale))


class _Patch:
    """A small picture with soft edges, blended into I420 pictures at an even place."""

    def __init__(self, premultiplied: Image, left_px: int, top_px: int) -> None:
        height_px, width_px = premultiplied.shape[:2]
        alpha = premultiplied[..., 3].astype(np.float32) / 255
        colour = premultiplied[..., :3] / np.maximum(alpha, 1 / 255)[..., None]
        i420 = cv2.cvtColor(np.clip(colour, 0, 255).astype(np.uint8), cv2.COLOR_RGB2YUV_I420)
        small = cv2.resize(alpha, (width_px // 2, height_px // 2), interpolation=cv2.INTER_AREA)
        self._planes = [
            (plane * share, 1 - share) for plane, share in zip(planes_of(i420), (alpha, small, small), strict=True)
        ]
        self._left_px, self._top_px = left_px, top_px

    def blend(self, image: Image) -> None:
        """Draw into `image`."""
        for plane, (light, rest), share in zip(planes_of(image), self._planes, (1, 2, 2), strict=True):
            top, left = self._top_px // share, self._left_px // share
            under = plane[top : top + light.shape[0], left : left + light.shape[1]]
            under[:] = np.rint(light + under * rest).astype(np.uint8)


def _even(length_px: float) -> int:
    return max(2, round(length_px / 2) * 2)


def _i420(pixels: Image) -> Image:
    image = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2YUV_I420), np.uint8)
    size_of(image)
    return image


def _font(text: str, size: float) -> "skia.Font | None":
    """A font that has every letter of `text`, None when the machine has none."""
    fonts = skia.FontMgr()
    style = skia.FontStyle.Normal()
    faces = [fonts.matchFamilyStyle(family, style) for family in (*_FAMILIES, None)]
    letters = [letter for letter in text if not letter.isspace()]
    faces += [fonts.matchFamilyStyleCharacter("", style, [], ord(letter)) for letter in letters[:1]]
    for face in faces:
        if face is not None and all(face.unicharsToGlyphs([ord(letter) for letter in letters])):
            font = skia.Font(face, size)
            font.setSubpixel(True)
            font.setEdging(skia.Font.Edging.kAntiAlias)
            font.setHinting(skia.FontHinting.kNone)
            return font
    return None


def _lines(text: str, width: float) -> list[tuple[str, "skia.Font"]]:
    """`text` in one line, or two of about equal length when it is long, as large as fits `width`."""
    text = " ".join(text.split())
    font = _font(text, _TEXT_SIZE)
    if font is None or not text:
        return []
    lines = [text]
    if font.measureText(text) > width and " " in text:
        cuts = [place for place, letter in enumerate(text) if letter == " "]
        cut = min(cuts, key=lambda place: abs(place - len(text) / 2))
        lines = [text[:cut], text[cut + 1 :]]
    widest = max(font.measureText(line) for line in lines)
    font.setSize(_TEXT_SIZE * min(1.0, width / widest))
    return [(line, font) for line in lines]
