"""A minute of bad network, then a good one again: does the picture go on, is what was lost heard as clicks?

The marked performer speaks without a pause and moves in every picture. A freeze is the longest time for which the
recording camera was shown the same picture. The largest step between two samples, and the highest level above 6 kHz in
any 5 ms, are compared with what is usual for the same voice before the network became bad.
"""

import asyncio
import time

import numpy as np

from tests.bench.laptop import laptop, sound_of_its_own
from tests.bench.marked import marked
from tests.marks import largest_step, longest_freeze_s, roughest, usual

BAD = {"loss": 0.05, "jitter_ms": 50.0}
GOOD = {"loss": 0.0, "jitter_ms": 0.0}
SETTLE_S = 8.0
CLEAN_S = 15.0
BAD_S = 60.0
AFTER_S = 15.0
LOW_MS = 80.0
VOICE_PEAK = 0.3


async def measure(bad_s: float = BAD_S) -> dict[str, float]:
    with sound_of_its_own() as server:
        async with (
            marked(voice_peak=VOICE_PEAK, click_peak=0) as performer,
            laptop(performer.url, performer.token, server=server) as local,
        ):
            await asyncio.sleep(SETTLE_S)
            clean_s = time.monotonic()
            await asyncio.sleep(CLEAN_S)
            bad_from_s = time.monotonic()
            before_bad = await performer.network(**BAD)
            await asyncio.sleep(bad_s)
            network = await performer.network(**GOOD)
            good_from_s = time.monotonic()
            worst = local.figures
            high_until_s = good_from_s
            while (now_s := time.monotonic()) < good_from_s + AFTER_S:
                if local.figures.buffer_ms > LOW_MS:
                    high_until_s = now_s
                await asyncio.sleep(0.1)
            end_s = time.monotonic()
            heard, shown, last = local.heard(), local.camera.since(clean_s), local.figures
            underflows = local.underflows
    clean, bad = heard.between(clean_s, bad_from_s), heard.between(bad_from_s, good_from_s)
    during = [(at_s, seen) for at_s, seen in shown if bad_from_s <= at_s < end_s]
    before = [(at_s, seen) for at_s, seen in shown if at_s < bad_from_s]
    damaged = [seen.position is None for at_s, seen in during]
    lost, passed = (network[fate] - before_bad[fate] for fate in ("lost", "passed"))
    return {
        "packets_lost_percent": round(100 * lost / (lost + passed), 2),
        "freeze_clean_ms": round(longest_freeze_s(before) * 1_000),
        "freeze_ms": round(longest_freeze_s(during) * 1_000),
        "damaged_pictures_percent": round(100 * float(np.mean(damaged)), 2),
        "buffer_bad_ms": round(worst.buffer_ms, 1),
        "buffer_after_ms": round(last.buffer_ms, 1),
        "buffer_low_after_s": round(high_until_s - good_from_s, 1),
        "concealed_percent": round(last.concealed_ms / 10 / bad_s, 2),
        "rebuffered": last.rebuffered,
        "largest_step_ratio": round(largest_step(bad) / usual(largest_step, clean), 3),
        "device_underflows": underflows,
        "roughness_ratio": round(roughest(bad) / usual(roughest, clean), 2),
    }
