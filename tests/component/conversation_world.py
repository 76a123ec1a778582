"""The performer without a network, on virtual time: slow fake engines, a conversation, and what it sent and played."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.errors import EngineFailed
from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ, Message, Picture, Speech
from peer_remote.clock import MediaClock
from peer_remote.conversation import Conversation
from peer_remote.history import History
from peer_remote.metrics import Metrics
from peer_remote.performance import BeatQueue, Performance
from peer_remote.stage import Beat, Stage
from peer_remote.turn import Cast
from tests.virtual_time import run

WORD_S = 0.3
TOKEN_S = 0.05
CLAUSE_S = 0.2
PICTURE = Picture(np.zeros((24, 16), np.uint8))


class SlowModel:
    """Says `answer` word by word, TOKEN_S each."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked: list[Sequence[Message]] = []
        self.fail_after: int | None = None
        self.words_made = 0
        self.prefilled: list[Sequence[Message]] = []
        self.working = 0
        """Streams that are open now."""
        self.most_working = 0

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        self.asked.append(messages)
        self.working += 1
        self.most_working = max(self.most_working, self.working)
        try:
            for count, word in enumerate(self.answer.split()):
                await asyncio.sleep(TOKEN_S)
                if self.fail_after == count:
                    raise EngineFailed("The model broke.")
                self.words_made += 1
                yield word + " "
        finally:
            self.working -= 1

    async def prefill(self, messages: Sequence[Message]) -> None:
        self.prefilled.append(messages)
        await asyncio.sleep(TOKEN_S)

    async def aclose(self) -> None: ...


class SlowVoice:
    """Speaks WORD_S per word, CLAUSE_S after it is asked."""

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        await asyncio.sleep(CLAUSE_S)
        yield Speech(np.full(int(len(text.split()) * WORD_S * SPEECH_RATE_HZ), 0.5, np.float32))

    async def aclose(self) -> None: ...


class StillFace:
    width_px = height_px = 16

    async def idle(self, position: int) -> Picture:
        return PICTURE

    async def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        samples = 0
        async for piece in speech:
            samples += len(piece.samples)
            while samples >= BEAT_SAMPLES:
                samples -= BEAT_SAMPLES
                yield PICTURE
        if samples:
            yield PICTURE

    async def aclose(self) -> None: ...


@dataclass
class World:
    """Everything between a typed line and the tracks, on virtual time."""

    tasks: asyncio.TaskGroup
    model: SlowModel
    options: dict[str, Any] = field(default_factory=dict)
    """More arguments of the conversation."""
    longest: int = 24
    """Exchanges in the history."""
    cast: Cast | None = None
    """Other engines than the slow fakes."""
    speed: float = 1.0
    """How much faster than life it is played, where engines need real time."""
    sent: list[tuple[float, Any]] = field(default_factory=list)
    played: list[tuple[float, Beat]] = field(default_factory=list)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time
        self.stage = Stage(lead_ms=320)
        self.history = History([Message("system", "persona")], longest=self.longest)
        self.metrics = Metrics()
        clock = MediaClock(
            now=lambda: self.now() * self.speed, sleep=lambda wait_s: asyncio.sleep(wait_s / self.speed), epoch_s=0.0
        )
        cast = self.cast or Cast(self.model, SlowVoice(), StillFace())
        self.conversation = Conversation(
            cast,
            self.stage,
            self.history,
            max_answer_tokens=99,
            tasks=self.tasks,
            send=lambda message: self.sent.append((self.now(), message)),
            metrics=self.metrics,
            media_s=clock.media_s,
            now=self.now,
            **self.options,
        )
        performance = Performance(self.stage, cast.face, clock, played=self._played)
        performance.subscribe(BeatQueue())
        self.performing = self.tasks.create_task(performance.run(), name="performance")

    def _played(self, position: int, beat: Beat) -> None:
        self.played.append((self.now(), beat))
        self.conversation.played(position, beat)

    def of(self, kind: type) -> list[Any]:
        return [message for _, message in self.sent if isinstance(message, kind)]

    def last(self, kind: type) -> Any:
        return self.of(kind)[-1]

    def beats(self, turn_id: int) -> list[int]:
        """Indices of the turn's beats in the order in which they were played."""
        return [beat.index for _, beat in self.played if beat.turn_id == turn_id]

    def loud_times(self) -> list[float]:
        return [at for at, beat in self.played if beat.samples.any()]

    def speech_times(self, turn_id: int) -> list[float]:
        return [at for at, beat in self.played if beat.turn_id == turn_id]


ANSWER = "Well then, this is what I have to say about it today. And that is all."


def scenario(script: Callable[[World], Any], answer: str = ANSWER, longest: int = 24, **options: Any) -> World:
    async def main() -> World:
        async with asyncio.TaskGroup() as tasks:
            world = World(tasks, SlowModel(answer), options, longest)
            await script(world)
            world.conversation.interrupt()
            world.performing.cancel()
        return world

    return run(main())
