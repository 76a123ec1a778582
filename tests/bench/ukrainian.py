"""How well Ukrainian from the embedded voice is understood: character error rate by Whisper base, language pinned.

Ten everyday lines on which no table was tuned, in the two default voices and in others, which shows what another voice
costs. The mean over the lines is what the budget bounds, for the default voices only.
"""

from collections.abc import Sequence

import jiwer
import numpy as np
import soxr

from models import registry
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples, SpeechRecognizer
from models.settings import AsrSettings, EngineSettings, TtsSettings
from tests.words import ukrainian_words

LINES = (
    "Добрий вечір, рада вас бачити.",
    "Перепрошую, зв'язок перервався, повторіть, будь ласка.",
    "Учора ми їздили до бабусі в село по яблука.",
    "Нарада почнеться о десятій годині в середу.",
    "Мені подобається гуляти містом після роботи.",
    "Ціна зросла через те, що подорожчало пальне.",
    "Чи можемо ми перенести зустріч на п'ятницю?",
    "Моя донька вивчає англійську мову в школі.",
    "Гаразд, я подумаю і передзвоню вам пізніше.",
    "Увечері обіцяють сильний вітер і сніг.",
)
VOICES = ("ef_dora", "em_alex", "af_heart", "am_michael")
DEFAULTS = {"af_heart": "female", "am_michael": "male"}
"""The voices of the settings, and the figure of the Ukrainian voice that goes with each."""


async def measure() -> dict[str, float]:
    asr = registry.create("asr", EngineSettings(asr=AsrSettings(model="whisper-base", device="cpu", language="uk")))
    try:
        figures = {
            f"cer_{name}": await error_rate(TtsSettings(voice=voice), asr, LINES) for voice, name in DEFAULTS.items()
        }
        for voice in VOICES:
            figures[f"cer_{voice}"] = await error_rate(TtsSettings(voice_uk=voice), asr, LINES)
    finally:
        await asr.aclose()
    return figures


async def error_rate(tts: TtsSettings, asr: SpeechRecognizer, lines: Sequence[str]) -> float:
    """Mean character error rate of `lines`, spoken as `tts` says and heard by `asr`."""
    voice = registry.create("tts", EngineSettings(tts=tts))
    rates = []
    try:
        for line in lines:
            pieces: list[Samples] = [speech.samples async for speech in voice.stream(line)]
            heard = soxr.resample(np.concatenate(pieces), SPEECH_RATE_HZ, HEARING_RATE_HZ).astype(np.float32)
            transcript = await asr.transcribe(heard, language="uk")
            rates.append(jiwer.cer(ukrainian_words(line), ukrainian_words(transcript.text) or "-"))
    finally:
        await voice.aclose()
    return round(float(np.mean(rates)), 3)
