"""Which services the settings want, and what each is started with."""

from typing import Any

import pytest
from pydantic import SecretStr

from peer_remote.services.errors import ServicesError
from peer_remote.services.local import environment_of, is_ours, local_services, wanted_services
from peer_remote.services.service import Service
from peer_remote.services.settings import MachineSettings

LLM: dict[str, Any] = {"llm": {"engine": "openai", "key": "the-language-key"}}
VOICE: dict[str, Any] = {"tts": {"engine": "fish_speech", "fish_speech": {"key": "the-voices-key"}}}
FACE: dict[str, Any] = {"face": {"engine": "remote"}}


@pytest.fixture(autouse=True)
def no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)


def settings(**sections: Any) -> MachineSettings:
    return MachineSettings(**sections)


def by_name(services: tuple[Service, ...]) -> dict[str, Service]:
    return {service.name: service for service in services}


def test_without_any_setting_there_is_the_performer_alone() -> None:
    (performer,) = wanted_services(settings())
    assert performer.name == "performer" and performer.command[1:] == ("-m", "peer_remote")
    assert performer.after == () and performer.health.kind == "process"


def test_servers_on_loopback_are_started_before_the_performer_where_their_urls_say() -> None:
    found = wanted_services(
        settings(
            llm={"engine": "openai", "url": "http://localhost:9001/v1", "context_tokens": 4096},
            services={"llm_model": "mamaylm-gemma-3-4b-it-v1.0"},
            **VOICE,
            **FACE,
        )
    )
    assert [service.name for service in found] == ["llm", "voice", "face", "performer"]
    llm, voice, face, performer = found
    assert llm.command[2:] == (
        *("models.llm", "serve", "--model", "mamaylm-gemma-3-4b-it-v1.0", "--host", "127.0.0.1", "--port", "9001"),
        *("--context-tokens", "8192"),
    )
    assert voice.command[2:] == ("models.tts", "serve") and face.command[2:] == ("models.face", "serve")
    assert performer.after == ("llm", "voice", "face")


def test_a_busy_server_is_asked_only_what_it_can_answer() -> None:
    found = by_name(wanted_services(settings(**LLM, **VOICE, **FACE)))
    healths = {name: (service.health.kind, service.health.url) for name, service in found.items()}
    assert healths == {
        "llm": ("http", "http://127.0.0.1:8001/docs"),
        "voice": ("tcp", "http://127.0.0.1:8002"),
        "face": ("http", "http://127.0.0.1:8003/healthz"),
        "performer": ("process", ""),
    }


def test_the_server_holds_at_least_as_many_tokens_as_the_performer_sends() -> None:
    (llm, _) = wanted_services(settings(llm={"engine": "openai", "context_tokens": 16_384}))
    assert llm.command[-2:] == ("--context-tokens", "16384")


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://127.0.0.1:8001", True),
        ("http://[::1]:8001/v1", True),
        ("http://localhost:8001/", True),
        ("http://127.0.0.1:8001/api/v3", False),
        ("https://127.0.0.1:8001", False),
        ("http://192.168.1.7:8001", False),
        ("https://api.example.org/v1", False),
    ],
)
def test_what_is_elsewhere_is_asked_and_not_started(url: str, ours: bool) -> None:
    (llm, performer) = wanted_services(settings(llm={"engine": "openai", "url": url}))
    assert is_ours(url) is ours and bool(llm.command) is ours
    assert performer.after == ("llm",)


def test_what_somebody_else_starts_is_only_asked() -> None:
    found = settings(**LLM, **VOICE, services={"start": ("voice", "performer")})
    assert [service.name for service in local_services(found)] == ["voice", "performer"]
    assert [service.name for service in wanted_services(found)] == ["llm", "voice", "performer"]


def test_a_key_that_nobody_set_is_made_for_both_sides_and_is_on_no_command_line() -> None:
    sections = settings(llm={"engine": "openai"}, **FACE)
    found, again = by_name(wanted_services(sections)), by_name(wanted_services(sections))
    for name, variable in (("llm", "UNDERSTUDY_LLM__KEY"), ("face", "UNDERSTUDY_FACE__KEY")):
        made = found[name].secrets[variable].get_secret_value()
        assert len(made) >= 32
        assert found["performer"].secrets[variable].get_secret_value() == made
        assert again[name].secrets[variable].get_secret_value() != made
        assert made not in repr(found) and not any(made in word for one in found.values() for word in one.command)


def test_a_key_that_is_set_is_the_servers_and_the_performer_has_it_already() -> None:
    found = by_name(wanted_services(settings(**LLM)))
    assert found["llm"].secrets["UNDERSTUDY_LLM__KEY"].get_secret_value() == "the-language-key"
    assert found["performer"].secrets == {}


def test_one_alone_waits_for_those_before_it_and_starts_nothing_else() -> None:
    sections = settings(**LLM, **VOICE)
    assert [service.name for service in wanted_services(sections, only="llm")] == ["llm"]
    found = wanted_services(sections, only="performer")
    assert [(service.name, bool(service.command)) for service in found] == [
        ("llm", False),
        ("voice", False),
        ("performer", True),
    ]


@pytest.mark.parametrize(
    ("sections", "only", "words"),
    [
        ({"llm": {"engine": "openai"}}, "llm", "UNDERSTUDY_LLM__KEY is not set"),
        ({"llm": {"engine": "openai"}, "services": {"start": ("llm",)}}, None, "UNDERSTUDY_LLM__KEY is not set"),
        ({}, "voice", "voice is not among what the settings want, which is performer."),
        (
            {"llm": {"engine": "openai", "url": "http://10.0.0.7:8001"}},
            "llm",
            "llm is not started on this machine, because it is at http://10.0.0.7:8001.",
        ),
        ({"services": {"start": ("llm",)}}, "performer", "because it is not in UNDERSTUDY_SERVICES__START."),
        ({**LLM, "services": {"llm_model": "mamay"}}, None, "UNDERSTUDY_SERVICES__LLM_MODEL: mamay is neither a model"),
        (
            {"llm": {"fallbacks": [{"engine": "openai", "url": "http://127.0.0.1:8009"}]}},
            None,
            "llm is a fall-back here; give it a `key` where its `url` is set.",
        ),
    ],
)
def test_what_cannot_be_started_is_one_sentence(sections: dict[str, Any], only: str | None, words: str) -> None:
    with pytest.raises(ServicesError) as caught:
        wanted_services(settings(**sections), only=only)
    assert words in str(caught.value)


def test_a_fall_back_on_loopback_is_started_beside_a_hosted_service() -> None:
    hosted = {
        "engine": "openai",
        "url": "https://api.example.org",
        "key": "for-the-hosted",
        "fallbacks": [{"url": "http://127.0.0.1:8001", "key": "for-ours"}, "llama_cpp"],
    }
    found = by_name(wanted_services(settings(llm=hosted)))
    assert list(found) == ["llm", "llm-2", "performer"]
    assert found["llm"].secrets["UNDERSTUDY_LLM__KEY"].get_secret_value() == "for-ours"
    assert found["llm-2"].command == () and found["llm-2"].address == "api.example.org"
    assert found["performer"].secrets == {}


def test_a_voice_that_is_a_fall_back_listens_where_the_fall_back_is_looked_for() -> None:
    other = {"url": "http://127.0.0.1:8012", "key": "the-voices-key"}
    found = by_name(wanted_services(settings(tts={"fallbacks": [{"engine": "fish_speech", "fish_speech": other}]})))
    assert environment_of(found["voice"], {})["UNDERSTUDY_TTS__FISH_SPEECH__URL"] == "http://127.0.0.1:8012"


def test_what_another_program_starts_here_is_given_its_time_and_what_is_elsewhere_is_there_or_not() -> None:
    here = by_name(wanted_services(settings(**LLM, **VOICE), only="performer"))
    there = by_name(wanted_services(settings(llm={"engine": "openai", "url": "https://api.example.org"})))
    assert [here["llm"].start_s, here["voice"].start_s, there["llm"].start_s] == [300.0, 720.0, 30.0]


def test_each_service_inherits_only_secrets_of_its_own() -> None:
    inherited = {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "",
        "UNDERSTUDY_REMOTE__TOKEN": "token",
        "UNDERSTUDY_LLM__KEY": "the-language-key",
        "UNDERSTUDY_TTS__FISH_SPEECH__KEY": "the-voices-key",
        "UNDERSTUDY_LLM__FALLBACKS": '[{"key": "another-key"}]',
        "UNDERSTUDY_FACE__FALLBACKS": '[{"url": "https://faces.example", "key": "a-faces-key"}]',
        "UNDERSTUDY_SIGNALING__SECRET": "secret",
    }
    found = by_name(wanted_services(settings(**LLM, **VOICE)))
    assert environment_of(found["llm"], inherited) == {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "",
        "UNDERSTUDY_LLM__KEY": "the-language-key",
    }
    assert environment_of(found["performer"], inherited) == inherited


def test_a_section_that_is_set_as_a_whole_is_kept_from_those_whose_it_is_not() -> None:
    inherited = {
        "UNDERSTUDY_REMOTE": '{"token": "token"}',
        "UNDERSTUDY_LLM": '{"key": "the-language-key"}',
        "UNDERSTUDY_TTS__FISH_SPEECH": '{"server": {"dir": "/voices"}}',
        "UNDERSTUDY_WEIGHTS": '{"dir": "/weights"}',
    }
    found = by_name(wanted_services(settings(**LLM, **VOICE)))
    assert set(environment_of(found["llm"], inherited)) & set(inherited) == {"UNDERSTUDY_LLM", "UNDERSTUDY_WEIGHTS"}
    assert set(environment_of(found["voice"], inherited)) & set(inherited) == {
        "UNDERSTUDY_TTS__FISH_SPEECH",
        "UNDERSTUDY_WEIGHTS",
    }


def test_a_face_of_its_own_shows_itself_and_nothing_else() -> None:
    found = by_name(wanted_services(settings(face={"engine": "remote", "key": SecretStr("k"), "fallbacks": ["host"]})))
    assert environment_of(found["face"], {"UNDERSTUDY_FACE__FALLBACKS": '["host"]'}) == {
        "UNDERSTUDY_FACE__FALLBACKS": "[]",
        "UNDERSTUDY_FACE__URL": "http://127.0.0.1:8003",
        "UNDERSTUDY_FACE__KEY": "k",
        "PYTHONUNBUFFERED": "1",
    }
