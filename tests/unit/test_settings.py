from pathlib import Path

import pytest
from pydantic import Field

from signaling.settings import Section, ServiceSettings, SettingsError, StrictSettings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test, and no .env but one that it writes."""
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def failure(**overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        ServiceSettings.load(**overrides)
    text = str(caught.value)
    assert "\n" not in text and text[-1] in ".?"
    return text


def test_defaults_serve_this_machine_alone() -> None:
    settings = ServiceSettings.load().signaling
    assert (settings.host, settings.port, settings.secret, settings.max_viewers) == ("127.0.0.1", 8080, None, 8)
    assert settings.ice_servers == settings.turn_urls == ()


def test_the_environment_wins_over_env_file_and_arguments_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("UNDERSTUDY_SIGNALING__PORT=1\nUNDERSTUDY_SIGNALING__HOST=0.0.0.0\n")
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__PORT", "2")
    assert ServiceSettings.load().signaling.port == 2
    settings = ServiceSettings.load(signaling={"port": 3}).signaling
    assert (settings.host, settings.port) == ("0.0.0.0", 3)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__ICE_SERVERS", "stun:a.example.org:3478, stun:b.example.org")
    assert ServiceSettings.load().signaling.ice_servers == ("stun:a.example.org:3478", "stun:b.example.org")


def test_an_unknown_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__PRT", "8080")
    assert failure() == "UNDERSTUDY_SIGNALING__PRT is not a setting; did you mean UNDERSTUDY_SIGNALING__PORT?"


def test_an_unknown_key_like_no_other_brings_the_keys_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__XYZZY", "1")
    assert failure().startswith("UNDERSTUDY_SIGNALING__XYZZY is not a setting; keys are host, port, secret, ")


def test_a_short_secret_is_refused_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__SECRET", "hunter2")
    assert failure() == "UNDERSTUDY_SIGNALING__SECRET: a secret needs at least 16 characters."


@pytest.mark.parametrize(
    "name", ["UNDERSTUDY_SIGNALLING__PORT", "understudy_signalling__port", "UNDERSTUDY_SIGNALING_PORT"]
)
def test_a_misspelt_section_is_refused_with_a_suggestion(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8080")
    assert failure() == f"{name.upper()} is not a setting; did you mean UNDERSTUDY_SIGNALING?"


def test_a_misspelt_section_in_the_env_file_is_refused_too() -> None:
    Path(".env").write_text("UNDERSTUDY_SIGNALLING__PORT=1\n")
    assert "did you mean UNDERSTUDY_SIGNALING?" in failure()


def test_a_section_like_no_other_gets_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_XYZZY__A", "1")
    assert "sections are asr, camera," in failure()


def test_sections_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_LLM__THREADS", "2")
    ServiceSettings.load()


def test_a_section_that_is_no_object_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING", "8080x")
    assert '"signaling"' in failure()


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("port", 65_536, "SIGNALING__PORT: "),
        ("secret", "short", "SIGNALING__SECRET: "),
        ("ice_servers", ["turn:a.example.org"], "turn:a.example.org is not a STUN address"),
        ("turn_urls", ["https://a.example.org"], "https://a.example.org is not a TURN address"),
        ("turn_urls", ["turn:a.example.org"], "turn_urls and turn_secret only work together"),
    ],
)
def test_a_wrong_value_is_named_with_its_reason(key: str, value: object, reason: str) -> None:
    assert reason in failure(signaling={key: value})


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__SECRET", "a secret of many letters")
    assert "letters" not in repr(ServiceSettings.load())
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__SECRET", "tooshort")
    assert "tooshort" not in failure()


def test_a_program_composes_its_own_sections() -> None:
    class Local(Section):
        volume: float = Field(default=1.0, ge=0)

    class Program(StrictSettings):
        local: Local = Local()

    assert Program.load(local={"volume": 0.5}).local.volume == 0.5
    with pytest.raises(SettingsError, match=r"^UNDERSTUDY_LOCAL__VOLUME: "):
        Program.load(local={"volume": -1})


def test_an_env_file_that_is_no_text_is_one_sentence() -> None:
    Path(".env").write_bytes(b"\xff\xfe")
    assert failure() == "The file .env cannot be read; it must be text in UTF-8."
