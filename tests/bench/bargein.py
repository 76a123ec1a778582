"""How fast the double falls silent when somebody in the call begins to speak, and whether it stays so.

The onset is the first audible sample of the interruption at the loudspeaker, silence the last of the answer's at the
virtual microphone, both by the same recorder. Only interruptions that cut a word are counted. `after_detector` counts
from the moment at which the ears report speech that is long enough to interrupt.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from models.hearing.listener import HearingEvent, SpeechConfirmed
from peer_local.call import Call
from tests.bench.call_sound import call_sound
from tests.bench.interrupt import TOPICS
from tests.bench.laptop import Laptop, laptop, sound_of_its_own
from tests.bench.product import ROOM, running
from tests.bench.report import percentiles
from tests.bench.speech import SETTLE_S
from tests.bench.voices import utterances
from tests.viewer import LOUD, eventually

INTERRUPTIONS = (
    "Sorry, could I say something about this for a moment?",
    "Wait, please stop there, I have another question for you.",
    "Excuse me, I would like to talk about something else now.",
)
VOICES = ("am_michael", "bf_emma", "af_bella")
SECOND_CLAUSE_TIMEOUT_S = 12.0
SPEAKING_S = 0.1
"""Sound this short before the onset means that a word was cut."""
OLD_S = 0.7
"""What is heard later than this after the onset does not belong to the word that was cut."""
PAUSE_S = 4.0


async def measure(times: int = len(TOPICS)) -> dict[str, float]:
    clips = await utterances(INTERRUPTIONS, VOICES)
    chance = random.Random(9)
    silent_ms: list[float] = []
    after_detector_ms: list[float] = []
    later = missed = 0
    with sound_of_its_own() as server, _confirmations() as confirmed_s:
        async with (
            running() as product,
            call_sound(server) as call,
            laptop(
                product.url, product.token("operator"), room=ROOM, server=server, sections={"ears": {"source": "call"}}
            ) as local,
        ):
            await asyncio.sleep(SETTLE_S)
            for number, topic in enumerate(TOPICS[:times]):
                if not await _second_clause(local, f"Please tell me a long story about {topic}."):
                    continue
                await asyncio.sleep(0.1 + 0.8 * chance.random())
                onset_s, ended_s = await call.play(clips[number % len(clips)])
                loud_s = _loud_s(local, onset_s - SPEAKING_S, ended_s)
                old_s = loud_s[loud_s < onset_s + OLD_S]
                later += int(np.sum(loud_s >= onset_s + OLD_S) > 0)
                if len(old_s) and old_s[0] < onset_s:
                    silent_ms.append((old_s[-1] - onset_s) * 1_000)
                    fired_s = [at_s for at_s in confirmed_s if onset_s < at_s < ended_s]
                    missed += not fired_s
                    after_detector_ms += [(old_s[-1] - at_s) * 1_000 for at_s in fired_s[:1]]
                await asyncio.sleep(PAUSE_S)
                local.app.interrupt()
                await asyncio.sleep(1)
    if not silent_ms:
        return {"interrupted_while_speaking": 0, "old_words_after": later}
    return {
        "interrupted_while_speaking": len(silent_ms),
        **percentiles("silent_ms", silent_ms),
        "silent_ms_max": round(float(max(silent_ms)), 1),
        **(percentiles("after_detector_ms", after_detector_ms) if after_detector_ms else {}),
        "not_detected": missed,
        "old_words_after": later,
    }


async def _second_clause(local: Laptop, line: str) -> bool:
    """Type `line` and wait until the second clause of its answer is heard; false when there is none."""
    before = local.app.call.clause
    local.app.say(line)

    def heard() -> bool:
        clause = local.app.call.clause
        return clause is not None and clause.index > 0 and (before is None or clause.turn_id > before.turn_id)

    try:
        await eventually(heard, timeout_s=SECOND_CLAUSE_TIMEOUT_S)
    except TimeoutError:
        local.app.interrupt()
        await asyncio.sleep(1)
        return False
    return True


def _loud_s(local: Laptop, start_s: float, end_s: float) -> NDArray[np.float64]:
    """The times of all audible samples of the virtual microphone from `start_s` to `end_s`."""
    heard = local.heard()
    first, last = heard.place(start_s), heard.place(end_s)
    return heard.at_s(first + np.flatnonzero(np.abs(heard.samples[first:last]) > LOUD))


@contextmanager
def _confirmations() -> Iterator[list[float]]:
    """The moments at which the ears say that somebody speaks long enough to interrupt."""
    moments: list[float] = []
    hear = Call.hear

    def noting(call: Call, event: HearingEvent) -> None:
        if isinstance(event, SpeechConfirmed):
            moments.append(time.monotonic())
        hear(call, event)

    with patch.object(Call, "hear", noting):
        yield moments
