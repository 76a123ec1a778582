"""`python -m models.tts evaluate`: what is measured of a voice."""

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import registry
from models.asr.scripted import ScriptedRecognizer
from models.errors import EngineFailed
from models.interfaces import Samples
from models.registry import Kind
from models.settings import EngineSettings
from models.tts.__main__ import main
from models.tts.evaluate import LINES, evaluate, rows, write
from models.tts.recording import wav_bytes
from models.tts.tone import ToneSynthesizer
from tests.fish_server import RATE_HZ, FishServer, tones


class Clock:
    """Half a second passes with every look at it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.5
        return self.now_s


async def test_a_voice_is_measured_by_what_is_heard_and_when(tmp_path: Path) -> None:
    lines = ["one two three four five", "six seven"]
    ears = ScriptedRecognizer(["one two three four nine", "six seven"])
    results = await evaluate([("tone", ToneSynthesizer)], lines, ears, language="en", clock=Clock())
    assert [result.word_error_rate for result in results] == [pytest.approx(0.2), 0]
    assert [(result.first_s, result.whole_s, result.seconds) for result in results] == [(0.5, 1, 1), (0.5, 1, 0.4)]
    assert [row[0] for row in rows(results)] == ["tone 1", "tone 2", "tone, all"]
    assert list(rows(results))[-1][1:4:2] == ("10%", "0.50")
    write(results, tmp_path / "out")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"tone-01.wav", "tone-02.wav", "tone.wav"}
    with wave.open(str(tmp_path / "out" / "tone.wav")) as sheet:
        assert sheet.getnframes() == 48_000 * (1 + 0.4 + 2 * 0.5)


async def test_a_voice_is_compared_with_the_recording_that_it_should_sound_like() -> None:
    def embed(samples: Samples, rate_hz: int) -> Samples:
        """Long lines sound like somebody, short ones like somebody else."""
        return np.array([1, 0] if len(samples) > rate_hz // 2 else [0, 1], np.float32)

    lines = ["one two three four five", "six seven"]
    ears = ScriptedRecognizer(lines)
    results = await evaluate([("tone", ToneSynthesizer)], lines, ears, language="en", embed=embed)
    assert [row[-1] for row in rows(results, {"tone": np.array([1, 0], np.float32)})] == ["1.00", "0.00", "0.71"]
    assert [row[-1] for row in rows(results)] == ["–"] * 3


async def test_a_line_without_words_is_refused() -> None:
    with pytest.raises(EngineFailed, match="nothing to say"):
        await evaluate([("tone", ToneSynthesizer)], ["..."], ScriptedRecognizer([]), language="en")


def test_cloned_voices_are_compared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    create = registry.create

    def made(kind: Kind, settings: EngineSettings) -> Any:
        return ScriptedRecognizer(["words"]) if kind == "asr" else create(kind, settings)

    monkeypatch.setattr(registry, "create", made)
    with FishServer(references={"me": (b"", ""), "you": (b"", "")}) as server:
        monkeypatch.setenv("UNDERSTUDY_TTS__ENGINE", "fish_speech")
        monkeypatch.setenv("UNDERSTUDY_TTS__FISH_SPEECH__URL", server.url)
        assert main(["evaluate", "--reference", "me", "you"]) == 0
        assert "you, all" in capsys.readouterr().out
        assert len(server.requests) == 2 * (1 + len(LINES["en"]))
        assert main(["evaluate", "--reference", "me", "--recording", "a.wav", "b.wav"]) == 1
        assert "--recording" in capsys.readouterr().err
        monkeypatch.setenv("UNDERSTUDY_TTS__FALLBACKS", "tone")
        assert main(["evaluate", "--reference", "nobody"]) == 1, "another voice does not stand in here"
        assert "nobody" in capsys.readouterr().err
        assert main(["evaluate", "--language", "fi"]) == 1
        assert "--lines" in capsys.readouterr().err


@pytest.mark.weights
def test_the_recording_in_the_servers_folder_is_what_a_voice_is_compared_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    create = registry.create

    def made(kind: Kind, settings: EngineSettings) -> Any:
        return ScriptedRecognizer(["words"]) if kind == "asr" else create(kind, settings)

    monkeypatch.setattr(registry, "create", made)
    monkeypatch.setenv("UNDERSTUDY_TTS__FISH_SPEECH__SERVER__DIR", str(tmp_path))
    lines = tmp_path / "lines.txt"
    lines.write_text("one two three four five six seven eight nine ten")
    with FishServer(references={"me": (b"", "")}) as server:
        monkeypatch.setenv("UNDERSTUDY_TTS__ENGINE", "fish_speech")
        monkeypatch.setenv("UNDERSTUDY_TTS__FISH_SPEECH__URL", server.url)
        monkeypatch.setenv("UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE", "me")
        assert main(["evaluate", "--lines", str(lines)]) == 0
        assert "–" in capsys.readouterr().out
        (tmp_path / "references" / "me").mkdir(parents=True)
        sound = np.frombuffer(tones(lines.read_text()), "<i2").astype(np.float32) / np.float32(32_768)
        (tmp_path / "references" / "me" / "sample.wav").write_bytes(wav_bytes(sound, RATE_HZ))
        assert main(["evaluate", "--lines", str(lines)]) == 0
        table = capsys.readouterr().out
        assert "1.00" in table or "0.99" in table
