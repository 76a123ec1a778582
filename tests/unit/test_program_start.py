"""What is wrong with the settings is one sentence at the start, before a device is touched."""

from typing import Any

import pytest
from pydantic import SecretStr

from peer_local import program
from peer_local.flags import load, parse
from peer_local.program import run
from peer_local.settings import Settings
from signaling.errors import BadToken
from signaling.settings import SettingsError
from tests.unit.doctor_machine import settings, token


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (None, "Run `make local`, or set UNDERSTUDY_LOCAL__TOKEN"),
        ("abc", "it is no token of this version"),
        (token(role="viewer"), "it is a viewer's, not an operator's"),
        (token(room="other"), "it is for room other, not main"),
    ],
)
def test_a_token_that_cannot_work_is_refused(
    key: str | None, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(settings(local={"token": SecretStr(key) if key else None})) == 2
    said = capsys.readouterr().err
    assert sentence in said and "--role operator" in said and said.count("\n") == 1
    assert not key or key not in said


def test_the_token_of_a_connection_string_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    connection = f"understudy://{token(role='viewer')}@203.0.113.7:33526/main/{'A' * 43}"
    assert run(settings(local={"connection": connection})) == 2
    said = capsys.readouterr().err
    assert "The token in UNDERSTUDY_LOCAL__CONNECTION is no good, it is a viewer's" in said and said.count("\n") == 1
    assert "--role operator" not in said, "whoever got a line from a deployment has no such machine at hand"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--playout.lowest_ms", "150", "--playout.highest_ms", "100"], "lowest_ms, 150, must not be above"),
        (["--local.on_air", "self"], "neither your microphone nor your webcam is named"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(Settings, parse(Settings, arguments))


def test_either_device_is_enough_to_begin_as_oneself() -> None:
    for device in (["--camera.webcam", "0"], ["--microphone.real", "default"]):
        assert load(Settings, parse(Settings, ["--local.on_air", "self", *device])).local.on_air == "self"


@pytest.mark.parametrize(
    ("key", "reason"), [(token(), "it expired"), (token(lifetime_s=1e10), "the service refuses it")]
)
def test_a_token_that_the_service_refuses_is_explained_to_an_operator(
    key: str, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **__: object) -> int:
        raise ExceptionGroup("tasks", [BadToken("The token has expired; ask for a new link.")])

    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    monkeypatch.setattr(program.logs, "setup", lambda *_, **__: None)
    monkeypatch.setattr(program, "_run", refused)
    assert run(settings(local={"token": SecretStr(key), "view": "log"})) == 1
    said = capsys.readouterr().err
    assert reason in said and "--role operator" in said and "link" not in said
