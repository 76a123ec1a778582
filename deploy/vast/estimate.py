"""How long an offer will take until the double is there: a guess from its network, disk and processor, never a promise.

The times of computing are those that others measured on rented machines; what is fetched is counted.
"""

from dataclasses import dataclass

from deploy.vast.needs import Needs
from deploy.vast.offers import Offer

BITS = 8
IMAGE_GB, IMAGE_UNPACKED_GB = 4.2, 8.6
"""The default image, compressed and unpacked; a host that had it before needs neither."""
STREAM_MBPS = 2_000.0
"""What a registry or a hub gives one host at most, however wide its line is."""
LINE_SHARE = 0.6
"""Of the advertised speed; what several streams to far servers reached."""
MEASURED_GHZ = 4.0
"""Where the times below were measured."""
BOOT_S = 45.0
COMPILE_S = 180.0
"""Building the language model's server for CUDA."""
WARM_UP_S = 90.0
"""Loading what was fetched and compiling the networks, 30-60 s each for voice and face."""
SMALLEST_MBPS = 1.0


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds of each part of a first start."""

    image_s: float
    fetch_s: float
    compute_s: float

    @property
    def total_s(self) -> float:
        return self.image_s + self.fetch_s + self.compute_s


def expected_start(offer: Offer, needs: Needs) -> Start:
    line_mbps = max(SMALLEST_MBPS, min(offer.inet_down_mbps, STREAM_MBPS) * LINE_SHARE)
    disk_mbps = max(SMALLEST_MBPS, offer.disk_mbps)
    image_s = IMAGE_GB * 1_000 * BITS / line_mbps + IMAGE_UNPACKED_GB * 1_000 / disk_mbps
    # Weights and packages are written once and read once before the first word.
    fetch_s = needs.fetch_gb * 1_000 * BITS / line_mbps + 2 * needs.fetch_gb * 1_000 / disk_mbps
    slower = MEASURED_GHZ / max(1.0, offer.cpu_ghz)
    return Start(image_s, fetch_s, BOOT_S + slower * (WARM_UP_S + (COMPILE_S if needs.compiles else 0.0)))


def traffic_usd(offer: Offer, needs: Needs) -> float:
    """What the host bills for all that a first start fetches, beside the price per hour."""
    return (IMAGE_GB + needs.fetch_gb) * offer.inet_usd_per_gb


def in_minutes(seconds: float) -> str:
    """`~9 min`, for people."""
    return f"~{max(1, round(seconds / 60))} min"
