"""Ukrainian in the embedded voice with its real weights: understood by Whisper, and the mouth follows."""

from collections.abc import AsyncIterator, Iterator

import jiwer
import numpy as np
import pytest
import soxr

from models.face.viseme_table import visemes_of
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, SpeechSynthesizer
from models.registry import create
from models.settings import AsrSettings, EngineSettings, TtsSettings
from models.tts.stress_ukrainian import Stress
from models.weights import locate
from tests.words import ukrainian_words

pytestmark = pytest.mark.weights

SETTINGS = EngineSettings(tts=TtsSettings(), asr=AsrSettings(model="whisper-base", device="cpu", language="uk"))


@pytest.fixture
async def voice() -> AsyncIterator[SpeechSynthesizer]:
    synthesizer = create("tts", SETTINGS)
    yield synthesizer
    await synthesizer.aclose()


async def test_ukrainian_is_understood(voice: SpeechSynthesizer) -> None:
    asr = create("asr", SETTINGS)
    rates = []
    for line in (
        "Доброго дня, мене звати Олена.",
        "Сьогодні чудова погода для прогулянки.",
        "Дякую, я зателефоную вам завтра вранці.",
    ):
        pieces = [speech.samples async for speech in voice.stream(line)]
        heard = soxr.resample(np.concatenate(pieces), SPEECH_RATE_HZ, HEARING_RATE_HZ).astype(np.float32)
        text = (await asr.transcribe(heard, language="uk")).text
        rates.append(jiwer.cer(ukrainian_words(line), ukrainian_words(text) or "-"))
    await asr.aclose()
    assert np.mean(rates) <= 0.35


async def test_each_clause_is_in_the_language_of_its_letters_and_the_mouth_follows(voice: SpeechSynthesizer) -> None:
    async def symbols(text: str) -> list[str]:
        (speech,) = [speech async for speech in voice.stream(text)]
        assert speech.phonemes[0].start_samples == 0
        assert speech.phonemes[-1].end_samples == len(speech.samples)
        spoken = [phoneme.symbol for phoneme in speech.phonemes if phoneme.symbol.strip(" .,?!")]
        assert all(visemes_of(symbol.strip("ˈˌ")) for symbol in spoken)
        return spoken

    assert "ɹ" in await symbols("Are you here?")
    assert await symbols("Привіт!") == ["p", "ɾ", "ɪ", "v", "ˈi", "t"]
    assert "ʦ" in "".join(await symbols("15"))
    assert "ɹ" in await symbols("More.")


@pytest.fixture(scope="module")
def stress() -> Iterator[Stress]:
    yield Stress(locate("stress-ukrainian", SETTINGS.weights.dir) / "stress.trie")


@pytest.mark.parametrize(
    "marked",
    "сього́дні дя́кую Украї́на украї́нський Оле́на люблю́ комп'ю́тер найкра́щий докуме́нти рокі́в нічо́го".split(),
)
def test_everyday_words_are_stressed_as_people_stress_them(stress: Stress, marked: str) -> None:
    place = marked.index("\u0301") - 1
    assert stress.vowel(marked.replace("\u0301", "").lower(), "") == place
