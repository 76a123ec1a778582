"""Chains of engines: whoever asks notices as little as possible of a member that fails."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import numpy as np
import pytest

from models.chain.fade import FADE_SAMPLES, PAUSE_SAMPLES
from models.chain.voice import LITTLE_SAMPLES
from models.errors import ClauseCutShort, EngineFailed, EngineUnavailable
from models.face.counter import CounterFace, read_counter
from models.interfaces import BEAT_SAMPLES, Message, Picture, Speech
from models.llm.scripted import ScriptedModel
from models.tts.tone import CHUNK_SAMPLES, ToneSynthesizer
from tests.broken_engines import FAULTS, Broken, Fault, chain_of
from tests.virtual_time import run

HELLO = [Message("user", "Hello!")]


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


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_fails_before_its_first_word_comes_from_the_next_model(fault: Fault) -> None:
    async def main() -> None:
        chain = chain_of("llm", model(fault=fault), model("from another"))
        assert await said(chain) == "from another"
        assert asyncio.get_running_loop().time() == (1.0 if fault == "hang" else 0.0)
        health = chain.health()
        assert (health.engine, health.state) == ("second", "fallback")
        assert health.reason == {"fail": "failed", "hang": "too_slow", "wrong": "internal_error"}[fault]
        await chain.aclose()

    run(main())


def test_a_model_that_hangs_costs_its_listeners_the_patience_once() -> None:
    async def main() -> None:
        first = model(fault="hang")
        chain = chain_of("llm", first, model("from another"))
        for _ in range(5):
            assert await said(chain) == "from another"
        assert asyncio.get_running_loop().time() == 1.0
        assert first.asked == 1
        await chain.aclose()

    run(main())


def test_a_model_that_is_well_again_is_found_in_the_background_and_asked_from_then_on() -> None:
    async def main() -> None:
        first = model(fault="hang")
        chain = chain_of("llm", first, model("from another"), now=asyncio.get_running_loop().time)
        await said(chain)
        first.fault = None
        await asyncio.sleep(2.5)
        began_s = asyncio.get_running_loop().time()
        assert await said(chain) == "one two three"
        assert asyncio.get_running_loop().time() == began_s
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


def test_a_model_that_stays_ill_is_tried_less_and_less() -> None:
    async def main() -> None:
        first = model(fault="fail")
        chain = chain_of("llm", first, model(), now=asyncio.get_running_loop().time)
        await said(chain)
        await asyncio.sleep(600)
        assert 10 < first.asked < 17
        await chain.aclose()

    run(main())


def test_an_answer_that_breaks_off_later_is_not_made_up_by_another_model() -> None:
    async def main() -> None:
        chain = chain_of("llm", model(fault="fail", after=2), model("from another"))
        heard = []
        with pytest.raises(EngineFailed):
            async with aclosing(chain.stream(HELLO, max_tokens=9)) as pieces:
                async for piece in pieces:
                    heard.append(piece)
        assert heard == ["one", " two"]
        assert await said(chain) == "from another"
        await chain.aclose()

    run(main())


def test_when_all_models_are_down_each_is_tried_and_the_last_says_why() -> None:
    async def main() -> None:
        broken = [model(fault="fail") for _ in range(3)]
        chain = chain_of("llm", *broken)
        for _ in range(2):
            with pytest.raises(EngineFailed):
                await said(chain)
        assert chain.health().state == "down"
        assert all(one.asked >= 2 for one in broken)
        broken[1].fault = None
        assert await said(chain) == "one two three"
        await chain.aclose()

    run(main())


def test_a_conversation_is_brought_into_the_cache_of_the_model_that_will_answer() -> None:
    async def main() -> None:
        first, second = model(fault="fail"), model()
        chain = chain_of("llm", first, second)
        await chain.prefill(HELLO)
        await chain.prefill(HELLO)
        assert second.inner.prefills == [HELLO, HELLO]
        assert first.asked == 1
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", ["fail", "wrong"])
@pytest.mark.parametrize("after", [0, 1])
def test_who_asks_in_vain_is_told_in_a_sentence(fault: Fault, after: int) -> None:
    async def main() -> None:
        minds = [model(fault=fault, after=after) for _ in range(2)]
        voices = [Broken(ToneSynthesizer(), fault, after) for _ in range(2)]
        faces = [Broken(CounterFace(128), fault, after) for _ in range(2)]
        llm, tts, face = chain_of("llm", *minds), chain_of("tts", *voices), chain_of("face", *faces)
        for failing in (said(llm), spoken(tts), drawn(face, talk(3))):
            with pytest.raises(EngineFailed):
                await failing
        if not after:
            for asking in (face.idle(0), llm.prefill(HELLO)):
                with pytest.raises(EngineFailed):
                    await asking
        for chain in (llm, tts, face):
            await chain.aclose()

    run(main())


def test_closing_an_answer_stops_the_model_and_blames_nobody() -> None:
    async def main() -> None:
        first = model()
        chain = chain_of("llm", first, model())
        stream = chain.stream(HELLO, max_tokens=9)
        await anext(stream)
        await stream.aclose()
        assert first.inner.pieces_made == 1
        assert chain.health().state == "ok"
        assert await said(chain) == "one two three"
        await chain.aclose()

    run(main())


def test_who_interrupts_while_a_model_hangs_does_not_wait_for_it_and_blames_nobody() -> None:
    async def main() -> None:
        first = model(fault="hang")
        chain = chain_of("llm", first, model("from another"))
        asking = asyncio.create_task(said(chain))
        await asyncio.sleep(0.5)
        asking.cancel()
        await asyncio.wait((asking,))
        assert asyncio.get_running_loop().time() == 0.5
        assert chain.health().state == "ok"
        first.fault = None
        assert await said(chain) == "one two three"
        await chain.aclose()

    run(main())


def test_a_model_that_hangs_is_left_though_people_speak_on_before_the_patience_ends() -> None:
    async def main() -> None:
        chain = chain_of("llm", model(fault="hang"), model("from another"))
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.7):
                    await said(chain)
        assert await said(chain) == "from another"
        assert asyncio.get_running_loop().time() == pytest.approx(1.4)
        assert chain.health().reason == "too_slow"
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clause_that_fails_before_its_first_sound_is_spoken_by_the_next_voice(fault: Fault) -> None:
    async def main() -> None:
        chain = chain_of("tts", Broken(ToneSynthesizer(), fault), ToneSynthesizer())
        assert samples(await spoken(chain)) == samples(await spoken(ToneSynthesizer()))
        assert chain.speaker == "second"
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clause_of_which_little_was_heard_fades_out_and_is_said_again(fault: Fault) -> None:
    async def main() -> None:
        chain = chain_of("tts", Broken(ToneSynthesizer(), fault, after=1), ToneSynthesizer())
        pieces = await spoken(chain)
        whole = samples(await spoken(ToneSynthesizer()))
        assert samples(pieces) == CHUNK_SAMPLES + FADE_SAMPLES + PAUSE_SAMPLES + whole
        broken, fade = pieces[:2]
        assert abs(fade.samples[0] - broken.samples[-1]) < 0.01
        assert not fade.samples[FADE_SAMPLES:].any()
        assert np.abs(np.diff(np.concatenate([broken.samples, fade.samples]))).max() < 0.02
        await chain.aclose()

    run(main())


def test_a_clause_of_which_much_was_heard_is_left_and_the_next_voice_speaks_the_next_one() -> None:
    async def main() -> None:
        after = LITTLE_SAMPLES // CHUNK_SAMPLES + 1
        chain = chain_of("tts", Broken(ToneSynthesizer(), "fail", after), ToneSynthesizer())
        heard = []
        with pytest.raises(ClauseCutShort):
            async for piece in chain.stream("one two three four five six seven"):
                heard.append(piece)
        assert samples(heard) == after * CHUNK_SAMPLES + FADE_SAMPLES + PAUSE_SAMPLES
        assert samples(await spoken(chain, "yes")) == samples(await spoken(ToneSynthesizer(), "yes"))
        await chain.aclose()

    run(main())


def test_a_voice_that_was_down_is_not_used_again_before_a_trial_succeeded() -> None:
    async def main() -> None:
        first = Broken(ToneSynthesizer(), "fail")
        chain = chain_of("tts", first, ToneSynthesizer(), now=asyncio.get_running_loop().time)
        await spoken(chain)
        first.fault = None
        await spoken(chain)
        assert first.asked == 1
        await asyncio.sleep(3)
        assert chain.speaker == "first"
        await chain.aclose()

    run(main())


def test_a_voice_that_is_down_is_not_well_because_there_was_nothing_to_say() -> None:
    async def main() -> None:
        first, second = Broken(ToneSynthesizer(), "fail"), Broken(ToneSynthesizer(), "fail")
        chain = chain_of("tts", first, second)
        with pytest.raises(EngineFailed):
            await spoken(chain)
        first.fault = None
        assert await spoken(chain, "") == []
        assert chain.health().state == "down"
        await chain.aclose()

    run(main())


def test_a_voice_that_is_well_in_trials_and_breaks_off_each_time_is_asked_less_and_less() -> None:
    async def main() -> None:
        first = Broken(ToneSynthesizer(), "fail", after=4)
        chain = chain_of("tts", first, ToneSynthesizer(), now=asyncio.get_running_loop().time)
        broken = 0
        for _ in range(100):
            broken += chain.speaker == "first"
            await spoken(chain)
            await asyncio.sleep(6)
        assert broken < 20
        await chain.aclose()

    run(main())


def test_a_face_that_is_well_while_nobody_speaks_and_breaks_off_each_time_is_asked_less_and_less() -> None:
    async def main() -> None:
        chain = chain_of(
            "face", Broken(CounterFace(128), "fail", 1), CounterFace(128), now=asyncio.get_running_loop().time
        )
        broken = 0
        for _ in range(100):
            await chain.idle(0)
            broken += chain.health().engine == "first"
            await drawn(chain, talk(2))
            await asyncio.sleep(6)
        assert broken < 20
        await chain.aclose()

    run(main())


def speech(beats: float) -> Speech:
    return Speech(np.zeros(int(beats * BEAT_SAMPLES), np.float32))


async def talk(*beats: float) -> AsyncIterator[Speech]:
    for length in beats:
        yield speech(length)


class Positions:
    def __init__(self) -> None:
        self.next = 100

    def __call__(self) -> int:
        return self.next


async def drawn(chain: Any, talking: AsyncIterator[Speech]) -> list[int]:
    """The positions of the pictures, each shown before the next is drawn."""
    position, pictures = Positions(), []
    async with aclosing(chain.speak(talking, position)) as stream:
        async for picture in stream:
            pictures.append(read_counter(picture.i420)[0])
            position.next += 1
    return pictures


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", [0, 1, 4, 7])
def test_a_talk_goes_on_with_the_next_face_without_a_picture_too_few_or_too_many(fault: Fault, after: int) -> None:
    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), fault, after), CounterFace(128))
        assert await drawn(chain, talk(3, 0.5, 2.25, 1.5)) == list(range(100, 108))
        assert chain.health().engine == "second"
        await chain.aclose()

    run(main())


def test_a_face_that_waits_for_the_voice_is_not_late() -> None:
    async def slow_talk() -> AsyncIterator[Speech]:
        for _ in range(3):
            await asyncio.sleep(30)
            yield speech(2)

    async def main() -> None:
        chain = chain_of("face", CounterFace(128), CounterFace(128))
        assert await drawn(chain, slow_talk()) == list(range(100, 106))
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


def test_a_face_is_given_its_time_from_the_moment_on_at_which_it_has_the_sound() -> None:
    class Slow(CounterFace):
        async def speak(self, speech: Any, position: Any) -> Any:
            async for picture in super().speak(speech, position):
                await asyncio.sleep(0.5)
                yield picture

    async def late_talk() -> AsyncIterator[Speech]:
        await asyncio.sleep(0.9)
        yield speech(2)

    async def main() -> None:
        chain = chain_of("face", Slow(128), CounterFace(128))
        assert await drawn(chain, late_talk()) == [100, 101]
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


def test_an_engine_that_lets_go_late_is_closed_after_that() -> None:
    class Late(Broken):
        async def _fail(self, given: int) -> None:
            try:
                await super()._fail(given)
            except asyncio.CancelledError:
                working = asyncio.create_task(asyncio.sleep(4))
                while not working.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait((working,))
                assert not self.closed
                raise

    async def main() -> None:
        first = Late(ScriptedModel(["one two three"]), "hang")
        chain = chain_of("llm", first, model("from another"), patience_s=10)
        asking = asyncio.create_task(said(chain))
        await asyncio.sleep(0.5)
        asking.cancel()
        await asyncio.wait((asking,))
        assert asyncio.get_running_loop().time() == 2.5
        await chain.aclose()
        assert asyncio.get_running_loop().time() == 4.5
        assert first.closed

    run(main())


def test_when_no_voice_is_well_the_reason_is_that_of_the_one_that_is_told_of() -> None:
    def unmade() -> ToneSynthesizer:
        raise EngineUnavailable("The server does not run.")

    async def main() -> None:
        chain = chain_of("tts", unmade, Broken(ToneSynthesizer(), "wrong"))
        failed = {"first": asyncio.Event(), "second": asyncio.Event()}
        chain.watch(lambda note: None if note is None else failed[note.engine].set())
        with pytest.raises(EngineFailed):
            await spoken(chain)
        for event in failed.values():
            await event.wait()
        health = chain.health()
        assert (health.engine, health.state, health.reason) == ("second", "down", "internal_error")
        await chain.aclose()

    asyncio.run(main())


def test_a_talk_that_is_left_may_be_closed_even_if_the_voice_lets_go_late() -> None:
    async def stubborn_talk() -> AsyncIterator[Speech]:
        try:
            yield speech(2)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(3)

    async def main() -> None:
        chain, talking = chain_of("face", CounterFace(128), CounterFace(128)), stubborn_talk()
        pictures = chain.speak(talking, Positions())
        asking = asyncio.create_task(_all(pictures))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.wait((asking,))
        await talking.aclose()  # type: ignore[attr-defined]
        await chain.aclose()

    run(main())


async def _all(pictures: Any) -> list[Any]:
    async with aclosing(pictures):
        return [picture async for picture in pictures]


def test_a_voice_that_breaks_off_is_not_the_faces_fault() -> None:
    async def broken_talk() -> AsyncIterator[Speech]:
        yield speech(2)
        raise EngineFailed("The voice broke.")

    async def main() -> None:
        chain = chain_of("face", CounterFace(128), CounterFace(128))
        with pytest.raises(EngineFailed, match="The voice broke"):
            await drawn(chain, broken_talk())
        assert chain.health().state == "ok"
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_face_that_cannot_be_drawn_is_replaced_while_nobody_speaks(fault: Fault) -> None:
    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), fault), CounterFace(128))
        for position in (7, 8):
            assert read_counter((await chain.idle(position)).i420) == (position, False)
        await chain.aclose()

    run(main())


@pytest.mark.parametrize("fault", ["fail", "wrong"])
def test_faces_that_are_all_down_do_not_flood_the_log_with_each_beat(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), fault), Broken(CounterFace(128), fault))
        for beat in range(100):
            with pytest.raises(EngineFailed):
                await chain.idle(beat)
        await chain.aclose()

    with caplog.at_level("INFO"):
        run(main())
    assert len(caplog.records) <= 6


def test_a_model_that_stays_away_for_hours_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        first = model(fault="fail")
        chain = chain_of("llm", first, model("from another"), now=asyncio.get_running_loop().time)
        await said(chain)
        await asyncio.sleep(4 * 3_600)
        assert first.asked > 100
        first.fault = None
        await asyncio.sleep(90)
        await chain.aclose()

    with caplog.at_level("INFO"):
        run(main())
    assert [record.message for record in caplog.records] == ["engine_failed", "engine_switched", "engine_switched"]


@pytest.mark.parametrize(("size", "bars"), [((128, 128), 0), ((128, 256), 64), ((256, 128), 64)])
def test_pictures_of_another_face_have_the_size_of_the_first_one(size: tuple[int, int], bars: int) -> None:
    class Wide(CounterFace):
        width_px, height_px = size

        async def idle(self, position: int) -> Picture:
            return Picture(np.full((size[1] * 3 // 2, size[0]), 200, np.uint8))

    async def main() -> None:
        chain = chain_of("face", Broken(CounterFace(128), "fail"), Wide(128))
        picture = (await chain.idle(0)).i420
        assert picture.shape == (192, 128)
        black = picture[:128] == 16
        lines = black.all(axis=1 if size[0] > size[1] else 0)
        assert lines.sum() == bars
        assert (picture[:128][~black] == 200).all()
        await chain.aclose()

    run(main())


async def test_a_member_that_could_not_be_made_is_made_as_soon_as_it_can_be() -> None:
    attempts = threading.Semaphore(0)

    def made() -> ScriptedModel:
        if attempts.acquire(blocking=False):
            return ScriptedModel(["at last"])
        attempts.release()
        raise EngineUnavailable("The server does not run.")

    chain = chain_of("llm", made, model("from another"), first_pause_s=0.01)
    changed = asyncio.Event()
    chain.watch(lambda note: changed.set())
    assert await said(chain) == "from another"
    assert chain.health().state == "fallback"
    while chain.health().state != "ok":
        await changed.wait()
        changed.clear()
    assert await said(chain) == "at last"
    await chain.aclose()


async def test_closing_ends_what_goes_on_in_the_background_and_closes_every_engine() -> None:
    engines = [model(fault="hang"), model()]
    chain = chain_of("llm", *engines, patience_s=0.01)
    await said(chain)
    await chain.aclose()
    assert all(engine.closed for engine in engines)
    with pytest.raises(EngineFailed):
        await said(chain)


def test_what_happens_is_told_to_who_watches() -> None:
    async def main() -> None:
        chain = chain_of("tts", Broken(ToneSynthesizer(), "fail"), ToneSynthesizer())
        notes: list[Any] = []
        chain.watch(notes.append)
        await spoken(chain)
        told = [(note.event, note.engine, note.reason) for note in notes if note is not None]
        assert told == [("failed", "first", "failed"), ("switched", "second", "failed")]
        assert chain.ready() == {"first": False, "second": True}
        await chain.aclose()

    run(main())


async def test_a_program_that_ends_does_not_wait_for_an_engine_that_is_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.chain.members.CLOSE_S", 0.01)
    go = threading.Event()

    def made() -> ScriptedModel:
        go.wait(30)
        raise EngineUnavailable("The server does not run.")

    chain = chain_of("llm", made, model("from another"))
    assert await said(chain) == "from another"
    await asyncio.sleep(0)
    await chain.aclose()
    making = [thread for thread in threading.enumerate() if thread.name == "llm-chain-first"]
    assert making and all(thread.daemon for thread in making)
    go.set()
    making[0].join()


def test_an_engine_that_does_not_even_let_go_has_one_trial_at_a_time() -> None:
    class Stuck(Broken):
        async def _fail(self, given: int) -> None:
            while True:
                try:
                    return await super()._fail(given)
                except asyncio.CancelledError:
                    if self.fault is None:
                        raise

    async def main() -> None:
        first = Stuck(ScriptedModel(["one two three"]), "hang")
        chain = chain_of("llm", first, model("from another"), now=asyncio.get_running_loop().time)
        await said(chain)
        await asyncio.sleep(3_600)
        assert first.asked == 2
        first.fault = None
        await chain.aclose()

    run(main())
