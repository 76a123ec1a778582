"""Settings of a double that performs elsewhere: the connection string at home, ports and addresses on the stage."""

from pathlib import Path

import pytest

from peer_local.settings import DEPLOYED
from peer_local.settings import Settings as LocalSettings
from peer_remote.settings import Settings as RemoteSettings
from signaling.connection_string import ConnectionString
from signaling.settings import ServiceSettings, SettingsError, StrictSettings

PIN = "A" * 43
CONNECTION = ConnectionString("203.0.113.7", 33526, "studio", "1.studio.operator.1800000000.mac", pin=PIN)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def failure(program: type[StrictSettings], **section: object) -> str:
    with pytest.raises(SettingsError) as caught:
        program.load(**section)
    text = str(caught.value)
    assert "\n" not in text and text[-1] in ".?"
    return text


def test_one_line_says_where_the_double_is() -> None:
    local = LocalSettings.load(local={"connection": str(CONNECTION)}).local
    assert (local.signaling_url, local.signaling_pin, local.room) == ("wss://203.0.113.7:33526/ws", PIN, "studio")
    assert local.token is not None and local.token.get_secret_value() == CONNECTION.token


def test_the_deployments_file_is_read_and_what_the_user_writes_wins_over_it() -> None:
    Path(DEPLOYED).write_text(f"UNDERSTUDY_LOCAL__CONNECTION={CONNECTION}\n")
    assert LocalSettings.load().local.room == "studio"
    other = ConnectionString("127.0.0.1", 8080, "home", "1.home.operator.1800000000.mac", tls=False)
    Path(".env").write_text(f"UNDERSTUDY_LOCAL__CONNECTION={other}\n")
    assert LocalSettings.load().local.room == "home"


def test_the_deployments_file_does_not_concern_the_performer() -> None:
    Path(DEPLOYED).write_text(f"UNDERSTUDY_LOCAL__CONNECTION={CONNECTION}\nUNDERSTUDY_REMOTE__ROOM=other\n")
    assert RemoteSettings.load().remote.room == "main"


def test_an_empty_connection_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_LOCAL__CONNECTION", "")
    local = LocalSettings.load().local
    assert (local.connection, local.room) == (None, "main")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("signaling_url", "ws://127.0.0.1:8080/ws"),
        ("room", "main"),
        ("token", "1.main.operator.1800000000.other"),
        ("signaling_pin", "B" * 43),
    ],
)
def test_what_contradicts_the_line_is_named(key: str, value: str) -> None:
    said = failure(LocalSettings, local={"connection": str(CONNECTION), key: value})
    assert said.startswith(f"UNDERSTUDY_LOCAL__{key.upper()} contradicts UNDERSTUDY_LOCAL__CONNECTION")
    assert CONNECTION.token not in said and value not in said


def test_what_says_the_same_as_the_line_may_stay() -> None:
    assert LocalSettings.load(local={"connection": str(CONNECTION), "room": "studio"}).local.room == "studio"


def test_a_line_that_is_none_is_one_sentence_without_it() -> None:
    said = failure(LocalSettings, local={"connection": str(CONNECTION)[:-9]})
    assert said.startswith("UNDERSTUDY_LOCAL__CONNECTION: the pin at the end of the connection string is not whole")


def test_a_pin_may_be_written_as_browsers_show_it() -> None:
    shown = ":".join(["0a"] * 32)
    assert (
        LocalSettings.load(local={"signaling_pin": shown}).local.signaling_pin
        == "CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo"
    )
    assert "UNDERSTUDY_REMOTE__SIGNALING_PIN: a pin is the SHA-256" in failure(
        RemoteSettings, remote={"signaling_pin": "1234"}
    )


@pytest.mark.parametrize("text", ["40000,40001,40002", " 40000-40002 ", "40000-40001, 40002"])
def test_media_ports_are_a_list_or_a_range(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("UNDERSTUDY_REMOTE__MEDIA_PORTS", text)
    assert RemoteSettings.load().remote.media_ports == (40000, 40001, 40002)


@pytest.mark.parametrize("text", ["33526,33900,41007", "40002:41007, 40000:33526,40001:33900"])
def test_public_ports_are_in_order_or_in_pairs(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("UNDERSTUDY_REMOTE__MEDIA_PORTS", "40000-40002")
    monkeypatch.setenv("UNDERSTUDY_REMOTE__PUBLIC_ADDRESS", " 203.0.113.7 ")
    monkeypatch.setenv("UNDERSTUDY_REMOTE__PUBLIC_PORTS", text)
    remote = RemoteSettings.load().remote
    assert (remote.public_address, remote.public_ports) == ("203.0.113.7", (33526, 33900, 41007))


@pytest.mark.parametrize(
    ("remote", "reason"),
    [
        ({"media_ports": "many"}, "MEDIA_PORTS: many is no port"),
        ({"media_ports": "0"}, "MEDIA_PORTS: 0 must be ports from 1 to 65535"),
        ({"media_ports": "40002-40000"}, "MEDIA_PORTS: 40002-40000 must be"),
        ({"media_ports": "40000,40000"}, "no port may be there twice"),
        ({"media_ports": "40000", "public_address": "example.org"}, "example.org is not an IP address"),
        ({"public_address": "203.0.113.7"}, "public_address needs media_ports"),
        ({"media_ports": "40000", "public_ports": "1"}, "public_ports needs public_address"),
        ({"media_ports": "40000-40001", "public_address": "203.0.113.7", "public_ports": "1"}, "as many as"),
        ({"media_ports": "40000", "public_address": "203.0.113.7", "public_ports": "40001:2"}, "one pair"),
        ({"media_ports": "40000", "public_address": "203.0.113.7", "public_ports": "40000:"}, "no pair of ports"),
    ],
)
def test_ports_that_cannot_be_are_one_sentence(remote: dict[str, str], reason: str) -> None:
    assert reason in failure(RemoteSettings, remote=remote)


def test_a_certificate_needs_its_key() -> None:
    assert "tls_certificate and tls_key only work together" in failure(
        ServiceSettings, signaling={"tls_certificate": "certificate.pem"}
    )
