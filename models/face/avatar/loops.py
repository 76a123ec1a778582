"""Makes an endless film of clips: parts that begin and end in one pose, played in an order that does not repeat soon.

    clips ─► distance of every two frames ─► home: the pose that the person returns to most
          ─► visits of it ─► parts between visits ─► a walk over the parts, faded where two do not follow by nature

After Schoedl, Szeliski, Salesin and Essa, Video Textures, SIGGRAPH 2000, section 3: two frames are alike when their
neighbours in time are alike too. Where nothing returns, the clip runs forth and back, slowing down before it turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.avatar.smoothing import Floats
from models.face.avatar.tracking import Track
from models.face.landmark_table import (
    BROW_LEFT_UPPER,
    BROW_RIGHT_UPPER,
    EYE_LEFT_LOWER,
    EYE_LEFT_UPPER,
    EYE_RIGHT_LOWER,
    EYE_RIGHT_UPPER,
    FACE_OVAL,
    LIPS_INNER_LOWER,
    LIPS_OUTER_LOWER,
    LIPS_OUTER_UPPER,
    NOSE_BRIDGE,
)

Kind = Literal["loop", "mixture", "ping-pong", "still"]

FADE_FRAMES = 10
"""0.4 s: as long as a small movement of the head takes."""
_POSE_POINTS = (
    *(BROW_LEFT_UPPER + BROW_RIGHT_UPPER + EYE_LEFT_UPPER + EYE_LEFT_LOWER + EYE_RIGHT_UPPER + EYE_RIGHT_LOWER),
    *(FACE_OVAL + NOSE_BRIDGE + LIPS_OUTER_UPPER + LIPS_OUTER_LOWER + LIPS_INNER_LOWER),
)
_GREY_SIZE_PX = (20, 12)
_LUMA_WEIGHT = 0.004
"""A mean difference of 2.5 levels in the picture counts like 1 % of the face's height."""
_ALWAYS_ALIKE = 0.012
_NEVER_ALIKE = 0.04
_FADE_SHARE = 0.6
"""Between these, frames are alike when they differ by no more than this share of what the person moves ordinarily in
the time of a fade: in its middle a fade moves one and a half times as fast as in the mean."""
_PART_FRAMES = 50
_MOST_PARTS = 12
_FADED_SHARE = 0.3
"""Fades are frames of their own, with latents of their own: at most this share of the frames that are used."""
_REST_PARTS = 2
"""How many others come before a part is seen again, where there are enough."""
_LEAST_SCHEDULE_FRAMES = 1_500
_PLAYS_OF_EACH = 4
_EASE_FRAMES = 12
_SEED = 25


@dataclass(frozen=True, slots=True)
class Mix:
    """A frame of the avatar: source frame `first`, or a blend of it and `second`."""

    first: int
    second: int
    weight: float
    """Of `second`, 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which frames an avatar has and in which order they are shown."""

    frames: tuple[Mix, ...]
    schedule: NDArray[np.int32]
    kind: Kind
    seams: tuple[int, ...]
    """Positions of the schedule at which a fade begins."""
    seam_distance: float
    """The largest pose distance that a fade bridges, in heights of the face."""
    left_out: tuple[int, ...] = ()
    """Clips that never come near the others' pose."""


def plan(tracks: Sequence[Track], face_height_px: float) -> Plan:
    """The best endless film of the clips, whose frames are counted through in the order given."""
    lengths = [len(track) for track in tracks]
    distance = pose_distances(tracks, face_height_px)
    clips = _Clips(lengths)
    alike = _alike(distance, clips)
    cost = _fade_costs(distance, clips)
    visits = _best_visits(cost, alike, clips)
    parts = clips.parts(visits)
    if sum(end - start for start, end in parts) < min(2 * _PART_FRAMES, clips.lengths[0] // 2):
        return _forth_and_back(distance, clips)
    left_out = tuple(clip for clip in range(len(tracks)) if not any(clips.clip_of(start) == clip for start, _ in parts))
    return _walk(parts, cost, alike, left_out)


def round_about(count: int) -> Plan:
    """A clip that is a seamless loop already."""
    frames = tuple(Mix(frame, frame, 0.0) for frame in range(count))
    return Plan(frames, np.arange(count, dtype=np.int32), "loop" if count > 1 else "still", (), 0.0)


def pose_distances(tracks: Sequence[Track], face_height_px: float) -> Floats:
    """[N, N]: how different every two frames are, in heights of the face: landmarks, and a little the whole picture."""
    points = np.concatenate([track.points[:, _POSE_POINTS, :2] for track in tracks]) / face_height_px
    greys = np.concatenate([np.stack([cv2.resize(grey, _GREY_SIZE_PX) for grey in track.greys]) for track in tracks])
    return _rms_distances(points) * np.float32(np.sqrt(2)) + _rms_distances(greys) * np.float32(_LUMA_WEIGHT)


class _Clips:
    """Where each clip's frames lie when all are counted through."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self.starts = [sum(lengths[:clip]) for clip in range(len(lengths) + 1)]
        self._of = np.repeat(np.arange(len(lengths)), lengths)

    @property
    def count(self) -> int:
        return self.starts[-1]

    def clip_of(self, frame: int) -> int:
        return int(self._of[frame])

    def parts(self, visits: Sequence[int]) -> list[tuple[int, int]]:
        """From each visit to the next one in the same clip."""
        pairs = zip(sorted(visits), sorted(visits)[1:], strict=False)
        return [(start, end) for start, end in pairs if self.clip_of(start) == self.clip_of(end)]


def _rms_distances(values: NDArray[np.floating]) -> Floats:
    """[N, N]: root of the mean squared difference of every two rows of [N, ...]."""
    flat = values.reshape(len(values), -1).astype(float)
    flat = flat - flat.mean(axis=0)
    squares = (flat**2).sum(axis=1)
    between = np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0) / flat.shape[1]
    return np.asarray(np.sqrt(between), np.float32)


def _alike(distance: Floats, clips: _Clips) -> float:
    """Up to this distance a fade is not seen."""
    moved = np.diagonal(distance, FADE_FRAMES)
    inside = [clips.clip_of(frame) == clips.clip_of(frame + FADE_FRAMES) for frame in range(len(moved))]
    ordinary = float(np.median(moved[inside])) if any(inside) else 0.0
    return float(np.clip(_FADE_SHARE * ordinary, _ALWAYS_ALIKE, _NEVER_ALIKE))


def _fade_costs(distance: Floats, clips: _Clips) -> Floats:
    """[N, N]: mean distance of the FADE_FRAMES frames before p and before q; infinite where a clip has none."""
    count = clips.count
    cost = np.full((count, count), np.inf, np.float32)
    total = sum(
        distance[place : count - FADE_FRAMES + place, place : count - FADE_FRAMES + place]
        for place in range(FADE_FRAMES)
    )
    cost[FADE_FRAMES:, FADE_FRAMES:] = np.asarray(total, np.float32) / FADE_FRAMES
    for start in clips.starts[:-1]:
        cost[start : start + FADE_FRAMES] = np.inf
        cost[:, start : start + FADE_FRAMES] = np.inf
    return cost


def _best_visits(cost: Floats, alike: float, clips: _Clips) -> list[int]:
    """The frames at which the person is in the pose that lets most of the footage be used."""
    best: list[int] = []
    best_worth = 0.0
    for home in range(FADE_FRAMES, clips.count, 2):
        visits = _visits(cost[home], alike, clips)
        parts = clips.parts(visits)
        if not parts:
            continue
        # A perfect seam is worth as much as three times the footage with one that is just not seen.
        worth = sum(end - start for start, end in parts) * (1.5 - float(cost[home][visits].mean()) / alike)
        if worth > best_worth:
            best, best_worth = visits, worth
    return best


def _visits(cost: Floats, alike: float, clips: _Clips) -> list[int]:
    """When each clip comes nearest to one pose, at least a part's length apart; first and last are kept."""
    visits = []
    for start, length in zip(clips.starts, clips.lengths, strict=False):
        near = start + _lowest_of_runs(cost[start : start + length], alike)
        apart = min(_PART_FRAMES, length // 3)
        kept: list[int] = []
        for frame in (*near[:1], *near[-1:], *near[np.argsort(cost[near], kind="stable")]):
            if len(kept) < _MOST_PARTS and all(abs(frame - other) >= apart for other in kept):
                kept.append(int(frame))
        if len(kept) > 1:
            visits += sorted(kept)
    return visits


def _lowest_of_runs(cost: Floats, alike: float) -> NDArray[np.int64]:
    """The place of the lowest cost in each run of frames that cost no more than `alike`."""
    near = np.concatenate(([False], cost <= alike, [False]))
    edges = np.flatnonzero(near[1:] != near[:-1]).reshape(-1, 2)
    return np.array([start + np.argmin(cost[start:end]) for start, end in edges], np.int64)


def _walk(parts: list[tuple[int, int]], cost: Floats, alike: float, left_out: tuple[int, ...]) -> Plan:
    """A closed walk over the parts; each is rested before it comes again."""
    footage = sum(end - start for start, end in parts)
    order = _order(parts, cost, alike, max(len(parts), int(footage * _FADED_SHARE / FADE_FRAMES)))
    frames: dict[Mix, int] = {}
    schedule: list[int] = []
    seams = []
    distances = [0.0]
    for place, part in enumerate(order):
        start, end = parts[part]
        follows, _ = parts[order[(place + 1) % len(order)]]
        mixes = [Mix(frame, frame, 0.0) for frame in range(start, end)]
        if follows != end:
            seams.append(len(schedule) + len(mixes) - FADE_FRAMES)
            distances.append(float(cost[end, follows]))
            mixes[-FADE_FRAMES:] = _fade(end, follows)
        schedule += [frames.setdefault(mix, len(frames)) for mix in mixes]
    kind: Kind = "loop" if len(seams) <= 1 else "mixture"
    return Plan(tuple(frames), np.array(schedule, np.int32), kind, tuple(seams), max(distances), left_out)


def _fade(end: int, follows: int) -> list[Mix]:
    """From the frames before `end` to those before `follows`."""
    shares = (np.arange(FADE_FRAMES) + 1) / (FADE_FRAMES + 1)
    weights = shares * shares * (3 - 2 * shares)
    return [
        Mix(end - FADE_FRAMES + place, follows - FADE_FRAMES + place, round(float(weight), 4))
        for place, weight in enumerate(weights)
    ]


def _order(parts: list[tuple[int, int]], cost: Floats, alike: float, most_fades: int) -> list[int]:
    """The parts in the order in which they are played before it begins again."""
    count = len(parts)
    rest = min(_REST_PARTS, count - 1)
    if count <= 2:
        return list(range(count))
    random = np.random.default_rng(_SEED)
    played = np.zeros(count)
    fades: set[tuple[int, int]] = set()
    order = [0]
    played[0] = 1
    length = parts[0][1] - parts[0][0]
    for _ in range(100 * count):
        last = order[-1]
        rested = [part for part in range(count) if part not in order[-rest:]]
        open_ = [part for part in rested if _joins(parts, last, part, cost, alike, fades, most_fades)]
        # With every join used up there is still the way on in the clip, or the cheapest jump.
        chosen = open_ or rested
        part = min(chosen, key=lambda part: (played[part] + random.uniform(0, 1.5), part))
        if parts[last][1] != parts[part][0]:
            fades.add((parts[last][1], parts[part][0]))
        order.append(part)
        played[part] += 1
        length += parts[part][1] - parts[part][0]
        long_enough = length >= _LEAST_SCHEDULE_FRAMES and played.min() >= _PLAYS_OF_EACH
        closes = order[0] not in order[-rest:] and order[-1] not in order[:rest]
        if long_enough and closes and _joins(parts, part, order[0], cost, alike, fades, most_fades + 1):
            break
    return order


def _joins(
    parts: list[tuple[int, int]],
    before: int,
    after: int,
    cost: Floats,
    alike: float,
    fades: set[tuple[int, int]],
    most_fades: int,
) -> bool:
    """Whether `after` may follow `before`: by nature, by a fade that exists, or by a new one that is not seen."""
    end, start = parts[before][1], parts[after][0]
    if end == start or (end, start) in fades:
        return True
    return len(fades) < most_fades and float(cost[end, start]) <= 1.5 * alike


def _forth_and_back(distance: Floats, clips: _Clips) -> Plan:
    """The main clip forwards and backwards, turning where it moves least, and slowly."""
    count = clips.lengths[0]
    moving = np.convolve(np.diagonal(distance, 1)[: count - 1], np.ones(5) / 5, mode="same")
    margin = max(1, count // 5)
    first = int(np.argmin(moving[:margin]))
    last = count - 1 - int(np.argmin(moving[::-1][:margin]))
    places = eased_places(first, last)
    frames: dict[Mix, int] = {}
    way = [frames.setdefault(_between(place), len(frames)) for place in places]
    schedule = np.array(way + way[-2:0:-1], np.int32)
    return Plan(tuple(frames), schedule, "ping-pong", (), 0.0, tuple(range(1, len(clips.lengths))))


def eased_places(first: int, last: int) -> list[float]:
    """Places from `first` to `last`, one frame apart in the middle and nearer towards both ends."""
    ease = min(_EASE_FRAMES, last - first)
    steps = np.arange(ease) + 0.5
    # Speed rises like half a cosine, so that place and speed are without a jump; the sum of these steps is ease / 2.
    speeds = (1 - np.cos(np.pi * steps / ease)) / 2
    away = np.concatenate(([0.0], np.cumsum(speeds)))
    middle = np.arange(1, max(0, round(last - first - 2 * away[-1])) + 1)
    stretch = (last - first - 2 * away[-1]) / max(1, len(middle))
    ahead = first + np.concatenate((away, away[-1] + middle * stretch))
    back = last - away[::-1][1:]
    return [float(place) for place in np.concatenate((ahead, back))]


def _between(place: float) -> Mix:
    """The frame at a place between two frames, to a quarter."""
    low = int(np.floor(place))
    weight = round((place - low) * 4) / 4
    return Mix(low + 1, low + 1, 0.0) if weight == 1 else Mix(low, low + (weight > 0), weight)
