"""The voice that other tests listen to."""

from contextlib import aclosing

import numpy as np
import pytest

from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Speech, SpeechSynthesizer
from models.settings import EngineSettings
from models.tts.tone import CHUNK_SAMPLES, GAP_SAMPLES, WORD_SAMPLES, ToneSynthesizer, create, tones


async def said(synthesizer: SpeechSynthesizer, text: str) -> list[Speech]:
    async with aclosing(synthesizer.stream(text)) as stream:
        return [speech async for speech in stream]


async def test_words_are_bursts_with_gaps_in_chunks_of_80_ms() -> None:
    chunks = await said(create(EngineSettings()), "Hello there, friend!")
    assert [len(chunk.samples) for chunk in chunks[:-1]] == [CHUNK_SAMPLES] * (len(chunks) - 1)
    samples = np.concatenate([chunk.samples for chunk in chunks])
    assert len(samples) == 3 * (WORD_SAMPLES + GAP_SAMPLES)
    assert np.array_equal(samples, tones("one two three").samples)
    assert not samples[WORD_SAMPLES : WORD_SAMPLES + GAP_SAMPLES].any()
    assert np.abs(samples[:WORD_SAMPLES]).max() > 0.2


async def test_phonemes_cover_each_chunk() -> None:
    for chunk in await said(ToneSynthesizer(), "Hello there, friend!"):
        assert chunk.phonemes[0].start_samples == 0
        assert chunk.phonemes[-1].end_samples == len(chunk.samples)
        assert {phoneme.symbol for phoneme in chunk.phonemes} <= {"m", "ɑ", " "}


async def test_nothing_to_say_is_nothing() -> None:
    assert await said(ToneSynthesizer(), " ... !") == []


async def test_one_failed_request_leaves_it_usable() -> None:
    synthesizer = ToneSynthesizer(fail_after_chunks=2)
    heard = []
    with pytest.raises(EngineFailed):
        async for speech in synthesizer.stream("one two three four"):
            heard.append(speech)
    assert len(heard) == 2
    synthesizer.fail_after_chunks = None
    assert len(await said(synthesizer, "one two")) == 5


async def test_it_takes_as_long_as_it_is_told() -> None:
    waited_s: list[float] = []

    async def sleep(seconds: float) -> None:
        waited_s.append(seconds)

    chunks = await said(ToneSynthesizer(realtime_factor=0.5, sleep=sleep), "one two three four")
    sound_s = sum(len(chunk.samples) for chunk in chunks) / SPEECH_RATE_HZ
    assert sum(waited_s) == pytest.approx(0.5 * sound_s)


async def test_nothing_comes_after_it_is_closed() -> None:
    synthesizer = ToneSynthesizer()
    stream = synthesizer.stream("one two three")
    await anext(stream)
    await synthesizer.aclose()
    assert [speech async for speech in stream] == []
