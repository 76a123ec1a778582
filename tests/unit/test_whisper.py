"""Whisper with its real, smallest weights."""

import numpy as np
import pytest

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import HEARING_RATE_HZ, Samples
from models.registry import create
from models.settings import AsrSettings, EngineSettings

pytestmark = pytest.mark.weights

SETTINGS = EngineSettings(asr=AsrSettings(model="whisper-tiny.en"))


def hiss(seconds: float) -> Samples:
    generator = np.random.default_rng(1)
    return (generator.standard_normal(int(seconds * HEARING_RATE_HZ)) * 0.02).astype(np.float32)


async def test_silence_and_hiss_are_no_text() -> None:
    recognizer = create("asr", SETTINGS)
    try:
        for sound in (np.zeros(0, np.float32), np.zeros(8_000, np.float32), hiss(0.1), hiss(2), hiss(40)):
            assert (await recognizer.transcribe(sound, language="en")).text == ""
    finally:
        await recognizer.aclose()


async def test_an_english_model_says_that_it_knows_no_ukrainian_and_goes_on() -> None:
    recognizer = create("asr", SETTINGS)
    try:
        with pytest.raises(EngineFailed, match="English only"):
            await recognizer.transcribe(hiss(1), language="uk")
        assert (await recognizer.transcribe(hiss(1), language="en")).language == "en"
    finally:
        await recognizer.aclose()


@pytest.mark.parametrize(("model", "language"), [("whisper-base", "xx"), ("whisper-tiny.en", "uk")])
def test_a_language_that_the_model_does_not_know_is_refused_at_start(model: str, language: str) -> None:
    with pytest.raises(EngineUnavailable, match="UNDERSTUDY_ASR__LANGUAGE"):
        create("asr", EngineSettings(asr=AsrSettings(model=model, language=language)))
