"""What Kokoro needs from its files."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import EngineUnavailable, WeightsCorrupt
from models.tts.kokoro_model import KokoroModel, with_durations


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "voices").mkdir()
    (tmp_path / "vocab.json").write_text('{"vocab": {"a": 1}}', encoding="utf-8")
    for voice in ("af_heart", "af_bella", "am_adam"):
        np.zeros((510, 256), np.float32).tofile(tmp_path / "voices" / f"{voice}.bin")
    return tmp_path


@pytest.mark.parametrize("voice", ["af_hart", "../voices/af_heart", ""])
def test_an_unknown_voice_is_refused_with_its_neighbours(directory: Path, voice: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"has no voice .*; the nearest of 3 are .*af_heart.*\.$"):
        KokoroModel(directory, voice=voice, threads=1)


def test_a_cut_voice_is_refused(directory: Path) -> None:
    (directory / "voices" / "af_heart.bin").write_bytes(b"\0" * 1_024)
    with pytest.raises(WeightsCorrupt, match=r"af_heart\.bin"):
        KokoroModel(directory, voice="af_heart", threads=1)


def test_a_vocabulary_that_is_none_is_refused(directory: Path) -> None:
    (directory / "vocab.json").write_text("[]", encoding="utf-8")
    with pytest.raises(WeightsCorrupt, match=r"vocab\.json"):
        KokoroModel(directory, voice="af_heart", threads=1)


def test_another_model_is_refused() -> None:
    with pytest.raises(WeightsCorrupt, match="no durations"):
        with_durations(b"some other graph")
