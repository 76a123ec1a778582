"""The embedded voice that comes nearest to a recording, and the file that remembers it."""

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import Samples
from models.registry import create
from models.settings import EngineSettings, TtsSettings, WeightsSettings
from models.tts import match_command
from models.tts.__main__ import main
from models.tts.kokoro import KokoroSynthesizer, speakers_of
from models.tts.kokoro_model import KokoroModel
from models.tts.match import Match, best_match
from models.tts.match_file import read_match, write_match
from models.tts.recording import wav_bytes
from models.tts.voice_shift import VoiceShift
from models.weights import locate
from tests.vowels import RATE_HZ, vowel

VOICES = {"low": (100.0, 700.0), "middle": (150.0, 900.0), "high": (220.0, 1_300.0)}
FOUND = Match("am_santa", VoiceShift(0.8, 1.1), 0.7, 0.6)


def say(voice: str, line: str) -> Samples:
    pitch_hz, formant_hz = VOICES[voice]
    return vowel(pitch_hz=pitch_hz, formant_hz=formant_hz, seconds=0.4 + len(line) / 100)


def embed(samples: Samples, rate_hz: int) -> Samples:
    """A direction that tells the pitch, from the autocorrelation, and the middle of the spectrum."""
    window = samples[rate_hz // 10 :][: rate_hz // 5]
    power = np.abs(np.fft.rfft(window, 4 * len(window))) ** 2
    lags = np.fft.irfft(power)
    shortest = rate_hz // 400
    pitch_hz = rate_hz / (shortest + int(np.argmax(lags[shortest : rate_hz // 70])))
    middle_hz = float(power @ np.linspace(0, rate_hz / 2, len(power)) / power.sum())
    angles = 3 * np.log(pitch_hz / 100), 3 * np.log(middle_hz / 700)
    vector = [np.cos(angles[0]), np.sin(angles[0]), np.cos(angles[1]), np.sin(angles[1])]
    return np.asarray(vector, np.float32) / np.float32(np.sqrt(2))


def recording(pitch_hz: float, formant_hz: float) -> Samples:
    """7 s with pauses."""
    spoken = vowel(pitch_hz=pitch_hz, formant_hz=formant_hz, seconds=0.9)
    return np.concatenate([np.pad(spoken, (0, RATE_HZ // 10))] * 7)


def matched(samples: Samples) -> Match:
    return best_match(samples, RATE_HZ, list(VOICES), ["one", "two", "three", "four"], say=say, embed=embed)


def test_the_nearest_voice_is_found_and_shifted_nearer() -> None:
    match = matched(recording(165.0, 970.0))
    assert match.voice == "middle"
    assert match.shift.pitch_ratio == pytest.approx(1.1, abs=0.04)
    assert match.shift.formant_ratio == pytest.approx(1.08, abs=0.05)
    assert match.similarity > match.unshifted_similarity


def test_a_shift_that_does_not_help_on_what_it_was_not_tuned_on_is_left_out() -> None:
    own = [vowel(pitch_hz=165, formant_hz=970)] * 4
    changed = [vowel(pitch_hz=150, formant_hz=900)] * 3
    match = matched(np.concatenate([*own, *changed]))
    assert match.voice == "middle"
    assert match.shift == VoiceShift()
    assert match.similarity == match.unshifted_similarity


def test_a_recording_without_enough_speech_is_refused() -> None:
    with pytest.raises(EngineFailed, match="too short"):
        matched(vowel())
    with pytest.raises(EngineFailed, match="Nobody"):
        matched(np.zeros(7 * RATE_HZ, np.float32))


def test_a_match_is_remembered_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "matches" / "me.toml"
    write_match({"en": FOUND}, path)
    assert read_match(path) == {"en": FOUND}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_match({"en": FOUND, "uk": FOUND}, path)
    assert set(read_match(path)) == {"en", "uk"}


@pytest.mark.parametrize("content", ["", "[en]\n", "voice", '[en]\nvoice = "../../me"\npitch_ratio = 1\n', "\0"])
def test_a_file_that_is_no_match_says_how_to_make_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "me.toml").write_text(content)
    with pytest.raises(EngineUnavailable, match=r"models\.tts match RECORDING --name me"):
        read_match(tmp_path / "me.toml")
    with pytest.raises(EngineUnavailable, match="No voice was matched to you"):
        read_match(tmp_path / "you.toml")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_TTS__MATCH_DIR", str(tmp_path))
    monkeypatch.setenv("UNDERSTUDY_TTS__LANGUAGE", "en")
    return tmp_path


@pytest.mark.weights
def test_the_command_says_what_it_found_and_that_it_is_no_clone(
    environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def found(samples: Samples, rate_hz: int, voices: list[str], lines: list[str], **options: Any) -> Match:
        asked.update(voices=voices, lines=lines, said=options["say"](voices[0], lines[0]))
        return FOUND

    monkeypatch.setattr(match_command, "best_match", found)
    monkeypatch.setattr(match_command, "PREVIEW_TEXT", {"en": "Hello there."})
    (environment / "me.wav").write_bytes(wav_bytes(recording(165, 970), RATE_HZ))
    assert main(["match", "me.wav", "--preview", "out.wav"]) == 0
    out = capsys.readouterr().out
    assert "approximation" in out and "not a clone" in " ".join(out.split())
    assert "am_santa" in out and "0.70" in out and "UNDERSTUDY_TTS__MATCH=me" in out
    assert len(asked["voices"]) == 28 and len(asked["lines"]) == 6 and len(asked["said"]) > RATE_HZ
    assert read_match(environment / "me.toml") == {"en": FOUND}
    assert (environment / "out.wav").stat().st_size > 40_000


@pytest.mark.weights
def test_a_bad_recording_is_not_matched(environment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (environment / "me.wav").write_bytes(wav_bytes(np.sign(vowel(seconds=8)), RATE_HZ))
    assert main(["match", "me.wav"]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["match", "me.wav", "--name", "../me"]) == 1
    assert not list(environment.glob("*.toml"))


@pytest.mark.weights
async def test_a_matched_voice_says_the_same_in_the_same_time(environment: Path) -> None:
    directory = WeightsSettings().dir
    write_match({"en": FOUND}, environment / "me.toml")
    (speaker,) = speakers_of(directory, TtsSettings(language="en", match="me", match_dir=environment)).values()
    model = KokoroModel(locate("kokoro-82m", directory), voice=speaker.voice, threads=2)
    spoken = []
    for chosen in (replace(speaker, shift=VoiceShift()), speaker):
        voice = KokoroSynthesizer(model, {"en": chosen}, speed=1.0)
        spoken.append([piece async for piece in voice.stream("We could move the meeting to Thursday.")])
        await voice.aclose()
    (plain,), (matched,) = spoken
    assert len(matched.samples) == pytest.approx(len(plain.samples), abs=2_400)
    assert [phoneme.symbol for phoneme in matched.phonemes] == [phoneme.symbol for phoneme in plain.phonemes]
    pairs = zip(plain.phonemes, matched.phonemes, strict=True)
    starts = np.array([[one.start_samples, two.start_samples] for one, two in pairs])
    assert np.abs(np.diff(starts)).max() < 2_400
    assert np.abs(matched.samples[[0, -1]]).max() < 0.001
    assert np.abs(matched.samples).max() <= 0.9


@pytest.mark.weights
def test_a_match_that_is_not_there_is_said_at_the_start(environment: Path) -> None:
    settings = EngineSettings.model_validate({"tts": {"match": "you", "match_dir": environment, "language": "en"}})
    with pytest.raises(EngineUnavailable, match="No voice was matched to you"):
        create("tts", settings)
