"""Fall-backs in the settings: short to write, strict, and no server gets another one's key."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.chain.create import create as create_chain
from models.chain.voice import VoiceChain
from models.errors import EngineUnavailable
from models.registry import create
from models.settings import EngineSettings
from peer_remote.settings import Settings
from signaling.settings import SettingsError


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def loaded(monkeypatch: pytest.MonkeyPatch, **values: Any) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"UNDERSTUDY_{name}", value if isinstance(value, str) else json.dumps(value))
    return Settings.load()


def test_names_can_be_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, TTS__FALLBACKS="kokoro, tone", TTS__SPEED="1.2", FACE__FALLBACKS="host")
    assert [(one.engine, one.speed) for one in settings.tts.fallbacks] == [("kokoro", 1.2), ("tone", 1.2)]
    assert [one.engine for one in settings.face.fallbacks] == ["host"]
    assert settings.llm.fallbacks == ()


def test_an_object_changes_what_it_names_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(
        monkeypatch,
        TTS__FISH_SPEECH__REFERENCE="me",
        TTS__FALLBACKS=[{"engine": "fish_speech", "fish_speech": {"temperature": 0.5}}],
    )
    (other,) = settings.tts.fallbacks
    assert (other.fish_speech.reference, other.fish_speech.temperature) == ("me", 0.5)


@pytest.mark.parametrize("url", ["https://api.example.org/v1", "http://127.0.0.1:8001"])
def test_another_server_does_not_get_this_ones_key_or_model(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    settings = loaded(
        monkeypatch,
        LLM__ENGINE="openai",
        LLM__KEY="this-one's",
        LLM__SERVED_MODEL="mine",
        LLM__FALLBACKS=[{"url": url}, {"url": url, "key": "another"}],
    )
    same = url == settings.llm.url
    first, second = settings.llm.fallbacks
    assert (first.key is not None, first.served_model) == ((True, "mine") if same else (False, "auto"))
    assert second.key is not None and second.key.get_secret_value() == "another"


def test_keys_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, LLM__FALLBACKS=[{"engine": "openai", "url": "https://a.example/", "key": "secret"}])
    assert "secret" not in settings.model_dump_json() + repr(settings)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("kokro", "item 1, engine: input should be "),
        ('["kokoro", {"engin": "tone"}]', "item 2, engin: there is no such setting."),
        ('["kokoro", {"fish_speech": {"url": "ftp://a"}}]', "item 2, fish_speech.url: string should match "),
        ('[{"fallbacks": ["tone"]}]', "item 1 cannot have fall-backs of its own"),
        ("[3]", "item 1 must be the name of an engine or an object of changes."),
        ("[", "a JSON list is needed here, such as "),
        ('{"engine": "tone"}', "a list is needed here, each item "),
    ],
)
def test_what_is_wrong_is_one_sentence(monkeypatch: pytest.MonkeyPatch, value: str, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(monkeypatch, TTS__FALLBACKS=value)
    assert str(caught.value).startswith(f"UNDERSTUDY_TTS__FALLBACKS: {reason}")
    assert "\n" not in str(caught.value)


def voices(*engines: Any) -> EngineSettings:
    first, *others = engines
    return EngineSettings.model_validate({"tts": {**first, "fallbacks": others}})


NOT_RUNNING = {"engine": "fish_speech", "fish_speech": {"url": "http://127.0.0.1:9", "reference": "me"}}


async def test_a_start_goes_on_with_the_next_engine_when_the_first_cannot_be_made() -> None:
    voice = create("tts", voices(NOT_RUNNING, "tone"))
    assert isinstance(voice, VoiceChain)
    health = voice.health()
    assert (health.engine, health.state, health.reason) == ("tone", "fallback", "unavailable")
    await voice.aclose()


def test_a_start_fails_only_when_no_engine_can_be_made() -> None:
    impatient = {**NOT_RUNNING, "fish_speech": {**NOT_RUNNING["fish_speech"], "start_wait_s": 0}}  # type: ignore[dict-item]
    with pytest.raises(EngineUnavailable, match="No voice server answers"):
        create_chain("tts", voices(impatient, impatient))


async def test_without_fall_backs_there_is_no_chain() -> None:
    voice = create("tts", voices({"engine": "tone"}))
    assert not isinstance(voice, VoiceChain)
    await voice.aclose()
