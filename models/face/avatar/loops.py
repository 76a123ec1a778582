"""Makes an endless film of clips: parts that begin and end in one pose, played in an order that does not repeat soon.

    clips ─► distance of every two frames ─► home: the pose that the person returns to most
          ─► visits of it ─► parts between visits ─► a walk over the parts, faded where two do not follow by nature

After Schoedl, Szeliski, Salesin and Essa, Video Textures, SIGGRAPH 2000, section 3: two frames are alike when their
neighbours in time are alike too. Where nothing returns, the clip runs forth and back, slowing down before it turns.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.face.avatar.film import FADE_FRAMES, Kind, Mix, Plan
from models.face.avatar.likeness import Clips, fade_costs, largest_unseen, pose_distances
from models.face.avatar.smoothing import Floats
from models.face.avatar.tracking import Track
from models.face.avatar.turning import forth_and_back

_PART_FRAMES = 50
_MOST_PARTS = 12
_FADED_SHARE = 0.3
"""Fades are frames of their own, with latents of their own: at most this share of the frames that are used."""
_REST_PARTS = 2
"""How many others come before a part is seen again, where there are enough."""
_LEAST_SCHEDULE_FRAMES = 1_500
_PLAYS_OF_EACH = 4
_SEED = 25


def plan(tracks: Sequence[Track], face_height_px: float) -> Plan:
    """The best endless film of the clips, whose frames are counted through in the order given."""
    lengths = [len(track) for track in tracks]
    distance = pose_distances(tracks, face_height_px)
    clips = Clips(lengths)
    alike = largest_unseen(distance, clips)
    cost = fade_costs(distance, clips)
    visits = _best_visits(cost, alike, clips)
    parts = clips.parts(visits)
    if sum(end - start for start, end in parts) < min(2 * _PART_FRAMES, clips.lengths[0] // 2):
        return forth_and_back(distance, clips)
    left_out = tuple(clip for clip in range(len(tracks)) if not any(clips.clip_of(start) == clip for start, _ in parts))
    return _walk(parts, cost, alike, left_out)


def _best_visits(cost: Floats, alike: float, clips: Clips) -> list[int]:
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


def _visits(cost: Floats, alike: float, clips: Clips) -> list[int]:
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
