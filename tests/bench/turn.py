"""How long an answer takes, from the typed line or the end of speech to the first sound, stage by stage."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

from signaling import protocol
from tests.bench.product import ROOM, running
from tests.bench.report import percentiles
from tests.bench.voices import Microphone, utterances
from tests.viewer import Viewer

TYPED = (
    "Hi, how are you today?",
    "What did you do last weekend?",
    "Can we move our meeting to Thursday?",
    "Which book would you recommend to me?",
    "What do you think about remote work?",
    "Do you like to cook?",
    "How do I get better at public speaking?",
    "What is the capital of Ukraine?",
    "Tell me something nice about autumn.",
    "Could you explain what a virtual camera is?",
)
SPOKEN = (
    "Hello, can you hear me well?",
    "What is your favourite season of the year?",
    "Should we start with the first point on the list?",
    "How long does it take to learn a new language?",
    "Do you have any plans for the evening?",
    "Please tell me how your day has been so far.",
    "What would you change about the schedule?",
    "Is there anything else that we should talk about?",
    "Where would you like to travel next summer?",
    "Can you give me one good piece of advice?",
)
VOICES = ("am_michael", "bf_emma", "af_bella")
ANSWER_TIMEOUT_S = 30.0
SECOND_CLAUSE_TIMEOUT_S = 6.0
LISTEN_S = 2.0
"""How long it may talk on before it is stopped, as people do."""
PAUSE_S = 1.0


async def measure() -> dict[str, float]:
    clips = await utterances(SPOKEN, VOICES)
    typed: dict[str, list[float]] = defaultdict(list)
    spoken: dict[str, list[float]] = defaultdict(list)
    async with running() as product:
        microphone = Microphone()
        async with Viewer(product.url, ROOM, product.token(), microphone=microphone) as viewer:
            await viewer.until_heard(loud=False)
            for line in TYPED:

                async def type_line(line: str = line) -> float:
                    return viewer.send(protocol.Say(text=line))

                await _ask(viewer, type_line, typed)
            viewer.send(protocol.Microphone(on=True))
            for clip in clips:

                async def speak(clip: object = clip) -> float:
                    return await microphone.say(clip)  # type: ignore[arg-type]

                await _ask(viewer, speak, spoken)
    figures: dict[str, float] = {"typed_turns": len(typed["first_audio"]), "spoken_turns": len(spoken["first_audio"])}
    for source, stages in (("typed", typed), ("spoken", spoken)):
        for stage, values in stages.items():
            figures |= percentiles(f"{source}_{stage}_s", values)
    return figures


async def _ask(viewer: Viewer, ask: Callable[[], Awaitable[float]], stages: dict[str, list[float]]) -> None:
    """Ask once, wait for the first audible packet and the second clause, listen a little, stop it, note the moments."""
    ended_before = len(viewer.of(protocol.TurnEnded))
    asked_s = await ask()
    heard = await viewer.until_heard(loud=True, after_s=asked_s, timeout_s=ANSWER_TIMEOUT_S)
    stages["first_audio"].append(heard.at_s - asked_s)
    try:
        await viewer.until(protocol.Caption, turn_id=ended_before + 1, index=1, timeout_s=SECOND_CLAUSE_TIMEOUT_S)
        stages["second_clause"].append(time.monotonic() - asked_s)
    except TimeoutError:
        pass  # the answer has one clause only
    await asyncio.sleep(LISTEN_S)
    viewer.send(protocol.Interrupt())
    ended = await viewer.until(protocol.TurnEnded, count=ended_before + 1)
    for moment, at_ms in ended.moments_ms.items():
        stages[moment].append(at_ms / 1_000)
    await asyncio.sleep(PAUSE_S)
