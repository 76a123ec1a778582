"""The performer is killed and comes back: what does the call see meanwhile, and does the double remember?

All times are the recording camera's. The fall-back counts from the kill to the first of the card's pictures; the return
from the moment at which the new performer is in the room to the first picture on which the double can be recognised.
"""

import asyncio
import sys
import time

from models.face.counter import read_counter
from models.interfaces import Image
from tests.acting_performer import NUMBERS
from tests.bench.laptop import Laptop, laptop, sound_of_its_own
from tests.component.signaling_peers import Service, serving, token
from tests.marks import Seen, look
from tests.viewer import eventually

AWAY_S = (0.0, 1.5, 4.0, 8.0)
"""How long the performer is away before it is started again, which itself takes a second or two."""
STEADY_S = 1.0
PATIENCE_S = 30.0
SAME_PICTURES = 10
"""As many in a row without the double are the card, and not the change to it."""


async def measure(away_s: tuple[float, ...] = AWAY_S) -> dict[str, float]:
    fallbacks_ms: list[float] = []
    returns_ms: list[float] = []
    remembered = 0
    with sound_of_its_own() as server:
        async with serving() as service:
            url = service.url.replace("http", "ws", 1) + "ws"
            performer = await _started(service)
            try:
                async with laptop(url, token("operator"), server=server, look=_look) as local:
                    await _answered(local, 1)
                    for count, pause_s in enumerate(away_s, start=2):
                        await asyncio.sleep(STEADY_S)
                        killed_s = time.monotonic()
                        performer.kill()
                        await performer.wait()
                        await asyncio.sleep(pause_s)
                        performer = await _started(service)
                        present_s = time.monotonic()
                        await eventually(lambda: local.app.air.director.showing == "double", timeout_s=PATIENCE_S)
                        remembered += await _answered(local, count)
                        shown = local.camera.since(killed_s)
                        card_s = _card_s(shown)
                        fallbacks_ms.append((card_s - killed_s) * 1_000)
                        returns_ms.append((_double_s(shown, max(card_s, present_s)) - present_s) * 1_000)
            finally:
                performer.kill()
                await performer.wait()
    return {
        "kills": len(away_s),
        "fallback_ms_max": round(max(fallbacks_ms)),
        "return_ms_max": round(max(returns_ms)),
        "return_ms_min": round(min(returns_ms)),
        "remembered": remembered,
    }


async def _started(service: Service) -> asyncio.subprocess.Process:
    """A performer that is in the room."""
    arguments = ("-m", "tests.acting_performer", "--url", service.url, "--token", token("performer"))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    async with asyncio.timeout(PATIENCE_S):
        while not (await service.rooms()).get("main", {}).get("performer"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return process


async def _answered(local: Laptop, lines: int) -> bool:
    """Say something; whether the double remembers that it was `lines` lines by now."""
    answers = len(_answers(local))
    await eventually(lambda: local.app.link.connected, timeout_s=PATIENCE_S)
    local.app.say("Hello?")
    await eventually(lambda: len(_answers(local)) > answers, timeout_s=PATIENCE_S)
    await eventually(lambda: _answers(local)[-1].endswith("."), timeout_s=PATIENCE_S)
    return f" {NUMBERS[lines]}." in _answers(local)[-1]


def _answers(local: Laptop) -> list[str]:
    """What the double has said."""
    return [" ".join(line.clauses) for line in local.app.view().lines if line.speaker == "double"]


def _look(picture: Image) -> Seen:
    """The counter face is a square in the middle of a wider picture."""
    seen = look(picture)
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    left = (width - height) // 2
    try:
        position: int | None = read_counter(picture[:, left : left + height])[0]
    except ValueError:
        position = None
    return Seen(seen.luma, position, seen.print)


def _card_s(shown: list[tuple[float, Seen]]) -> float:
    """When the card came first."""
    for index, (at_s, seen) in enumerate(shown):
        run = [later for _, later in shown[index : index + SAME_PICTURES]]
        if len(run) == SAME_PICTURES and all(later.position is None and later.print == seen.print for later in run):
            return at_s
    raise AssertionError("the card was never shown")


def _double_s(shown: list[tuple[float, Seen]], after_s: float) -> float:
    """When the double was there first after `after_s`."""
    return next(at_s for at_s, seen in shown if at_s > after_s and seen.position is not None)
