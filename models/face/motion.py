"""How the host moves: all that needs no speech as a function of the position, and what speech adds to it.

Nothing here is random at run time: the same position gives the same movement, so idle and speech join without a jump.
"""

import math
from dataclasses import dataclass

from models.face.mouth_shape import REST, MouthShape
from models.face.pose import Pose
from models.interfaces import BEATS_PER_SECOND

_BLINK_SLOT_BEATS = 4 * BEATS_PER_SECOND
"""One blink per slot, in its first half: 2 to 6 s lie between blinks (15 a minute, as of a person in conversation)."""
_BLINK_LIDS = (0.50, 0.06, 0.0, 0.38, 0.80)
"""How open the eyes are on the pictures of a blink: shut faster than opened."""
_DOUBLE_BLINK_SHARE = 0.18
_DOUBLE_BLINK_BEATS = 8
_GLANCE_SLOT_BEATS = 60
_GLANCE_SHARE = 0.42
_SACCADE_BEATS = 2
_BREATH_BEATS = 96
_NOD_RATE_HZ = 8.0
_NOD_DEG = 2.6
_NOD_KICK = _NOD_RATE_HZ * math.e
"""An impulse of this height makes a critically damped spring swing out by 1."""
_MOUTH_STEP = 0.8
"""Most that a number of the mouth may change from one picture to the next."""
_CLOSING_SHARE = 0.55
_CLOSED = 0.05
_ENGAGES, _PAUSES, _RELAXES = 0.34, 0.03, 0.08
"""How much a face is more engaged in talking after a picture that says something, and less after one that does not."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What speech has done to the face up to one picture: the mouth, two springs (place, speed per s), engagement."""

    mouth: MouthShape = REST
    nod: float = 0.0
    nod_speed: float = 0.0
    brows: float = 0.0
    brows_speed: float = 0.0
    engaged: float = 0.0

    def speaking(self, mouth: MouthShape, *, nod: float = 0.0, brows: float = 0.0) -> "Expression":
        """One picture later, saying `mouth`; `nod` and `brows` start gestures of that height."""
        engaged = self.engaged + (_ENGAGES if max(map(abs, mouth)) >= _CLOSED else -_PAUSES)
        return self._later(mouth.limited(self.mouth, _MOUTH_STEP), nod, brows, engaged)

    def silent(self) -> "Expression":
        """One picture later, with nothing to say: the mouth closes within four pictures."""
        mouth = self.mouth.toward(REST, _CLOSING_SHARE)
        return self._later(REST if max(map(abs, mouth)) < _CLOSED else mouth, 0.0, 0.0, self.engaged - _RELAXES)

    def _later(self, mouth: MouthShape, nod: float, brows: float, engaged: float) -> "Expression":
        nod_place, nod_speed = _spring(self.nod, self.nod_speed + nod * _NOD_KICK)
        brow_place, brow_speed = _spring(self.brows, self.brows_speed + brows * _NOD_KICK)
        return Expression(mouth, nod_place, nod_speed, brow_place, brow_speed, min(max(engaged, 0.0), 1.0))


def pose_at(position: int, expression: Expression) -> Pose:
    """The whole face at `position` (beats)."""
    yaw_deg = 3.4 * _drift(position, 118, 1) + 1.3 * _drift(position, 43, 2) + 0.35 * _drift(position, 15, 3)
    pitch_deg = 1.5 * _drift(position, 131, 4) + 0.8 * _drift(position, 47, 5) + 0.25 * _drift(position, 17, 6)
    roll_deg = 1.7 * _drift(position, 157, 7) + 0.6 * _drift(position, 61, 8)
    pitch_deg += _NOD_DEG * expression.nod
    away_x, away_y = _glance(position)
    smile = 0.50 + 0.10 * _drift(position, 149, 12)
    talking = min(1.0, 2.2 * expression.mouth.opening + expression.mouth.press + expression.mouth.rounding)
    return Pose(
        yaw_deg=yaw_deg + 2.2 * away_x,
        pitch_deg=pitch_deg + 0.8 * away_y,
        roll_deg=roll_deg,
        shift_x=3.0 * _drift(position, 190, 9),
        shift_y=1.2 * _drift(position, 97, 10),
        breath=breath(position),
        # the eyes turn against the head, to stay on the camera
        gaze_x=away_x - 0.055 * yaw_deg + 0.05 * _drift(position, 11, 13),
        gaze_y=away_y - 0.060 * pitch_deg + 0.04 * _drift(position, 13, 14),
        lids=lids(position),
        brows=0.12 * _drift(position, 71, 11) + 0.05 * _drift(position, 23, 15) + expression.brows - 0.2 * away_y,
        smile=smile * (1 - 0.45 * talking),
        mouth=expression.mouth,
        engaged=expression.engaged,
    )


def lids(position: int) -> float:
    """How open the eyes are at `position`: 1, or less within a blink."""
    openness = 1.0
    for slot in (position // _BLINK_SLOT_BEATS - 1, position // _BLINK_SLOT_BEATS):
        start = slot * _BLINK_SLOT_BEATS + int(_chance(slot, 20) * _BLINK_SLOT_BEATS / 2)
        starts = [start]
        if _chance(slot, 21) < _DOUBLE_BLINK_SHARE:
            starts.append(start + _DOUBLE_BLINK_BEATS)
        for first in starts:
            if 0 <= position - first < len(_BLINK_LIDS):
                openness = min(openness, _BLINK_LIDS[position - first])
    return openness


def breath(position: int) -> float:
    """How full the chest is, in [0, 1]: in for two fifths of the time, out for three."""
    phase = position / _BREATH_BEATS % 1.0
    turn = phase / 0.4 if phase < 0.4 else 1 + (phase - 0.4) / 0.6
    return 0.5 - 0.5 * math.cos(math.pi * turn)


def _glance(position: int) -> tuple[float, float]:
    """Where the eyes go when they leave the camera; (0, 0) most of the time."""
    slot = position // _GLANCE_SLOT_BEATS
    if _chance(slot, 30) >= _GLANCE_SHARE:
        return 0.0, 0.0
    start = slot * _GLANCE_SLOT_BEATS + 6 + int(18 * _chance(slot, 31))
    length = 10 + int(18 * _chance(slot, 32))
    into = (position - start) / _SACCADE_BEATS
    back = (start + length - position) / _SACCADE_BEATS
    share = _ease(min(max(min(into, back), 0.0), 1.0))
    side = 1.0 if _chance(slot, 33) < 0.5 else -1.0
    return share * side * (0.35 + 0.35 * _chance(slot, 34)), share * (0.7 * _chance(slot, 35) - 0.45)


def _spring(place: float, speed: float) -> tuple[float, float]:
    """A critically damped spring one beat later."""
    time = 1 / BEATS_PER_SECOND
    fade = math.exp(-_NOD_RATE_HZ * time)
    slope = speed + _NOD_RATE_HZ * place
    return fade * (place + slope * time), fade * (speed - _NOD_RATE_HZ * slope * time)


def _drift(position: int, period_beats: int, lane: int) -> float:
    """Smooth value noise in [-1, 1] with a new aim every `period_beats`; lanes are independent."""
    step, into = divmod(position, period_beats)
    before, after = 2 * _chance(step, lane) - 1, 2 * _chance(step + 1, lane) - 1
    return before + (after - before) * _ease(into / period_beats)


def _ease(share: float) -> float:
    """0 to 1 without a jump in speed or acceleration (Perlin, "Improving Noise", 2002)."""
    return share * share * share * (share * (6 * share - 15) + 10)


def _chance(index: int, lane: int) -> float:
    """A number in [0, 1) that looks random (the finaliser of SplitMix64)."""
    mask = (1 << 64) - 1
    value = (index * 0x9E3779B97F4A7C15 + lane * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return ((value ^ (value >> 31)) >> 11) / (1 << 53)
