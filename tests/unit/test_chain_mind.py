"""Chains of language models: whoever asks notices as little as possible of one that fails."""

import asyncio
from contextlib import aclosing

import pytest

from models.errors import EngineFailed
from tests.broken_engines import FAULTS, HELLO, Fault, chain_of, model, said
from tests.virtual_time import run


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
