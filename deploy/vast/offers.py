"""Offers of Vast.ai: which ones we ask for, which ones we take, and in which order."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MB_PER_GIB = 1_024
EU = frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split())
NEAR_EU = frozenset("CH GB IS LI NO UA".split())
REGIONS: dict[str, frozenset[str]] = {"EU": EU | NEAR_EU, "US": frozenset(("US", "CA"))}
"""By how far away they are, not by who governs them."""
ANYWHERE = "any"
OLDEST_COMPUTE = 800
"""Ampere, the first with bfloat16, which the voice computes in."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an offer must have."""

    vram_gib: float
    disk_gib: float
    ports: int
    """Ports that are reached from outside."""
    max_usd_per_hour: float
    gpus: tuple[str, ...] = ()
    countries: frozenset[str] = frozenset()
    """Empty: any."""
    min_reliability: float = 0.0
    min_cpu_ghz: float = 0.0
    min_inet_down_mbps: float = 0.0
    min_inet_up_mbps: float = 0.0
    min_disk_mbps: float = 0.0
    min_cuda: float = 0.0
    min_compute: int = OLDEST_COMPUTE
    verified_only: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """One machine, or part of one, that can be rented now."""

    id: int
    machine: int
    gpu: str
    gpus: int
    vram_gib: float
    """Of one GPU."""
    usd_per_hour: float
    """With the disk that was asked for."""
    country: str
    place: str
    reliability: float
    ports: int
    cpu_ghz: float
    inet_down_mbps: float
    inet_up_mbps: float
    inet_usd_per_gb: float
    disk_mbps: float
    disk_gib: float
    cuda: float
    compute: int
    """Compute capability, 890 for 8.9."""
    verified: bool

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Offer | None":
        """A row of the API's answer, or None for one that does not say what it is or costs."""
        try:
            number, price = int(row["id"]), float(row["dph_total"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        if not (math.isfinite(price) and price > 0):
            return None
        place = str(row.get("geolocation") or "").strip()
        return cls(
            id=number,
            machine=int(_number(row, "machine_id")),
            gpu=str(row.get("gpu_name") or "unknown"),
            gpus=int(_number(row, "num_gpus")),
            vram_gib=_number(row, "gpu_ram") / MB_PER_GIB,
            usd_per_hour=price,
            country=place[-2:].upper(),
            place=place,
            reliability=_number(row, "reliability", "reliability2"),
            ports=int(_number(row, "direct_port_count")),
            cpu_ghz=_number(row, "cpu_ghz"),
            inet_down_mbps=_number(row, "inet_down"),
            inet_up_mbps=_number(row, "inet_up"),
            inet_usd_per_gb=_number(row, "inet_down_cost"),
            disk_mbps=_number(row, "disk_bw"),
            disk_gib=_number(row, "disk_space"),
            cuda=_number(row, "cuda_max_good"),
            compute=int(_number(row, "compute_cap")),
            verified=row.get("verification") == "verified" or row.get("verified") is True,
        )


def countries_of(regions: Iterable[str]) -> frozenset[str]:
    """The countries of `EU`, `US` and of countries themselves; empty for `any`. Raises ValueError."""
    found = set[str]()
    for region in regions:
        if region.lower() == ANYWHERE:
            return frozenset()
        name = region.upper()
        if name not in REGIONS and not (len(name) == 2 and name.isalpha()):
            raise ValueError(f"{region} is neither EU, US, any, nor a country of two letters such as DE")
        found |= REGIONS.get(name, {name})
    return frozenset(found)


def query(wishes: Wishes, *, limit: int = 64) -> dict[str, Any]:
    """The search as the API takes it, cheapest first; sizes are in megabytes there."""
    asked: dict[str, Any] = {
        "type": "on-demand",
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "external": {"eq": False},
        "num_gpus": {"eq": 1},
        # A card that is sold as 32 GB says 31.8 GiB, so that what is asked of it is rounded by nobody else.
        "gpu_ram": {"gte": wishes.vram_gib * MB_PER_GIB},
        "disk_space": {"gte": wishes.disk_gib},
        "direct_port_count": {"gte": wishes.ports},
        "dph_total": {"lte": wishes.max_usd_per_hour},
        "reliability": {"gte": wishes.min_reliability},
        "cpu_ghz": {"gte": wishes.min_cpu_ghz},
        "inet_down": {"gte": wishes.min_inet_down_mbps},
        "inet_up": {"gte": wishes.min_inet_up_mbps},
        "disk_bw": {"gte": wishes.min_disk_mbps},
        "cuda_max_good": {"gte": wishes.min_cuda},
        "compute_cap": {"gte": wishes.min_compute},
        "order": [["dph_total", "asc"]],
        "allocated_storage": wishes.disk_gib,
        "limit": limit,
    }
    if wishes.verified_only:
        asked["verified"] = {"eq": True}
    if wishes.gpus:
        asked["gpu_name"] = {"in": list(wishes.gpus)}
    if wishes.countries:
        asked["geolocation"] = {"in": sorted(wishes.countries)}
    return asked


def why_not(offer: Offer, wishes: Wishes) -> str | None:
    """Why an offer is not taken, or None; the API's own filter is not relied on."""
    lacking = (
        (offer.gpus != 1, "not one GPU"),
        (bool(wishes.gpus) and offer.gpu not in wishes.gpus, f"an {offer.gpu}"),
        (offer.vram_gib < wishes.vram_gib, f"{offer.vram_gib:.0f} GiB of memory"),
        (offer.usd_per_hour > wishes.max_usd_per_hour, f"${offer.usd_per_hour:.2f} per hour"),
        (offer.ports < wishes.ports, f"{max(0, offer.ports)} direct ports"),
        (bool(wishes.countries) and offer.country not in wishes.countries, f"in {offer.place or 'an unknown place'}"),
        (offer.reliability < wishes.min_reliability, f"reliability {offer.reliability:.2f}"),
        (offer.cpu_ghz < wishes.min_cpu_ghz, f"{offer.cpu_ghz:.1f} GHz"),
        (offer.inet_down_mbps < wishes.min_inet_down_mbps, f"{offer.inet_down_mbps:.0f} Mb/s down"),
        (offer.inet_up_mbps < wishes.min_inet_up_mbps, f"{offer.inet_up_mbps:.0f} Mb/s up"),
        (offer.disk_mbps < wishes.min_disk_mbps, f"a disk of {offer.disk_mbps:.0f} MB/s"),
        (offer.disk_gib < wishes.disk_gib, f"{offer.disk_gib:.0f} GiB of disk"),
        (offer.cuda < wishes.min_cuda, f"CUDA {offer.cuda:.1f}"),
        (offer.compute < wishes.min_compute, f"compute capability {offer.compute / 100:.1f}"),
        (wishes.verified_only and not offer.verified, "not verified"),
    )
    return next((reason for fails, reason in lacking if fails), None)


def choose(rows: Iterable[Mapping[str, Any]], wishes: Wishes) -> list[Offer]:
    """The offers that are taken, cheapest first and one of each machine: a host that failed is not tried again."""
    suitable = [offer for row in rows if (offer := Offer.read(row)) and why_not(offer, wishes) is None]
    cheapest: dict[int, Offer] = {}
    for offer in sorted(suitable, key=lambda offer: (offer.usd_per_hour, -offer.inet_down_mbps, offer.id)):
        cheapest.setdefault(offer.machine or -offer.id, offer)
    return list(cheapest.values())


def nothing_found(rows: Sequence[Mapping[str, Any]], wishes: Wishes) -> str:
    """One sentence about why there is no offer."""
    offers = [offer for row in rows if (offer := Offer.read(row))]
    reasons = [reason for offer in offers if (reason := why_not(offer, wishes))]
    named = f" ({', '.join(wishes.gpus)})" if wishes.gpus else ""
    wanted = f"one GPU of {wishes.vram_gib:.0f} GiB{named} for ${wishes.max_usd_per_hour:.2f} per hour"
    if reasons:
        return f"None of {len(offers)} offers is {wanted}: the cheapest has {reasons[0]}; allow more and try again."
    return (
        f"Nobody offers {wanted} at the moment; raise UNDERSTUDY_DEPLOY__MAX_USD_PER_HOUR, widen "
        "UNDERSTUDY_DEPLOY__REGIONS, or try again later."
    )


def _number(row: Mapping[str, Any], *names: str) -> float:
    for name in names:
        value = row.get(name)
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    return 0.0
