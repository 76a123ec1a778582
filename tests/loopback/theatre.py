"""Signaling, a performer with fake engines and room for viewers, all in one process over real UDP on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from models.asr.scripted import ScriptedRecognizer
from models.face.counter import CounterFace
from models.interfaces import LanguageModel, SpeechSynthesizer, VoiceActivityDetector
from models.llm.scripted import ScriptedModel
from models.tts.tone import ToneSynthesizer
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad
from peer_remote.metrics import Metrics
from peer_remote.performer import Ears, perform
from peer_remote.settings import Settings
from peer_remote.turn import Cast
from signaling.client import SignalingClient
from signaling.protocol import Role
from tests.component.signaling_peers import Service, serving, token
from tests.viewer import Viewer

ROOM = "main"
SIZE_PX = 128


@dataclass(slots=True)
class Theatre:
    """A running performance; `viewer()` makes one more guest."""

    service: Service
    metrics: Metrics
    begin: Callable[[], asyncio.Task[None]]
    performing: asyncio.Task[None]

    async def end_performer(self) -> None:
        """The performer goes without a word to its guests but what closing says."""
        self.performing.cancel()
        await asyncio.wait((self.performing,))

    def begin_performer(self) -> None:
        """Another performer, which knows nothing, takes the stage."""
        self.performing = self.begin()

    def viewer(self, *, role: Role = "viewer", **options: Any) -> Viewer:
        return Viewer(self.service.url, ROOM, token(role), **options)

    def figure(self, name: str) -> float:
        """A metric of the performer, such as `understudy_viewers`."""
        value = self.metrics.registry.get_sample_value(name)
        assert value is not None, name
        return value


@asynccontextmanager
async def theatre(
    *,
    llm: LanguageModel | None = None,
    tts: SpeechSynthesizer | None = None,
    heard: tuple[str, ...] = ("hello",),
    remote: Mapping[str, Any] | None = None,
    signaling: Mapping[str, Any] | None = None,
    vad: Callable[[], VoiceActivityDetector] = EnergyVad,
) -> AsyncIterator[Theatre]:
    """Open the house: the engines may be replaced, `heard` is what the recognizer understands."""
    settings = Settings(remote=dict(remote or {}), persona={"openings": ()})
    cast = Cast(llm or ScriptedModel(), tts or ToneSynthesizer(), CounterFace(SIZE_PX))
    ears = Ears(vad, AlwaysDone(), ScriptedRecognizer(heard))
    metrics = Metrics()
    async with serving(**(signaling or {})) as service, asyncio.TaskGroup() as tasks:

        def begin() -> asyncio.Task[None]:
            wire = SignalingClient(service.url, ROOM, token("performer"))
            performance = perform(settings, cast, ears, wire=wire, metrics=Metrics() if house else metrics)
            return tasks.create_task(performance, name="performer")

        house: Theatre | None = None
        house = Theatre(service, metrics, begin, begin())
        try:
            yield house
            assert not house.performing.done(), "the performer ended before its guests"
        finally:
            house.performing.cancel()
