"""What every engine promises, real and fake alike (models/interfaces.py).

Work is counted in steps of the engine, never in seconds.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from itertools import count, cycle
from typing import Any

import numpy as np
import pytest

from models.chain.language_model import LanguageModelChain
from models.errors import EngineFailed
from models.face.host.face import HostFace
from models.interfaces import (
    BEAT_SAMPLES,
    HEARING_RATE_HZ,
    SPEECH_RATE_HZ,
    VAD_WINDOW_SAMPLES,
    LanguageModel,
    Message,
    Picture,
    Samples,
    Speech,
)
from models.llm.openai_server import OpenAiServerModel
from models.llm.scripted import ScriptedModel
from models.llm.server import Server
from models.registry import ENGINES, Kind, create
from models.settings import EngineSettings, FaceSettings, WeightsSettings
from models.tts.recording import wav_bytes
from models.weights import locate
from tests import pocket_stand_in
from tests.broken_engines import Broken, chain
from tests.face_service import RunningService
from tests.fish_server import FishServer
from tests.language_server import language_server
from tests.small_musetalk import small_face
from tests.vowels import RATE_HZ, vowel

NEEDS_WEIGHTS = {"smart_turn", "faster_whisper", "llama_cpp", "openai", "kokoro", "puppet"}
HELLO = [Message("system", "Answer in one short sentence."), Message("user", "Hello! Who are you?")]
SENTENCE = "Hello there, this is a short test."


def names(kind: Kind) -> list[str]:
    """Every engine, and chains of them: one whose first member is well, and one whose first member never is."""
    return [*ENGINES[kind], *(("chain", "chain_of_last") if kind in CHAINED else ())]


def each(kind: Kind) -> pytest.MarkDecorator:
    marked = [pytest.param(name, marks=[pytest.mark.weights] if name in NEEDS_WEIGHTS else []) for name in names(kind)]
    return pytest.mark.parametrize("name", marked)


@pytest.fixture(scope="module")
def llm_server() -> Iterator[Server]:
    with language_server() as server:
        yield server


@pytest.fixture(scope="module")
def voice_server() -> Iterator[FishServer]:
    with FishServer(references={"me": (b"", "")}) as server:
        yield server


@pytest.fixture(scope="module")
def face_services() -> Iterator[Iterator[FaceSettings]]:
    """Two, in turn: a service draws for one performer."""
    with RunningService(lambda: HostFace(128)) as one, RunningService(lambda: HostFace(128)) as other:
        yield cycle((one.settings(), other.settings()))


@pytest.fixture(autouse=True)
def served(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of the language model, of the voice and of the face run for the tests of their clients."""
    name = request.node.callspec.params.get("name") if getattr(request.node, "callspec", None) else None
    if name == "openai":
        server: Server = request.getfixturevalue("llm_server")
        monkeypatch.setitem(OPTIONS, "openai", {"url": server.url, "key": server.key})
    if name == "fish_speech":
        voice: FishServer = request.getfixturevalue("voice_server")
        monkeypatch.setitem(OPTIONS, "fish_speech", {"fish_speech": {"url": voice.url, "reference": "me"}})
    if name == "pocket":
        recording = request.getfixturevalue("tmp_path") / "me.wav"
        recording.write_bytes(wav_bytes(np.tile(vowel(), 12), RATE_HZ))
        monkeypatch.setitem(sys.modules, "pocket_tts", pocket_stand_in.module())
        monkeypatch.setitem(OPTIONS, "pocket", {"pocket": {"recording": recording}})
    if name == "remote":
        monkeypatch.setitem(SERVICES, "remote", request.getfixturevalue("face_services"))


CHAINED: dict[Kind, str] = {"llm": "scripted", "tts": "tone", "face": "counter"}
"""What the members of the chains under test are."""
OPTIONS: dict[str, dict[str, Any]] = {}
"""Of engines that need something which only runs during a test."""
SERVICES: dict[str, Iterator[FaceSettings]] = {}
"""The settings of each next face that another process draws."""


def made(kind: Kind, name: str) -> Any:
    """The engine with its smallest model, deterministic."""
    if name == "musetalk":
        return small_face()
    if name == "remote":
        return create(kind, EngineSettings(face=next(SERVICES[name])))
    if name in ("chain", "chain_of_last"):
        return chain(kind, CHAINED[kind], first_is_well=name == "chain")
    smallest: dict[Kind, dict[str, Any]] = {
        "asr": {"model": "whisper-tiny.en"},
        "llm": {"model": "smollm2-135m-instruct", "temperature": 0, "context_tokens": 512},
        "face": {"size_px": 128},
    }
    options = {"engine": name, **smallest.get(kind, {}), **OPTIONS.get(name, {})}
    if name == "puppet":
        options["photo"] = locate("test-photo", WeightsSettings().dir) / "astronaut.png"
    return create(kind, EngineSettings.model_validate({kind: options}))


@pytest.fixture
def threads() -> Callable[[], set[str]]:
    """Names of the threads that appeared since, apart from the event loop's own executor."""
    before = set(threading.enumerate())
    return lambda: {
        thread.name for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio")
    }


async def said(model: LanguageModel, messages: list[Message] | None = None, max_tokens: int = 8) -> list[str]:
    async with aclosing(model.stream(messages or HELLO, max_tokens=max_tokens)) as pieces:
        return [piece async for piece in pieces]


def work(model: Any) -> int:
    """Steps that the language model made so far."""
    if isinstance(model, LanguageModelChain):
        return sum(map(work, model.engines))
    if isinstance(model, OpenAiServerModel):
        return model.received_pieces
    if isinstance(model, Broken):
        return 0
    return int(model.pieces_made if isinstance(model, ScriptedModel) else model.evaluated_tokens)


async def cancelled_amid(stream: AsyncGenerator[object, None]) -> None:
    """Cancel the task that takes from `stream` after its first piece."""
    begun = asyncio.Event()

    async def consume() -> None:
        async with aclosing(stream):
            async for _ in stream:
                begun.set()
                await asyncio.sleep(0)

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@each("llm")
async def test_an_answer_comes_in_pieces_and_in_order(name: str) -> None:
    model = made("llm", name)
    try:
        pieces = await said(model)
        assert len(pieces) > 1
        assert all(pieces)
        assert await said(model) == pieces
        assert await said(model, max_tokens=2) == pieces[:2]
    finally:
        await model.aclose()


@each("llm")
async def test_the_first_word_comes_before_the_last_and_closing_stops_the_model(name: str) -> None:
    model = made("llm", name)
    try:
        await model.prefill(HELLO)
        stream = model.stream(HELLO, max_tokens=100)
        await anext(stream)
        begun = work(model)
        await stream.aclose()
        stopped = work(model)
        assert stopped - begun <= 2
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await asyncio.sleep(0)
        assert work(model) == stopped
    finally:
        await model.aclose()


@each("llm")
async def test_a_cancelled_answer_is_cancelled_and_the_next_one_is_whole(name: str) -> None:
    model = made("llm", name)
    try:
        expected = await said(model)
        await cancelled_amid(model.stream(HELLO, max_tokens=100))
        assert await said(model) == expected
    finally:
        await model.aclose()


@each("llm")
async def test_a_failed_request_leaves_the_model_usable(name: str) -> None:
    model: Any = made("llm", name)
    for scripted in getattr(model, "engines", [model]):
        if isinstance(scripted, ScriptedModel):
            scripted.fail_after_pieces = 1
    try:
        with pytest.raises(EngineFailed):
            await said(model, [Message("user", "word " * 1_000)])
        assert len(await said(model)) > 1
    finally:
        await model.aclose()


@each("tts")
async def test_speech_is_sound_and_its_phonemes_lie_in_it(name: str) -> None:
    synthesizer = made("tts", name)
    try:
        async with aclosing(synthesizer.stream(SENTENCE)) as stream:
            chunks = [chunk async for chunk in stream]
        assert sum(len(chunk.samples) for chunk in chunks) > SPEECH_RATE_HZ // 2
        for chunk in chunks:
            assert chunk.samples.dtype == np.float32
            assert chunk.samples.ndim == 1
            assert np.abs(chunk.samples).max() <= 1
            edges = [edge for phoneme in chunk.phonemes for edge in (phoneme.start_samples, phoneme.end_samples)]
            assert edges == sorted(edges)
            assert not edges or (edges[0] >= 0 and edges[-1] <= len(chunk.samples))
    finally:
        await synthesizer.aclose()


@each("tts")
async def test_nothing_to_say_is_no_sound(name: str) -> None:
    synthesizer = made("tts", name)
    try:
        for text in ("", "  ", "..."):
            async with aclosing(synthesizer.stream(text)) as stream:
                assert [chunk async for chunk in stream] == []
    finally:
        await synthesizer.aclose()


@each("tts")
async def test_after_an_interrupted_clause_the_next_one_is_whole(name: str) -> None:
    synthesizer = made("tts", name)

    async def length(text: str) -> int:
        async with aclosing(synthesizer.stream(text)) as stream:
            return sum([len(chunk.samples) async for chunk in stream])

    try:
        whole = await length("Yes.")
        async with aclosing(synthesizer.stream(SENTENCE)) as stream:
            await anext(stream)
        await cancelled_amid(synthesizer.stream(SENTENCE))
        assert await length("Yes.") == pytest.approx(whole, rel=0.05)
    finally:
        await synthesizer.aclose()


def speech(beats: float) -> Speech:
    time = np.arange(int(beats * BEAT_SAMPLES)) / SPEECH_RATE_HZ
    return Speech((0.3 * np.sin(2 * np.pi * 150 * time)).astype(np.float32))


class Talk:
    """An endless talk in pieces of ten beats that counts how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[Speech]:
        while True:
            self.taken += 1
            yield speech(10)


def fits(picture: Picture, face: Any) -> bool:
    return picture.i420.dtype == np.uint8 and picture.i420.shape == (face.height_px * 3 // 2, face.width_px)


@each("face")
async def test_an_idle_face_is_a_function_of_the_beat(name: str) -> None:
    face, twin = made("face", name), made("face", name)
    try:
        pictures = [await face.idle(position) for position in (0, 50, 51)]
        assert all(fits(picture, face) for picture in pictures)
        assert (await face.idle(50)).i420.tolist() == pictures[1].i420.tolist()
        assert (await twin.idle(50)).i420.tolist() == pictures[1].i420.tolist()
    finally:
        await face.aclose()
        await twin.aclose()


@each("face")
@pytest.mark.parametrize(("beats", "pictures"), [((3,), 3), ((2.5,), 3), ((1.5, 0.25, 1.75), 4), ((), 0)])
async def test_a_talking_face_is_one_picture_a_beat(name: str, beats: tuple[float, ...], pictures: int) -> None:
    face = made("face", name)

    async def talk() -> AsyncIterator[Speech]:
        for length in beats:
            yield speech(length)

    try:
        position = count(100)
        async with aclosing(face.speak(talk(), lambda: next(position))) as stream:
            drawn = [picture async for picture in stream]
        assert len(drawn) == pictures
        assert all(fits(picture, face) for picture in drawn)
    finally:
        await face.aclose()


@each("face")
async def test_the_first_picture_comes_before_the_talk_is_over_and_closing_stops_the_drawing(name: str) -> None:
    face, talk = made("face", name), Talk()
    try:
        stream = face.speak(aiter(talk), lambda: 0)
        assert fits(await anext(stream), face)
        assert talk.taken <= 2
        await stream.aclose()
        stopped = talk.taken
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await asyncio.sleep(0)
        assert talk.taken == stopped
        assert fits(await face.idle(1), face)
    finally:
        await face.aclose()


@each("face")
async def test_a_talk_that_breaks_off_with_an_error_leaves_the_face_usable(name: str) -> None:
    face = made("face", name)

    async def broken() -> AsyncIterator[Speech]:
        yield speech(1)
        raise EngineFailed("The voice failed.")

    try:
        with pytest.raises(EngineFailed):
            async with aclosing(face.speak(broken(), lambda: 0)) as stream:
                async for _ in stream:
                    pass
        async with aclosing(face.speak(aiter(Talk()), lambda: 0)) as stream:
            assert fits(await anext(stream), face)
    finally:
        await face.aclose()


STREAMS: dict[Kind, Callable[[Any], Any]] = {
    "llm": lambda engine: engine.stream(HELLO, max_tokens=3),
    "tts": lambda engine: engine.stream(SENTENCE),
    "face": lambda engine: engine.speak(aiter(Talk()), lambda: 0),
}
STREAMING = [
    pytest.param(kind, name, marks=[pytest.mark.weights] if name in NEEDS_WEIGHTS else [])
    for kind in STREAMS
    for name in names(kind)
]


@pytest.mark.parametrize(("kind", "name"), STREAMING)
async def test_a_closed_engine_gives_nothing_and_leaves_no_thread(
    kind: Kind, name: str, threads: Callable[[], set[str]]
) -> None:
    engine = made(kind, name)
    async with aclosing(STREAMS[kind](engine)) as stream:
        await anext(stream)
    await engine.aclose()
    with pytest.raises((EngineFailed, RuntimeError, StopAsyncIteration)):
        await anext(STREAMS[kind](engine))
    assert not threads()


@each("asr")
async def test_silence_says_nothing(name: str, threads: Callable[[], set[str]]) -> None:
    recognizer = made("asr", name)
    transcript = await recognizer.transcribe(np.zeros(HEARING_RATE_HZ, np.float32), language="en")
    assert transcript.text == ""
    assert transcript.language == "en"
    await recognizer.aclose()
    assert not threads()


@each("turn")
async def test_an_end_of_turn_is_a_probability(name: str, threads: Callable[[], set[str]]) -> None:
    detector = made("turn", name)
    for seconds in (1, 20):
        hum = speech(seconds * 25).samples[::3]
        assert 0 <= await detector.probability(hum) <= 1
    await detector.aclose()
    assert not threads()


def windows(samples: Samples) -> list[Samples]:
    whole = len(samples) // VAD_WINDOW_SAMPLES * VAD_WINDOW_SAMPLES
    return list(samples[:whole].reshape(-1, VAD_WINDOW_SAMPLES))


@each("vad")
def test_silence_is_no_speech_and_a_reset_forgets_everything(name: str) -> None:
    detector = made("vad", name)
    hum = windows(speech(10).samples[::3])
    first = [detector.probability(window) for window in hum]
    detector.reset()
    assert all(detector.probability(window) < 0.5 for window in windows(np.zeros(HEARING_RATE_HZ, np.float32)))
    detector.reset()
    assert [detector.probability(window) for window in hum] == first


@pytest.mark.weights
async def test_the_ears_understand_our_own_voice() -> None:
    synthesizer, recognizer = made("tts", "kokoro"), made("asr", "faster_whisper")
    ends, detector = made("turn", "smart_turn"), made("vad", "silero")
    try:
        async with aclosing(synthesizer.stream("The weather in London is cold today.")) as stream:
            spoken = np.concatenate([chunk.samples async for chunk in stream])
        heard = spoken[: len(spoken) // 3 * 3].reshape(-1, 3).mean(axis=1)
        text = (await recognizer.transcribe(heard, language="en")).text.lower()
        assert {"weather", "london", "cold"} <= set(text.replace(".", "").split())
        assert await ends.probability(heard) > await ends.probability(heard[: len(heard) * 6 // 10])
        assert np.mean([detector.probability(window) > 0.5 for window in windows(heard)]) > 0.5
    finally:
        for engine in (synthesizer, recognizer, ends):
            await engine.aclose()
