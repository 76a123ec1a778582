"""How lips and jaw move: the movements that every mouth shape is a sum of, for the upper and for the lower lip.

Beyond the corners of the mouth both lips move alike, so that nothing tears there. Lengths are in eye distances (63 mm).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.face.mouth_shape import MouthShape
from models.face.puppet.field import Field, Region, smooth
from models.face.puppet.lips import MouthLines

Floats = NDArray[np.float32]

JAW_DROP = 0.27
"""How far the lower lip goes down at full opening: 17 mm."""
_CHIN_SHARE = 0.88
"""The chin follows this share of the lower lip's way."""
_JAW_HALF_WIDTH = 0.98
"""Beside the middle the jaw moves less and less, and not at all from here on."""
_UPPER_CLOSES = 0.3
"""Of a gap between the lips in the photo: what the upper lip's share is in closing it."""
_SURELY_SHUT = 0.02
"""How much further than to each other closing lips go: what is between them in the photo must not be left over."""
_GRIN = 0.15
"""The gap between the lips of a broad smile."""
_ROUND_SHARE = 0.7
"""A round mouth opens over this share of the line of the lips; toward the corners they stay together."""


class _Moves(NamedTuple):
    """One number, or one field, for each movement."""

    drop: object = None
    """The jaw goes down, the lips part over their whole width."""
    round_drop: object = None
    """The same, and they part in the middle only."""
    lift: object = None
    """The upper lip goes up."""
    spread: object = None
    """The corners go apart."""
    pucker: object = None
    """The lips get thicker."""
    close: object = None
    """The gap that the photo shows is closed."""
    corners: object = None
    """The corners go down."""
    swell: object = None
    """The lower lip alone gets thicker."""


def drop_px(lines: MouthLines, mouth: MouthShape, talk: float) -> float:
    """How far down the jaw is in the sheet; lips that are still as far apart as in the photo need it less."""
    drop = (mouth.opening + 0.16 * mouth.teeth + 0.11 * mouth.rounding) * (1 - mouth.press)
    drop = JAW_DROP * (drop * (1 - 0.85 * mouth.bite) + 0.02 * mouth.bite)
    return max(0.0, drop - lines.gap * (1 - _closed(lines, mouth, talk))) * lines.eye_distance


def _closed(lines: MouthLines, mouth: MouthShape, talk: float) -> float:
    """How much of the gap that the photo shows between the lips is closed."""
    return max(talk, mouth.press) if lines.parted else 0.0


def amounts(lines: MouthLines, mouth: MouthShape, talk: float) -> Floats:
    """How much of each movement a shape is; `talk` is 1 when the parted lips of the photo are given up for talking."""
    free = 1 - mouth.press
    drop = drop_px(lines, mouth, talk)
    lift = (0.13 * mouth.opening + 0.12 * mouth.teeth + 0.15 * mouth.bite) * free * (1 - 0.5 * mouth.rounding)
    narrow = min(1.0, 1.2 * mouth.rounding)
    # Who talks does not grin as broadly as the photo: lips fuller, corners lower and nearer.
    grin = min(1.0, lines.gap / _GRIN) * talk
    moves = _Moves(
        drop=drop * (1 - narrow),
        round_drop=drop * narrow,
        lift=(lift * JAW_DROP - 0.05 * grin * mouth.rounding * free) * lines.eye_distance,
        # Cheeks that a grin has pushed up would be pinched by lips as narrow as those of a calm face.
        spread=0.15 * mouth.width - (0.38 - 0.18 * grin) * mouth.rounding - 0.06 * mouth.opening * free - 0.10 * grin,
        pucker=0.30 * mouth.rounding * free - 0.28 * mouth.press - 0.10 * max(0.0, mouth.width) + 0.45 * grin,
        close=_closed(lines, mouth, talk),
        corners=0.13 * drop + grin * (0.25 + 0.6 * mouth.rounding) * lines.smile,
        swell=-0.35 * mouth.bite - 0.35 * grin - 0.12 * mouth.rounding,
    )
    return np.array(moves, np.float32)


def lip_fields(lines: MouthLines, region: Region) -> tuple[Field, Field]:
    """The movements of the upper lip with the face, and of the lower lip with the jaw."""
    common = _Common(lines, region)
    return common.field(_upper_moves(lines, common)), common.field(_lower_moves(lines, common))


class _Common:
    """What both lips share: where the nodes are, and how they move beyond the corners."""

    def __init__(self, lines: MouthLines, region: Region) -> None:
        self._lines, self._region = lines, region
        place = lines.frame.place(region.nodes)
        self.a, self.b = place[..., 0], place[..., 1]
        self.share = lines.share(self.a)
        self.above, self.below = lines.upper.at(self.a) - self.b, self.b - lines.lower.at(self.a)
        self.fade = region.edge_fade(region.nodes, 0.2 * lines.eye_distance)
        away = np.minimum(np.abs(self.above), np.abs(self.below)) / lines.half_width
        aside = np.abs(self.share)
        self._spread = np.clip(self.a, 1.25 * lines.left, 1.25 * lines.right) * self.fade
        self._spread = self._spread * (1 - smooth((aside - 0.8) / 1.6)) * np.exp(-((away / 0.85) ** 2))
        self.corners = np.exp(-(((aside - 1) / 0.55) ** 2) - (away / 0.5) ** 2) * self.fade
        gap = np.maximum(lines.lower.at(self.a) - lines.upper.at(self.a) + _SURELY_SHUT * lines.eye_distance, 0)
        self.gap = gap * (1 - smooth((aside - 0.9) / 0.1))

    def field(self, down: _Moves) -> Field:
        """A field of what goes `down`, and of the spread along, which is the same for both lips."""
        none = np.zeros_like(self.a)
        along = _Moves(spread=self._spread)
        moves = [
            self._lines.frame.vectors(
                none if a is None else np.asarray(a, np.float32), none if b is None else np.asarray(b, np.float32)
            )
            for a, b in zip(along, down, strict=True)
        ]
        return Field(self._region, np.stack(moves))


def _upper_moves(lines: MouthLines, common: _Common) -> _Moves:
    lip = lines.upper_lip
    philtrum = max(1.0, float(lines.top.at(np.zeros(1, np.float32))[0]) - lines.nose)
    wide = _arch(common.share)
    carried = 1 - smooth((common.above - 0.4 * lip) / (0.5 * lip + 0.95 * philtrum))
    swollen = -lip * smooth(common.above / lip) * (1 - smooth((common.above - lip) / (0.9 * philtrum)))
    return _Moves(
        lift=-wide * carried,
        pucker=swollen * wide,
        close=_UPPER_CLOSES * common.gap * carried,
        corners=common.corners,
    )


def _lower_moves(lines: MouthLines, common: _Common) -> _Moves:
    eye, lip, below = lines.eye_distance, lines.lower_lip, common.below
    jaw = 1 - smooth((np.abs(common.a) / (_JAW_HALF_WIDTH * eye) - 0.28) / 0.72)
    jaw = jaw * (1 - smooth((common.b - lines.chin + 0.02 * eye) / (0.5 * eye)))
    near = np.where(
        np.abs(common.share) < 1,
        1 - smooth((below - 0.7 * lip) / (1.3 * lip + 0.12 * eye)),
        1 - smooth(below / (2.0 * lip + 0.12 * eye)),
    )
    # The rim of the lip follows the opening, its body a fuller arch: a round mouth has no pointed lip.
    rim = 1 - smooth(below / (0.9 * lip))
    wide, full = _arch(common.share), np.maximum(1 - common.share**2, 0) ** 0.5
    drop, round_drop = (
        ((arch * rim + full * (1 - rim)) * near + _CHIN_SHARE * jaw * (1 - near)) * common.fade
        for arch in (wide, _arch(common.share / _ROUND_SHARE))
    )
    swollen = lip * smooth(below / lip) * (1 - smooth((below - lip) / (1.3 * lip))) * wide
    return _Moves(
        drop=drop,
        round_drop=round_drop,
        pucker=swollen,
        close=(_UPPER_CLOSES - 1) * common.gap * (1 - smooth((below - 0.6 * lip) / (1.6 * lip))),
        corners=common.corners,
        swell=swollen,
    )


def _arch(share: Floats) -> Floats:
    """How far a parting lip is from the line of the corners: 1 in the middle, 0 at the corners."""
    return np.asarray(np.maximum(1 - share * share, 0) ** 0.85, np.float32)
