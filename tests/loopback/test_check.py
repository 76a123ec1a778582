"""The check of a deployment meets a double as its user does, and says what is in the way."""

import socket

import pytest

from deploy import check as checking
from deploy.check import Target, check
from deploy.witness import CheckFailed
from models.llm.scripted import ScriptedModel
from signaling.errors import BadToken, SignalingError
from tests.component.signaling_peers import serving, token
from tests.loopback.theatre import ROOM, theatre


async def test_an_operator_hears_the_sentence_and_sees_the_face() -> None:
    said: list[str] = []
    async with theatre() as house:
        await check(Target(house.service.url, ROOM, token("operator")), say=said.append, listens=False)
    steps = [line.split("  ")[1].strip() for line in said]
    assert steps == "signaling,performer,ICE,first picture,first sound,sentence,energy,pictures".split(",")
    assert "dBFS" in said[6]


async def test_a_viewer_may_ask_for_an_answer_instead() -> None:
    said: list[str] = []
    async with theatre(llm=ScriptedModel(["Hello, dear friends."])) as house:
        await check(Target(house.service.url, ROOM, token("viewer")), say=said.append, listens=False)
    assert "as viewer" in said[0]


async def test_a_room_without_its_double_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "PERFORMER_S", 0.2)
    async with serving() as service:
        with pytest.raises(CheckFailed, match=r"^The double is not in its room; "):
            await check(Target(service.url, ROOM, token("operator")), say=lambda _: None)


async def test_a_token_that_is_none_is_told() -> None:
    async with serving() as service:
        with pytest.raises(BadToken):
            await check(Target(service.url, ROOM, "1.main.operator.9999999999.x"), say=lambda _: None)


async def test_a_service_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SIGNALING_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises((CheckFailed, SignalingError), match="check the address"):
        await check(Target(f"ws://127.0.0.1:{port}/ws", ROOM, token("operator")), say=lambda _: None)


def test_the_line_that_make_run_prints_is_understood() -> None:
    target = Target.read("http://127.0.0.1:8080/#room=main&token=1.main.viewer.99.x")
    assert (target.url, target.room, target.token, target.pin) == (
        "http://127.0.0.1:8080",
        "main",
        "1.main.viewer.99.x",
        None,
    )


@pytest.mark.parametrize("text", ["", "http://127.0.0.1:8080/", "understudy://secret@host", "8080"])
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"connection string|whole line") as refused:
        Target.read(text)
    assert "secret" not in str(refused.value)


async def test_the_address_of_the_command_may_be_a_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert checking.run([]) == 2
    assert "UNDERSTUDY_LOCAL__CONNECTION" in capsys.readouterr().err
