"""The settings of the two peers: each has the sections of its engines, and one .env serves both."""

from pathlib import Path

import pytest

from models.registry import create
from models.settings import EngineSettings
from models.turn.always import AlwaysDone
from models.vad.energy import EnergyVad
from peer_local.settings import Settings as LocalSettings
from peer_remote.settings import Settings as RemoteSettings
from signaling.settings import SettingsError, StrictSettings

ENV = """
UNDERSTUDY_REMOTE__ROOM=studio
UNDERSTUDY_LOCAL__ROOM=studio
UNDERSTUDY_LLM__ENGINE=scripted
UNDERSTUDY_VAD__ENGINE=energy
UNDERSTUDY_TURN__ENGINE=always
UNDERSTUDY_SIGNALING__PORT=1234
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def test_one_env_file_serves_every_program() -> None:
    Path(".env").write_text(ENV)
    remote, local = RemoteSettings.load(), LocalSettings.load()
    assert (remote.remote.room, remote.llm.engine, remote.vad.engine) == ("studio", "scripted", "energy")
    assert (local.local.room, local.vad.engine) == ("studio", "energy")


def test_a_program_makes_its_engines_from_its_own_settings() -> None:
    Path(".env").write_text(ENV)
    for settings in (RemoteSettings.load(), LocalSettings.load()):
        assert isinstance(create("vad", settings), EnergyVad)
        assert isinstance(create("turn", settings), AlwaysDone)


def test_the_laptop_has_no_settings_of_engines_that_it_does_not_run() -> None:
    assert not {"llm", "tts", "face"} & set(LocalSettings.model_fields)
    assert set(EngineSettings.model_fields) < set(RemoteSettings.model_fields)


@pytest.mark.parametrize("program", [RemoteSettings, LocalSettings])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("UNDERSTUDY_VAD__ENGIN", "did you mean UNDERSTUDY_VAD__ENGINE?"),
        ("UNDERSTUDY_VADD__ENGINE", "did you mean UNDERSTUDY_VAD?"),
    ],
)
def test_what_is_misspelt_is_refused_by_every_program(
    monkeypatch: pytest.MonkeyPatch, program: type[StrictSettings], name: str, reason: str
) -> None:
    monkeypatch.setenv(name, "energy")
    with pytest.raises(SettingsError) as caught:
        program.load()
    assert str(caught.value).endswith(reason) and "\n" not in str(caught.value)


def test_an_address_of_another_form_is_refused_with_one_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_FACE__URL", "localhost:8003")
    with pytest.raises(SettingsError, match=r"^UNDERSTUDY_FACE__URL must look like http://127\.0\.0\.1:8003\.$"):
        RemoteSettings.load()


def test_an_address_within_a_section_is_refused_with_one_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_TTS__FISH_SPEECH__URL", "my-server")
    with pytest.raises(SettingsError, match=r"^UNDERSTUDY_TTS__FISH_SPEECH__URL must look like http://127\.0\."):
        RemoteSettings.load()


def test_a_name_without_a_default_is_refused_by_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_TTS__MATCH", "my voice")
    with pytest.raises(SettingsError, match="UNDERSTUDY_TTS__MATCH: String should match pattern"):
        RemoteSettings.load()
