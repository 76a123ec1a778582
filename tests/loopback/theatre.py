"""Signaling, a performer with fake engines and room for viewers, all in one process over real UDP on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from models.asr.scripted import ScriptedRecognizer
from models.face.counter import CounterFace
from models.interfaces import LanguageModel, SpeechSynthesizer
from models.llm.scripted import ScriptedModel
from models.tts.tone import ToneSynthesizer
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad
from peer_remote.metrics import Metrics
from peer_remote.performer import Ears, Performer
from peer_remote.settings import Settings
from peer_remote.turn import Cast
from signaling.client import SignalingClient
from tests.component.signaling_peers import serving, token
from tests.viewer import Viewer

ROOM = "main"
SIZE_PX = 128


@dataclass(frozen=True, slots=True)
class Theatre:
    """A running performance; `viewer()` makes one more guest."""

    url: str
    performer: Performer

    def viewer(self, **options: Any) -> Viewer:
        return Viewer(self.url, ROOM, token("viewer"), **options)


@asynccontextmanager
async def theatre(
    *,
    llm: LanguageModel | None = None,
    tts: SpeechSynthesizer | None = None,
    heard: tuple[str, ...] = ("hello",),
    remote: Mapping[str, Any] | None = None,
    performers: Callable[[Performer], None] = lambda performer: None,
) -> AsyncIterator[Theatre]:
    """Open the house: `llm` and `tts` may be replaced, `heard` is what the recognizer understands."""
    settings = Settings(remote=dict(remote or {}))
    cast = Cast(llm or ScriptedModel(), tts or ToneSynthesizer(), CounterFace(SIZE_PX))
    ears = Ears(EnergyVad, AlwaysDone(), ScriptedRecognizer(heard))
    async with serving() as service, asyncio.TaskGroup() as tasks:
        url = service.url
        async with SignalingClient(url, ROOM, token("performer")) as wire:
            performer = Performer(settings, cast, ears, tasks=tasks, wire=wire, metrics=Metrics())
            performers(performer)
            running = tasks.create_task(_perform(performer, wire), name="performer")
            playing = tasks.create_task(performer.performance.run(), name="performance")
            try:
                yield Theatre(url, performer)
            finally:
                await performer.aclose()
                for task in (running, playing):
                    task.cancel()


async def _perform(performer: Performer, wire: SignalingClient) -> None:
    async for message in wire:
        await performer.handle(message)
