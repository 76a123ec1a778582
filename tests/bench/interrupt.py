"""How fast it falls silent: from the stop message to the last old sample."""

import asyncio
import random

from signaling import protocol
from tests.bench.product import ROOM, running
from tests.bench.report import percentiles
from tests.viewer import Viewer

ROUNDS = 12
LISTEN_S = 1.5


async def measure() -> dict[str, float]:
    chance = random.Random(7)
    last_old_ms = []
    later = 0
    async with running() as product, Viewer(product.url, ROOM, product.token()) as viewer:
        await viewer.until_heard(loud=False)
        for count in range(ROUNDS):
            asked_s = viewer.send(protocol.Say(text="Please tell me a long story about a trip to the mountains."))
            await viewer.until_heard(loud=True, after_s=asked_s)
            await asyncio.sleep(0.3 + chance.random())
            stopped_s = viewer.send(protocol.Interrupt())
            await viewer.until(protocol.TurnEnded, count=count + 1)
            await asyncio.sleep(LISTEN_S)
            loud = [frame.at_s for frame in viewer.sound if frame.loud and frame.at_s >= stopped_s]
            old = [at_s for at_s in loud if at_s < stopped_s + 0.5]
            last_old_ms.append((max(old) - stopped_s) * 1_000 if old else 0.0)
            later += len(loud) - len(old)
    return {
        "rounds": ROUNDS,
        **percentiles("last_old_audio_ms", last_old_ms),
        "last_old_audio_ms_max": round(max(last_old_ms), 1),
        "old_audio_after_silence": later,
    }
