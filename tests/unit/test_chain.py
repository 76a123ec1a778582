"""What all chains have in common: how members are made, left and closed."""

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

from models.errors import EngineFailed, EngineUnavailable
from models.llm.scripted import ScriptedModel
from models.tts.tone import ToneSynthesizer
from tests.broken_engines import Broken, chain_of, model, said, spoken
from tests.virtual_time import run


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
