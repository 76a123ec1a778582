"""How fast it falls silent: from the stop message to the last old sample."""

import asyncio
import random

from signaling import protocol
from tests.bench.product import ROOM, running
from tests.bench.report import percentiles
from tests.viewer import Viewer

TOPICS = (
    "a trip to the mountains",
    "an old sailor",
    "your first day at work",
    "a dog that got lost",
    "a very long train ride",
    "a market in a small town",
    "the best meal of your life",
    "a storm at the sea",
    "a neighbour who plays the violin",
    "a birthday that went wrong",
    "a garden in spring",
    "a library at night",
    "two brothers and a boat",
    "a winter without snow",
)
SECOND_CLAUSE_TIMEOUT_S = 8.0
LISTEN_S = 1.5
SPEAKING_S = 0.1
"""Sound this short before the stop means that a word was cut; a stop in a pause proves nothing and is not counted."""
OLD_S = 0.5
"""What is heard later than this after the stop does not belong to its last word."""


async def measure() -> dict[str, float]:
    chance = random.Random(7)
    last_old_ms = []
    later = 0
    async with running() as product, Viewer(product.url, ROOM, product.token()) as viewer:
        await viewer.until_heard(loud=False)
        for count, topic in enumerate(TOPICS):
            viewer.send(protocol.Say(text=f"Please tell me a story about {topic}."))
            try:
                await viewer.until(protocol.Caption, turn_id=count + 1, index=1, timeout_s=SECOND_CLAUSE_TIMEOUT_S)
            except TimeoutError:
                continue  # the answer has one clause only
            await asyncio.sleep(0.1 + 0.8 * chance.random())
            stopped_s = viewer.send(protocol.Interrupt())
            await viewer.until(protocol.TurnEnded, count=count + 1)
            await asyncio.sleep(LISTEN_S)
            speaking = any(frame.loud and 0 <= stopped_s - frame.at_s < SPEAKING_S for frame in viewer.sound)
            loud = [frame.at_s for frame in viewer.sound if frame.loud and frame.at_s >= stopped_s]
            later += sum(at_s >= stopped_s + OLD_S for at_s in loud)
            if not speaking:
                continue
            old = [at_s for at_s in loud if at_s < stopped_s + OLD_S]
            last_old_ms.append((max(old) - stopped_s) * 1_000 if old else 0.0)
    if not last_old_ms:
        return {"stopped_while_speaking": 0, "old_audio_after_silence": later}
    return {
        "stopped_while_speaking": len(last_old_ms),
        **percentiles("last_old_audio_ms", last_old_ms),
        "last_old_audio_ms_max": round(max(last_old_ms), 1),
        "old_audio_after_silence": later,
    }
