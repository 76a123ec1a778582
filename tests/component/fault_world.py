"""A conversation with engines that need real time, played forty times as fast as it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from models.llm.scripted import ScriptedModel
from models.tts.tone import ToneSynthesizer
from peer_remote.turn import Cast
from signaling import protocol
from tests.component.conversation_world import SlowModel, StillFace, World

SPEED = 40
PATIENCE_S = 5.0
TROUBLE = "Sorry, I lost my thread. Could you say that again?"
ANSWER = "Well then, this is all there is. And that is more."


@asynccontextmanager
async def world_of(llm: Any = None, tts: Any = None, face: Any = None) -> AsyncIterator[World]:
    cast = Cast(llm or ScriptedModel([ANSWER]), tts or ToneSynthesizer(), face or StillFace())
    try:
        async with asyncio.TaskGroup() as tasks:
            world = World(tasks, SlowModel(""), {"trouble": TROUBLE}, cast=cast, speed=SPEED)
            try:
                yield world
            finally:
                world.conversation.close()
                world.performing.cancel()
    finally:
        for engine in (cast.llm, cast.tts, cast.face):
            await engine.aclose()


async def until(happened: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline_s = asyncio.get_running_loop().time() + patience_s
    while not happened():
        assert asyncio.get_running_loop().time() < deadline_s
        await asyncio.sleep(0.005)


async def answered(world: World, line: str = "Hello", patience_s: float = PATIENCE_S) -> tuple[str, str]:
    """How the answer to `line` ends, and what was heard of it."""
    turns = len(world.of(protocol.TurnEnded))
    world.conversation.say(line, source="typed")
    await until(lambda: len(world.of(protocol.TurnEnded)) > turns, patience_s)
    assert world.conversation.at_rest and world.conversation.state == "listening"
    assert world.stage.waiting == 0
    ended = world.last(protocol.TurnEnded)
    return ended.reason, ended.text
