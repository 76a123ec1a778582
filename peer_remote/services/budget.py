"""Which GPU each service gets, or why not all of them fit. Pure."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from peer_remote.services.gpus import Gpu
from peer_remote.services.needs import Change, Need

RESERVE: Final = 0.05

CARDS: Final[Mapping[str, tuple[Gpu, ...]]] = {
    "24 GB": (Gpu("24 GB", 24.0),),
    "2 × 24 GB": (Gpu("24 GB", 24.0), Gpu("24 GB", 24.0)),
    "48 GB": (Gpu("48 GB", 48.0),),
}
"""What people rent."""

_MOST_GPUS: Final = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything goes."""

    gpu: Mapping[str, int]
    """By service, the position of its GPU."""
    free_gib: tuple[float, ...]
    """What is left on each GPU, the reserve not counted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    """One sentence that says what would fit."""


def plan(needs: Sequence[Need], gpus: Sequence[Gpu], *, reserve: float = RESERVE) -> Plan | Refusal:
    """Share out the GPUs. A process is on one of them; the fullest is as empty as can be."""
    found = _place(_by_service(needs), gpus, reserve)
    return found if found is not None else Refusal(_refusal(needs, gpus, reserve))


def _by_service(needs: Iterable[Need]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for need in needs:
        if need.gib > 0:
            sums[need.service] = sums.get(need.service, 0.0) + need.gib
    return sums


def _place(sums: Mapping[str, float], gpus: Sequence[Gpu], reserve: float) -> Plan | None:
    """Tries all ways; there are four services at most, and more than eight GPUs are not looked at."""
    room = [gpu.gib * (1 - reserve) for gpu in gpus[:_MOST_GPUS]]
    best: Plan | None = None
    best_fullness = float("inf")
    for places in itertools.product(range(len(room)), repeat=len(sums)):
        free = list(room)
        for place, gib in zip(places, sums.values(), strict=True):
            free[place] -= gib
        fullness = max((1 - left / whole for left, whole in zip(free, room, strict=True)), default=0.0)
        if all(left >= 0 for left in free) and fullness < best_fullness - 1e-9:
            best, best_fullness = Plan(dict(zip(sums, places, strict=True)), tuple(free)), fullness
    return best


def _refusal(needs: Sequence[Need], gpus: Sequence[Gpu], reserve: float) -> str:
    parts = ", ".join(f"{need.what.partition(',')[0]} {need.gib:.1f}" for need in needs)
    total = sum(need.gib for need in needs)
    cards = " and ".join(f"{gpu.gib * (1 - reserve):.1f}" for gpu in gpus) or "no"
    ways = []
    if smaller := _smaller(needs, gpus, reserve):
        *settings, last = (change.setting for change in smaller)
        ways.append(f"with {' and '.join([', '.join(settings), last]) if settings else last}")
    ways += [f"on {name}" for name, cards_of in CARDS.items() if _place(_by_service(needs), cards_of, reserve)]
    would = f"it would fit {', or '.join(ways)}" if ways else "move one of them to another machine by its URL"
    return f"{total:.1f} GiB of GPU memory are needed ({parts}) and {cards} GiB are to be had; {would}."


def _smaller(needs: Sequence[Need], gpus: Sequence[Gpu], reserve: float) -> tuple[Change, ...]:
    """The fewest changes with which all fits; of those, the ones that take away least."""
    options: list[tuple[Change | None, ...]] = [(None, *need.changes) for need in needs]
    found: list[tuple[int, float, tuple[Change, ...]]] = []
    for choice in itertools.product(*options):
        changes = tuple(change for change in choice if change is not None)
        changed = [
            need if change is None else replace(need, gib=change.gib)
            for need, change in zip(needs, choice, strict=True)
        ]
        if changes and _place(_by_service(changed), gpus, reserve) is not None:
            found.append((len(changes), -sum(need.gib for need in changed), changes))
    return min(found, key=lambda way: way[:2])[2] if found else ()
