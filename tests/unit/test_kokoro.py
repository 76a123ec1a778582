"""The embedded voice with its real weights."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Samples, Speech, SpeechSynthesizer
from models.settings import EngineSettings, TtsSettings
from models.tts.kokoro import create
from models.tts.kokoro_model import MOST_SYMBOLS, KokoroModel, Stop
from models.weights import locate

pytestmark = pytest.mark.weights

SETTINGS = EngineSettings(tts=TtsSettings(threads=1))
VOWELS = set("aeiouæɑɐɔəɛɜɪʊʌᵊᵻAIOQWY")


@pytest.fixture(scope="module")
def model() -> KokoroModel:
    return KokoroModel(locate("kokoro-82m", SETTINGS.weights.dir), voice="af_heart", threads=1)


@pytest.fixture
async def voice() -> AsyncIterator[SpeechSynthesizer]:
    synthesizer = create(SETTINGS)
    yield synthesizer
    await synthesizer.aclose()


async def said(synthesizer: SpeechSynthesizer, text: str) -> list[Speech]:
    async with aclosing(synthesizer.stream(text)) as stream:
        return [speech async for speech in stream]


def db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def test_durations_tell_the_length_of_the_sound(model: KokoroModel) -> None:
    utterance = model.say("hˌW ɑɹ ju?", speed=1.0, stop=Stop())
    assert sum(utterance.frames) * 600 == len(utterance.samples)
    assert len(utterance.frames) == len(utterance.symbols) == len("hˌW ɑɹ ju?") + 2


def test_more_symbols_than_the_model_takes_fail_and_leave_it_usable(model: KokoroModel) -> None:
    with pytest.raises(EngineFailed, match="510"):
        model.say("a" * (MOST_SYMBOLS + 1), speed=1.0, stop=Stop())
    assert len(model.say("hˌW.", speed=1.0, stop=Stop()).samples) > 0


def test_a_stopped_synthesis_fails_at_once(model: KokoroModel) -> None:
    stop = Stop()
    stop.request()
    with pytest.raises(EngineFailed):
        model.say("hˌW ɑɹ ju?", speed=1.0, stop=stop)


async def test_the_mouth_moves_with_the_sound(voice: SpeechSynthesizer) -> None:
    (speech,) = await said(voice, "Yes, I can help you with that.")
    assert speech.phonemes[0].start_samples == 0
    assert speech.phonemes[-1].end_samples == len(speech.samples)
    for before, after in zip(speech.phonemes, speech.phonemes[1:], strict=False):
        assert before.end_samples == after.start_samples
    levels = {
        kind: [
            db(speech.samples[phoneme.start_samples : phoneme.end_samples])
            for phoneme in speech.phonemes
            if (phoneme.symbol.strip("ˈˌ") in VOWELS) == (kind == "vowel")
            and (kind == "vowel" or not phoneme.symbol.isalpha())
        ]
        for kind in ("vowel", "silence")
    }
    assert np.median(levels["vowel"]) > -26
    assert max(levels["silence"]) < -50
    assert "".join(phoneme.symbol for phoneme in speech.phonemes).replace(" ", "").startswith("jˈɛs")


async def test_sentences_come_one_by_one_equally_loud_and_start_soon(voice: SpeechSynthesizer) -> None:
    pieces = await said(voice, "Hello! My name is Olena. Nice to meet you.")
    assert len(pieces) == 3
    for piece in pieces:
        spoken = piece.samples[piece.phonemes[0].end_samples : piece.phonemes[-1].start_samples]
        assert -26 < db(spoken) < -18
        first = np.flatnonzero(np.abs(piece.samples) > 0.01)[0]
        assert first < 120 * SPEECH_RATE_HZ // 1_000
        assert abs(float(piece.samples[0])) < 1e-3
        assert abs(float(piece.samples[-1])) < 1e-3


async def test_a_text_longer_than_the_model_takes_comes_in_pieces(voice: SpeechSynthesizer) -> None:
    async with aclosing(voice.stream("we walk and talk " * 60)) as stream:
        first = await anext(stream)
    assert SPEECH_RATE_HZ < len(first.samples) < 20 * SPEECH_RATE_HZ


async def test_nothing_to_say_is_nothing(voice: SpeechSynthesizer) -> None:
    assert await said(voice, "… 👍 ```x = 1```") == []


async def test_a_cancelled_answer_leaves_the_voice_to_the_next(voice: SpeechSynthesizer) -> None:
    task = asyncio.create_task(said(voice, "This answer is far too long, and nobody wants to hear it to its end. " * 5))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await said(voice, "Yes.")) == 1


async def test_closing_ends_what_is_being_spoken() -> None:
    synthesizer = create(SETTINGS)
    task = asyncio.create_task(said(synthesizer, "This answer is far too long, nobody hears it to its end. " * 5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await synthesizer.aclose()
    assert len(await task) < 5


async def test_nothing_comes_after_the_voice_is_closed() -> None:
    synthesizer = create(SETTINGS)
    stream = synthesizer.stream("One. Two. Three.")
    await anext(stream)
    await synthesizer.aclose()
    assert [speech async for speech in stream] == []
