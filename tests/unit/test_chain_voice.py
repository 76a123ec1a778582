"""Chains of voices: whoever listens notices as little as possible of one that fails."""

import asyncio

import numpy as np
import pytest

from models.chain.fade import FADE_SAMPLES, PAUSE_SAMPLES
from models.chain.voice import LITTLE_SAMPLES
from models.errors import ClauseCutShort, EngineFailed
from models.tts.tone import CHUNK_SAMPLES, ToneSynthesizer
from tests.broken_engines import FAULTS, Broken, Fault, chain_of, samples, spoken
from tests.virtual_time import run


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
