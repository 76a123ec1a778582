"""Engines that fail as told, and chains that begin with one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Literal

from models.chain.breaker import Breaker
from models.chain.create import create
from models.chain.face import FaceChain
from models.chain.language_model import LanguageModelChain
from models.chain.members import Member
from models.chain.voice import VoiceChain
from models.errors import EngineFailed
from models.interfaces import Message, Picture, Speech
from models.llm.scripted import ScriptedModel
from models.registry import Kind
from models.registry import create as create_engine
from models.settings import EngineSettings

Fault = Literal["fail", "hang", "wrong"]
"""wrong is a bug: an exception that no engine should raise."""
FAULTS: tuple[Fault, ...] = ("fail", "hang", "wrong")


HELLO = [Message("user", "Hello!")]


class Broken:
    """Any engine: gives what `inner` gives, then does `fault` after so many items; None is well.

    `after` counts the items of one request; an idle picture is none.
    """

    def __init__(self, inner: Any, fault: Fault | None = "fail", after: int = 0) -> None:
        self.inner = inner
        self.fault = fault
        self.after = after
        self.asked = 0
        self.closed = False

    @property
    def width_px(self) -> int:
        return int(self.inner.width_px)

    @property
    def height_px(self) -> int:
        return int(self.inner.height_px)

    def stream(self, *arguments: Any, **options: Any) -> AsyncGenerator[Any, None]:
        return self._faulty(self.inner.stream(*arguments, **options))

    def speak(self, speech: AsyncIterator[Speech], position: Callable[[], int]) -> AsyncGenerator[Picture, None]:
        return self._faulty(self.inner.speak(speech, position))

    async def idle(self, position: int) -> Picture:
        self.asked += 1
        await self._fail(0)
        picture: Picture = await self.inner.idle(position)
        return picture

    async def prefill(self, messages: Sequence[Message]) -> None:
        self.asked += 1
        await self._fail(0)
        await self.inner.prefill(messages)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()

    async def _faulty(self, stream: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        self.asked += 1
        given = 0
        try:
            await self._fail(given)
            async for item in stream:
                yield item
                given += 1
                await self._fail(given)
        finally:
            await stream.aclose()

    async def _fail(self, given: int) -> None:
        if self.fault is None or given < self.after:
            return
        if self.fault == "hang":
            await asyncio.Event().wait()
        raise EngineFailed("The engine is broken.") if self.fault == "fail" else RuntimeError("a bug")


def chain(kind: Kind, name: str, *, first_is_well: bool) -> Any:
    """A chain of two small engines `name`."""
    settings = EngineSettings.model_validate(
        {kind: {"engine": name, "fallbacks": [name], **({"size_px": 128} if kind == "face" else {})}}
    )
    if first_is_well:
        assert kind in ("llm", "tts", "face")
        return create(kind, settings)
    alone = settings.model_copy(update={kind: getattr(settings, kind).fallbacks[0]})
    engines = [create_engine(kind, alone) for _ in range(2)]
    return chain_of(kind, Broken(engines[0]), engines[1])


def chain_of(kind: str, *engines: Any, patience_s: float = 1.0, failures: int = 1, **options: Any) -> Any:
    """A chain of `engines`, named first, second, third; one that is a function is made in the background."""
    members = [
        Member(
            name,
            engine if callable(engine) else partial(_nothing_to_make, name),
            None if callable(engine) else engine,
            Breaker(failures=failures, **options),
        )
        for name, engine in zip(("first", "second", "third"), engines, strict=False)
    ]
    kinds = {"llm": LanguageModelChain, "tts": VoiceChain, "face": FaceChain}
    return kinds[kind](members, patience_s=patience_s)


def _nothing_to_make(name: str) -> Any:
    raise AssertionError(f"the {name} engine was made already")


def model(answer: str = "one two three", fault: Fault | None = None, after: int = 0) -> Broken:
    return Broken(ScriptedModel([answer]), fault, after)


async def said(chain: Any) -> str:
    async with aclosing(chain.stream(HELLO, max_tokens=9)) as pieces:
        return "".join([piece async for piece in pieces])


async def spoken(chain: Any, text: str = "one two three four five six seven") -> list[Speech]:
    async with aclosing(chain.stream(text)) as pieces:
        return [piece async for piece in pieces]


def samples(pieces: list[Speech]) -> int:
    return sum(len(piece.samples) for piece in pieces)
