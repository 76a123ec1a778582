"""The adapter of pocket-tts against a stand-in for the package."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from models.errors import EngineFailed, EngineUnavailable, ModelError, WeightsMissing
from models.interfaces import SPEECH_RATE_HZ, Samples
from models.registry import create
from models.settings import EngineSettings
from models.tts.clause import pause_samples
from models.tts.edges import LEAD_SAMPLES, RELEASE_SAMPLES
from models.tts.pocket import PocketSynthesizer
from models.tts.recording import wav_bytes
from tests import pocket_stand_in
from tests.pocket_stand_in import FRAME_SAMPLES, FRAMES_PER_WORD, LEADING_FRAMES
from tests.vowels import RATE_HZ, vowel

FRAME = FRAME_SAMPLES * SPEECH_RATE_HZ // pocket_stand_in.RATE_HZ
LINE = "one two three four five six seven eight."


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = pocket_stand_in.module()
    monkeypatch.setitem(sys.modules, "pocket_tts", module)
    yield module


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "me.wav"
    path.write_bytes(wav_bytes(np.tile(vowel(), 12), RATE_HZ))
    return path


def made(recording: Path | None, **options: Any) -> PocketSynthesizer:
    pocket = {"recording": recording, **options}
    voice = create("tts", EngineSettings.model_validate({"tts": {"engine": "pocket", "pocket": pocket}}))
    assert isinstance(voice, PocketSynthesizer)
    return voice


async def said(voice: PocketSynthesizer, text: str) -> Samples:
    async with aclosing(voice.stream(text)) as pieces:
        return np.concatenate([np.zeros(0, np.float32), *[piece.samples async for piece in pieces]])


def model_of(voice: PocketSynthesizer) -> Any:
    return voice._model


async def test_a_clause_comes_frame_by_frame_with_clean_edges(package: ModuleType, recording: Path) -> None:
    voice = made(recording)
    async with aclosing(voice.stream(LINE)) as pieces:
        lengths = [len(piece.samples) async for piece in pieces]
    sound = await said(voice, LINE)
    await voice.aclose()
    expected = LEAD_SAMPLES + 8 * FRAMES_PER_WORD * FRAME + RELEASE_SAMPLES + pause_samples(".")
    assert sum(lengths) == pytest.approx(expected, abs=SPEECH_RATE_HZ // 50)
    assert len(lengths) >= 20
    assert max(lengths[:-1]) <= 2 * FRAME
    assert np.abs(sound[[0, -1]]).max() < 0.001
    assert 0.08 < np.sqrt(np.mean(sound[SPEECH_RATE_HZ : 2 * SPEECH_RATE_HZ] ** 2)) < 0.13


async def test_the_first_sound_comes_before_the_clause_is_made_and_closing_stops_the_model(
    package: ModuleType, recording: Path
) -> None:
    voice = made(recording)
    model = model_of(voice)
    async with aclosing(voice.stream(LINE)) as pieces:
        await anext(pieces)
        assert model.frames < LEADING_FRAMES + 8 * FRAMES_PER_WORD
    assert not model.running
    frames = model.frames
    assert frames < LEADING_FRAMES + 8 * FRAMES_PER_WORD
    await asyncio.to_thread(lambda: None)
    assert model.frames == frames
    assert len(await said(voice, "one.")) > FRAME
    await voice.aclose()


async def test_a_cancelled_clause_ends_at_its_next_frame(package: ModuleType, recording: Path) -> None:
    voice = made(recording)
    model = model_of(voice)
    model.gate = threading.Semaphore(LEADING_FRAMES + 2)
    speaking = asyncio.create_task(said(voice, LINE))
    while model.frames < LEADING_FRAMES + 2:
        await asyncio.to_thread(lambda: None)
    speaking.cancel()
    model.gate.release(100)
    with pytest.raises(asyncio.CancelledError):
        await speaking
    assert model.frames <= LEADING_FRAMES + 4
    model.gate = None
    assert len(await said(voice, "one.")) > FRAME
    await voice.aclose()


async def test_a_clause_that_fails_is_one_sentence_and_the_next_one_is_heard(
    package: ModuleType, recording: Path
) -> None:
    voice = made(recording)
    model_of(voice).fail_after = 8
    with pytest.raises(EngineFailed, match="could not speak a clause") as caught:
        await said(voice, LINE)
    assert "seven" not in str(caught.value) and "tensor" not in str(caught.value)
    model_of(voice).fail_after = None
    assert len(await said(voice, "one.")) > FRAME
    await voice.aclose()


async def test_it_is_asked_for_words_only_and_for_no_ukrainian(package: ModuleType, recording: Path) -> None:
    voice = made(recording)
    await said(voice, "(excited) It costs $5. *sighs*")
    assert model_of(voice).asked == ["It costs five dollars."]
    assert len(await said(voice, "(excited)")) == 0
    with pytest.raises(EngineFailed, match="no Ukrainian"):
        await said(voice, "Привіт усім.")
    await voice.aclose()


async def test_the_recording_is_cut_levelled_and_given_as_a_file_that_the_package_reads(
    package: ModuleType, tmp_path: Path
) -> None:
    long = tmp_path / "long.wav"
    long.write_bytes(wav_bytes(np.tile(vowel(), 40), RATE_HZ))
    voice = made(long)
    assert 25 < model_of(voice).recording_s < 31
    await voice.aclose()


class GatedRepoError(OSError):
    """As the hub's client raises it."""


@pytest.mark.parametrize(
    ("how", "kind", "sentence"),
    [
        ("no package", EngineUnavailable, r"pocket-tts"),
        ("no recording", EngineUnavailable, "UNDERSTUDY_TTS__POCKET__RECORDING"),
        ("no such recording", EngineUnavailable, "cannot be read"),
        ("no weights", WeightsMissing, "accept their terms"),
        ("no cloning", WeightsMissing, "that can clone"),
        ("no voice in it", EngineUnavailable, "can make no voice"),
        ("no such model", EngineUnavailable, "has no model klingon"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    package: ModuleType,
    recording: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    kind: type[ModelError],
    sentence: str,
) -> None:
    if how == "no package":
        monkeypatch.setitem(sys.modules, "pocket_tts", None)
    package.TTSModel.load_error = {
        "no weights": GatedRepoError("401 Client Error. Cannot access gated repo"),
        "no such model": FileNotFoundError("klingon.yaml"),
    }.get(how)
    package.TTSModel.cloning = how != "no cloning"
    if how == "no voice in it":
        package.TTSModel.get_state_for_audio_prompt = None
    path = {"no recording": None, "no such recording": Path("/nowhere/me.wav")}.get(how, recording)
    with pytest.raises(kind, match=sentence) as caught:
        made(path, model="klingon" if how == "no such model" else "english")
    assert str(caught.value).endswith(".")
