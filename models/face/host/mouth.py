"""The host's mouth, drawn anew for each picture: lips, teeth, tongue and the dark behind them."""

import skia

from models.face.host.brush import CENTRE_X, Canvas, inside, linear, oval, paint, radial, tone
from models.face.host.lips import (
    LipLine,
    Place,
    edge_path,
    lip_line,
    lower_lip_path,
    opening_path,
    outer_path,
    upper_lip_path,
)
from models.face.pose import Pose


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
        self._corner = paint(tone(0x6A2E26, 0.55), blur=1.5)
        self._under = paint(tone(0x9A5643, 0.50), blur=3.6)

    def draw(self, canvas: Canvas, pose: Pose, place: Place) -> None:
        lips = lip_line(pose)
        gap = lips.lower_edge - lips.upper_edge
        self._skin_around(canvas, pose, lips, place)
        opening = opening_path(lips, place)
        if gap > 0.8:
            with inside(canvas, opening):
                self._inside_mouth(canvas, pose, lips, place)
        upper, lower = upper_lip_path(lips, place), lower_lip_path(lips, place)
        canvas.drawPath(upper, self._upper_lip)
        shader = linear(place(0, lips.lower_edge), place(0, lips.lower_bottom), self._lower_colours)
        canvas.drawPath(lower, paint(shader, blur=0.55))
        self._highlights(canvas, pose, lips, place)
        if gap <= 2.2:
            seam = paint(tone(0x5A201E, 0.82 * min(1.0, 1.4 - gap / 2.2)), blur=0.55, width=1.35)
            canvas.drawPath(edge_path(lips, place), seam)
        for side in (-1, 1):
            canvas.drawPath(oval(place(side * (lips.half_width + 0.3), lips.corner_y), 2.0, 1.5), self._corner)

    def _skin_around(self, canvas: Canvas, pose: Pose, lips: LipLine, place: Place) -> None:
        x, y = place(0.5, lips.lower_bottom + 4.2)
        canvas.drawPath(oval((x, y), 13, 3.2), self._under)
        canvas.drawPath(outer_path(lips, place), self._outline)
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
        lower_row = min(1.0, max(mouth.teeth, 0.9 * (mouth.opening - 0.45)))
        if lower_row > 0:
            top = edge + 1.0 - 5.6 * lower_row
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
        canvas.drawPath(edge_path(lips, place), self._teeth_shade)

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
