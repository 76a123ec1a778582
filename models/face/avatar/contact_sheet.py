"""Draws an avatar so that a person sees in ten seconds whether it is good: box, mask, region, seam, mouth.

frames of the loop with face box, mouth region and mask
the face as the networks see it, and without the half that they draw
the largest seam: before, within, after
how much the picture changes from frame to frame, and how far the lips are apart
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from models.face.avatar.boxes import face_of
from models.face.avatar.changes import changes_of
from models.face.avatar.film import FADE_FRAMES
from models.face.avatar.pack import FACE_PX, AvatarPack
from models.face.avatar.recording import to_rgb
from models.face.avatar.smoothing import Floats
from models.interfaces import BEATS_PER_SECOND, Image

WIDTH_PX = 1_600
_HIGHEST_PX = 3_200
"""Enough for pictures that are twice as high as wide."""
_MARGIN_PX = 32
_GAP_PX = 16
_COLUMNS = 4
_SEAM_TILES = 6
_CHART_HEIGHT_PX = 150
_PAPER = skia.Color(18, 20, 24)
_INK = skia.Color(236, 238, 242)
_QUIET = skia.Color(148, 154, 166)
_BOX = skia.Color(255, 255, 255)
_REGION = skia.Color(255, 184, 77)
_MASK_RGB = (38, 214, 178)
_MASK = skia.Color(*_MASK_RGB)
_SEAM = skia.Color(255, 94, 94)
_MASK_OPACITY = 0.55
_FAMILIES = ("Helvetica Neue", "Segoe UI", "DejaVu Sans", "Arial", "")


def draw_contact_sheet(
    pack: AvatarPack, *, title: str, facts: str, mouth: Floats, open_mouth: float, seams: Sequence[int]
) -> Image:
    """RGB uint8 [H, 1600, 3]. `mouth` [N] and `open_mouth` are heights between the lips by the mouth's width."""
    pen = _Pen()
    pen.text(title, 30, _INK)
    pen.text(facts, 17, _QUIET)
    pen.legend((("face box", _BOX), ("mouth region", _REGION), ("mask", _MASK)))
    chosen = _spread(pack, _COLUMNS)
    pen.row([(_marked(pack, frame), name) for frame, name in chosen])
    pen.heading("What the networks see, and what they are asked to fill")
    pen.row([tile for frame, name in chosen for tile in _network_views(pack, frame, name)])
    changes = changes_of(pack)
    if seams:
        worst = max(seams, key=lambda seam: max(changes[(seam + step) % len(changes)] for step in range(FADE_FRAMES)))
        pen.heading(f"The largest seam, at {worst / BEATS_PER_SECOND:.1f} s: before, faded, after")
        pen.row(_seam_tiles(pack, worst))
    pen.heading("Change of the picture from frame to frame" + (", fades in red" if seams else ""))
    pen.chart(changes, spans=[(seam, seam + FADE_FRAMES) for seam in seams])
    pen.heading(f"Between the lips, by the mouth's width (open above {open_mouth:.2f})")
    pen.chart(mouth[pack.schedule], line=open_mouth)
    return pen.picture()


def _tile_width(columns: int) -> float:
    return (WIDTH_PX - 2 * _MARGIN_PX - (columns - 1) * _GAP_PX) / columns


def _spread(pack: AvatarPack, count: int) -> list[tuple[int, str]]:
    """Frames from all over the schedule, and when they are shown."""
    positions = np.linspace(0, len(pack.schedule), count, endpoint=False).astype(int)
    return [(pack.frame_at(int(at)), f"at {at / BEATS_PER_SECOND:.1f} s") for at in positions]


@dataclass(frozen=True, slots=True, eq=False)
class _Marked:
    """A picture and the lines over it, in its own px."""

    rgb: Image
    lines: tuple[tuple[tuple[float, float, float, float], int], ...] = ()


def _marked(pack: AvatarPack, frame: int) -> _Marked:
    rgb = to_rgb(pack.frames[frame])
    x0, y0, x1, y1 = (float(edge) for edge in pack.boxes[frame])
    across, down = FACE_PX / (x1 - x0), FACE_PX / (y1 - y0)
    matrix = np.array([[across, 0, (0.5 - x0) * across - 0.5], [0, down, (0.5 - y0) * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mask = cv2.warpAffine(pack.masks[frame], matrix, (pack.width_px, pack.height_px), flags=flags)
    share = _MASK_OPACITY * mask[..., None] / 255
    tinted = np.rint(rgb * (1 - share) + np.array(_MASK_RGB) * share).astype(np.uint8)
    x, y = (float(edge) for edge in pack.rois[frame])
    region = (x, y, x + pack.roi_width_px, y + pack.roi_height_px)
    return _Marked(tinted, (((x0, y0, x1, y1), _BOX), (region, _REGION)))


def _network_views(pack: AvatarPack, frame: int, name: str) -> list[tuple[_Marked, str]]:
    face = face_of(to_rgb(pack.frames[frame]), pack.boxes[frame])
    masked = face.copy()
    masked[FACE_PX // 2 :] = 0
    share = pack.masks[frame][..., None] / 255
    shown = np.rint(masked * (1 - share) + np.array(_MASK_RGB) * share).astype(np.uint8)
    return [(_Marked(face), name), (_Marked(shown), "masked, mask")]


def _seam_tiles(pack: AvatarPack, seam: int) -> list[tuple[_Marked, str]]:
    """Squares around the face, from the last frame before the fade to the first one after it."""
    x0, y0, x1, y1 = (float(edge) for edge in pack.boxes[pack.frame_at(seam)])
    half = 0.9 * max(x1 - x0, y1 - y0)
    box = np.array(((x0 + x1) / 2 - half, (y0 + y1) / 2 - half, (x0 + x1) / 2 + half, (y0 + y1) / 2 + half))
    tiles = []
    for step in np.linspace(-1, FADE_FRAMES, _SEAM_TILES).round().astype(int):
        rgb = face_of(to_rgb(pack.frames[pack.frame_at(seam + int(step))]), box.astype(np.float32))
        name = "before" if step < 0 else "after" if step >= FADE_FRAMES else f"fade, frame {step + 1}"
        tiles.append((_Marked(rgb), name))
    return tiles


class _Pen:
    """Writes and draws from top to bottom."""

    def __init__(self) -> None:
        self._pixels = np.zeros((_HIGHEST_PX, WIDTH_PX, 4), np.uint8)
        surface = skia.Surface(self._pixels, colorType=skia.kRGBA_8888_ColorType)
        self._canvas = surface.getCanvas()
        self._surface = surface
        self._canvas.clear(_PAPER)
        self._y = float(_MARGIN_PX)
        self._face = _typeface()

    def picture(self) -> Image:
        self._surface.flushAndSubmit()
        return np.ascontiguousarray(self._pixels[: round(self._y + _MARGIN_PX), :, :3])

    def text(self, text: str, size_px: float, colour: int) -> None:
        """One line; as small as it has to be to fit."""
        font = skia.Font(self._face, size_px)
        wide = font.measureText(text)
        font.setSize(size_px * min(1.0, (WIDTH_PX - 2 * _MARGIN_PX) / max(wide, 1)))
        self._write(text, _MARGIN_PX, self._y + size_px, font, colour)
        self._y += 1.45 * size_px

    def heading(self, text: str) -> None:
        self._y += _GAP_PX
        self.text(text, 18, _INK)
        self._y += 8

    def legend(self, entries: Sequence[tuple[str, int]]) -> None:
        font = skia.Font(self._face, 15)
        x = float(_MARGIN_PX)
        for name, colour in entries:
            swatch = skia.Rect.MakeXYWH(x, self._y + 6, 14, 14)
            self._canvas.drawRoundRect(swatch, 3, 3, skia.Paint(Color=colour, AntiAlias=True))
            self._write(name, x + 22, self._y + 18, font, _QUIET)
            x += 22 + font.measureText(name) + 28
        self._y += 36

    def row(self, tiles: Sequence[tuple[_Marked, str]]) -> None:
        """Pictures side by side, each with a line below it."""
        width = _tile_width(len(tiles))
        height = 0.0
        font = skia.Font(self._face, 14)
        for place, (marked, name) in enumerate(tiles):
            x = _MARGIN_PX + place * (width + _GAP_PX)
            scale = width / marked.rgb.shape[1]
            height = scale * marked.rgb.shape[0]
            self._place(marked, skia.Rect.MakeXYWH(x, self._y, width, height), scale)
            self._write(name, x, self._y + height + 18, font, _QUIET)
        self._y += height + 26

    def _place(self, marked: _Marked, target: "skia.Rect", scale: float) -> None:
        size_px = (max(1, round(target.width())), max(1, round(target.height())))
        scaled = cv2.resize(marked.rgb, size_px, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        rgba = np.dstack((scaled, np.full(scaled.shape[:2], 255, np.uint8)))
        image = skia.Image.fromarray(np.ascontiguousarray(rgba), colorType=skia.kRGBA_8888_ColorType)
        self._canvas.save()
        self._canvas.clipRRect(skia.RRect.MakeRectXY(target, 6, 6), True)
        self._canvas.drawImageRect(image, target, skia.SamplingOptions(skia.FilterMode.kLinear))
        for (x0, y0, x1, y1), colour in marked.lines:
            line = skia.Paint(Color=colour, AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=1.75)
            left, top = target.left() + x0 * scale, target.top() + y0 * scale
            self._canvas.drawRect(
                skia.Rect.MakeLTRB(left, top, left + (x1 - x0) * scale, top + (y1 - y0) * scale), line
            )
        self._canvas.restore()

    def chart(
        self, values: NDArray[np.floating], *, spans: Sequence[tuple[int, int]] = (), line: float | None = None
    ) -> None:
        """Values over the schedule's positions, from zero up."""
        width, height = WIDTH_PX - 2 * _MARGIN_PX, _CHART_HEIGHT_PX - 26
        top = max(float(values.max()), line or 0.0, 1e-6) * 1.1
        frame = skia.Rect.MakeXYWH(_MARGIN_PX, self._y, width, height)
        self._canvas.drawRoundRect(frame, 6, 6, skia.Paint(Color=skia.Color(28, 31, 37), AntiAlias=True))

        def at(place: float, value: float) -> tuple[float, float]:
            return _MARGIN_PX + width * place / max(1, len(values) - 1), self._y + height * (1 - value / top)

        for start, end in spans:
            (left, _), (right, _) = at(start, 0), at(min(end, len(values) - 1), 0)
            span = skia.Rect.MakeLTRB(left, self._y, max(right, left + 2), self._y + height)
            self._canvas.drawRect(span, skia.Paint(Color=skia.ColorSetA(_SEAM, 110)))
        if line is not None:
            stroke = skia.Paint(Color=_REGION, AntiAlias=True, StrokeWidth=1.25)
            self._canvas.drawLine(*at(0, line), *at(len(values) - 1, line), stroke)
        path = skia.Path()
        for place, value in enumerate(values):
            (path.lineTo if place else path.moveTo)(*at(place, float(value)))
        stroke = skia.Paint(Color=_MASK, AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=1.5)
        self._canvas.drawPath(path, stroke)
        font = skia.Font(self._face, 14)
        length = f"{len(values) / BEATS_PER_SECOND:.1f} s"
        self._write("0 s", _MARGIN_PX, self._y + height + 18, font, _QUIET)
        self._write(length, _MARGIN_PX + width - font.measureText(length), self._y + height + 18, font, _QUIET)
        most = f"at most {values.max():.2g}"
        self._write(most, _MARGIN_PX + (width - font.measureText(most)) / 2, self._y + height + 18, font, _QUIET)
        self._y += _CHART_HEIGHT_PX

    def _write(self, text: str, x: float, y: float, font: "skia.Font", colour: int) -> None:
        font.setEdging(skia.Font.Edging.kAntiAlias)
        font.setSubpixel(True)
        self._canvas.drawString(text, x, y, font, skia.Paint(Color=colour, AntiAlias=True))


def _typeface() -> "skia.Typeface":
    """A typeface of this machine; where it has none, one without letters, and the sheet has no words."""
    fonts = skia.FontMgr()
    for family in (*_FAMILIES, None):
        face = fonts.matchFamilyStyle(family, skia.FontStyle.Normal())
        if face is not None and face.unicharsToGlyphs([ord("a")])[0]:
            return face
    return skia.Typeface.MakeEmpty()
