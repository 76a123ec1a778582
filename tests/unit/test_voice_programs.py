"""`python -m models.tts references` and `serve`, with a stand-in for the server."""

import asyncio
import os
import signal
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.asr.scripted import ScriptedRecognizer
from models.errors import EngineUnavailable
from models.interfaces import HEARING_RATE_HZ
from models.settings import FishServerSettings, FishSpeechSettings
from models.tts import fish_server_command, references
from models.tts.__main__ import main
from models.tts.recording import wav_bytes
from models.tts.serve import serve
from tests.fish_server import FishServer
from tests.unit.test_reference_check import RATE_HZ, recording

KEY = "a-key-that-nobody-may-see"
ROOT = Path(__file__).resolve().parents[2]
PREFIX = "UNDERSTUDY_TTS__FISH_SPEECH__"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FishServer]:
    monkeypatch.chdir(tmp_path)
    with FishServer(key=KEY) as server:
        monkeypatch.setenv(f"{PREFIX}URL", server.url)
        monkeypatch.setenv(f"{PREFIX}KEY", KEY)
        monkeypatch.setenv("UNDERSTUDY_ASR__ENGINE", "scripted")
        yield server


@pytest.fixture
def sound(tmp_path: Path) -> str:
    file = tmp_path / "me.wav"
    file.write_bytes(wav_bytes(recording(12), RATE_HZ))
    return str(file)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> str:
    text = "this is what I say"
    monkeypatch.setattr(registry, "create", lambda kind, settings: ScriptedRecognizer([text]))
    return text


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err
    return code, captured.out, captured.err


def test_a_recording_goes_to_the_server_and_can_be_listed_heard_and_removed(
    server: FishServer, sound: str, heard: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "references", "add", "me", sound, "--text", "This is what I say.")
    assert code == 0 and f"{PREFIX}REFERENCE=me" in out
    audio, text = server.references["me"]
    assert text == "This is what I say."
    with wave.open(str(tmp_path / "me.wav")) as given:
        assert given.getframerate() == RATE_HZ
    assert audio.startswith(b"RIFF")
    assert run(capsys, "references", "list")[1] == "me\n"
    assert run(capsys, "references", "preview", "me", "--text", "Hello there.", "--out", "heard.wav")[0] == 0
    with wave.open(str(tmp_path / "heard.wav")) as made:
        assert made.getframerate() == 48_000 and made.getnframes() > 10_000
    assert server.requests[-1].reference_id == "me"
    assert run(capsys, "references", "remove", "me")[0] == 0
    assert "no voice yet" in run(capsys, "references", "list")[1]


def test_without_a_text_what_is_heard_is_taken_and_shown(
    server: FishServer, sound: str, heard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "references", "add", "me", sound)
    assert code == 0 and f"Heard: {heard}" in out
    assert server.references["me"][1] == heard


def test_a_bad_recording_or_transcript_is_not_taken_unless_one_insists(
    server: FishServer, sound: str, heard: str, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = ("--text", "something else entirely")
    code, out, err = run(capsys, "references", "add", "me", sound, *claim)
    assert code == 1 and "bad" in out and "--force" in err
    assert not server.references
    assert run(capsys, "references", "add", "me", sound, *claim, "--check")[0] == 1
    assert run(capsys, "references", "add", "me", sound, *claim, "--force")[0] == 0
    assert "me" in server.references


def test_a_voice_is_put_where_a_server_that_starts_later_finds_it(
    sound: str, heard: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = ("--seed-dir", str(tmp_path / "voice"))
    assert run(capsys, "references", "add", "me", sound, "--text", heard, *place)[0] == 0
    folder = tmp_path / "voice" / "references" / "me"
    assert (folder / "sample.lab").read_text() == heard
    with wave.open(str(folder / "sample.wav")) as sample:
        assert (sample.getframerate(), sample.getnchannels(), sample.getsampwidth()) == (44_100, 1, 2)
    assert run(capsys, "references", "add", "me", sound, "--text", heard, *place)[0] == 1
    assert run(capsys, "references", "list", *place)[1] == "me\n"
    assert run(capsys, "references", "remove", "me", *place)[0] == 0
    assert run(capsys, "references", "remove", "me", *place)[0] == 1


def test_what_cannot_be_done_is_one_sentence(
    server: FishServer, sound: str, heard: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "references", "add", "me", sound, "--text", heard)[0] == 0
    for arguments, sentence in (
        (("references", "add", "me", sound, "--text", heard), "something named me already"),
        (("references", "add", "../me", sound, "--text", heard), "cannot be a voice's name"),
        (("references", "add", "you", "nowhere.wav", "--text", heard), "nowhere.wav cannot be read"),
        (("references", "add", "you", __file__, "--text", heard), "cannot be read"),
        (("references", "remove", "you"), "no voice named you"),
        (("references", "preview", "you"), "no voice named you"),
        (("serve",), f"{PREFIX}SERVER__CHECKOUT"),
    ):
        code, _, err = run(capsys, *arguments)
        assert code == 1 and sentence in err and err.count("\n") == 1
    monkeypatch.setenv(f"{PREFIX}KEY", "wrong")
    assert "refuses the key" in run(capsys, "references", "list")[2]
    monkeypatch.setenv(f"{PREFIX}TEMPERATURE", "7")
    assert f"{PREFIX}TEMPERATURE" in run(capsys, "references", "list")[2]


def test_a_key_that_no_header_can_carry_is_refused_without_being_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{PREFIX}KEY", "one\nline too many")
    code, _, err = run(capsys, "references", "list")
    assert code == 1 and f"{PREFIX}KEY" in err and "line too many" not in err


async def test_a_recording_longer_than_the_recognizer_takes_is_heard_in_parts(tmp_path: Path) -> None:
    class Ears(ScriptedRecognizer):
        parts: tuple[int, ...] = ()

        async def transcribe(self, samples: np.ndarray, *, language: str):  # type: ignore[no-untyped-def]
            self.parts = (*self.parts, len(samples))
            return await super().transcribe(samples, language=language)

    ears = Ears(["first half", "second half"])
    file = tmp_path / "long.wav"
    file.write_bytes(wav_bytes(recording(30), RATE_HZ))
    reference = await references.examine("me", file, None, language="en", recognizer=lambda: ears)
    assert reference.text == "first half second half"
    assert len(ears.parts) == 2 and max(ears.parts) <= 28 * HEARING_RATE_HZ
    assert sum(ears.parts) == pytest.approx(30 * HEARING_RATE_HZ, abs=2)


def installed(tmp_path: Path, url: str) -> FishSpeechSettings:
    """A checkout whose server is our stand-in."""
    checkout = tmp_path / "fish-speech"
    for file in ("model.pth", "codec.pth", "config.json", "tokenizer.tiktoken"):
        (checkout / "checkpoints/openaudio-s1-mini").mkdir(parents=True, exist_ok=True)
        (checkout / "checkpoints/openaudio-s1-mini" / file).touch()
    (checkout / "tools").mkdir()
    (checkout / "tools/api_server.py").write_text(
        f"import sys, threading; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.fish_server import FishServer\n"
        "arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "server = FishServer(key=sys.argv[-1], references={'me': (b'', '')})\n"
        "server.port = int(arguments['--listen'].split(':')[1])\n"
        "with server:\n    threading.Event().wait(60)\n"
    )
    return FishSpeechSettings(
        url=url,
        key=KEY,  # type: ignore[arg-type]
        reference="me",
        server=FishServerSettings(checkout=checkout, python=Path(sys.executable), dir=tmp_path / "voice"),
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
async def test_the_server_runs_warm_until_we_are_told_to_stop(tmp_path: Path, unused_tcp_port: int) -> None:
    settings = installed(tmp_path, f"http://127.0.0.1:{unused_tcp_port}")
    fish_server_command.require_installed(settings)
    command = fish_server_command.command(settings)
    assert KEY not in " ".join(command)
    told: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(
        serve(command, fish_server_command.environment(settings), settings, say=told.put_nowait)
    )
    assert "speaks as me" in await told.get()
    assert (tmp_path / "voice/references").is_dir()
    with pytest.raises(EngineUnavailable, match="listens at"):
        await serve(command, {}, settings, say=told.put_nowait)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0


async def test_a_server_that_ends_at_once_ends_us_with_its_code(tmp_path: Path, unused_tcp_port: int) -> None:
    settings = installed(tmp_path, f"http://127.0.0.1:{unused_tcp_port}")
    assert await serve([sys.executable, "-c", "raise SystemExit(7)"], {}, settings, say=print) == 7
    with pytest.raises(EngineUnavailable, match="cannot be started"):
        await serve([str(tmp_path / "nothing")], {}, settings, say=print)


async def test_a_server_that_never_listens_is_stopped(tmp_path: Path, unused_tcp_port: int) -> None:
    settings = installed(tmp_path, f"http://127.0.0.1:{unused_tcp_port}")
    forever = [sys.executable, "-c", "import threading; threading.Event().wait(60)"]
    with pytest.raises(EngineUnavailable, match="did not start"):
        await serve(forever, {}, settings, say=print, start_s=0.2)


def test_the_command_is_that_of_the_pinned_server(tmp_path: Path) -> None:
    settings = installed(tmp_path, "http://localhost:8002")
    arguments = fish_server_command.command(settings)
    checkout = tmp_path / "fish-speech"
    assert arguments[3:] == [
        str(checkout / "tools/api_server.py"),
        *("--listen", "127.0.0.1:8002"),
        *("--llama-checkpoint-path", str(checkout / "checkpoints/openaudio-s1-mini")),
        *("--decoder-checkpoint-path", str(checkout / "checkpoints/openaudio-s1-mini/codec.pth")),
        *("--decoder-config-name", "modded_dac_vq", "--compile"),
    ]
    assert KEY not in fish_server_command.shown(arguments, settings)
    inherited = {"UNDERSTUDY_LLM__KEY": "x", "PYTHONPATH": "y", "PATH": "z"}
    assert fish_server_command.environment(settings, inherited) == {"PATH": "z", "FISH_SPEECH_SERVER_KEY": KEY}


def test_what_is_missing_for_the_server_is_said_in_one_sentence(tmp_path: Path) -> None:
    settings = installed(tmp_path, "http://127.0.0.1:8002")
    checkout = tmp_path / "fish-speech"

    def refused(settings: FishSpeechSettings) -> str:
        with pytest.raises(EngineUnavailable) as caught:
            fish_server_command.environment(settings)
            fish_server_command.require_installed(settings)
        return str(caught.value)

    assert "KEY" in refused(settings.model_copy(update={"key": None}))
    assert "loopback" in refused(settings.model_copy(update={"url": "http://192.0.2.1:8002"}))
    (checkout / "checkpoints/openaudio-s1-mini/codec.pth").unlink()
    assert "lacks codec.pth" in refused(settings)
    server = settings.server.model_copy(update={"python": tmp_path / "no/python"})
    assert "uv sync" in refused(settings.model_copy(update={"server": server}))
    (checkout / "tools/api_server.py").unlink()
    assert "no Fish Speech" in refused(settings)
