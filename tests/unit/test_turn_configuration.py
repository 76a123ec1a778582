"""coturn's configuration: what it relays to, and who can read its secret. tests/nat/ runs the server itself."""

import stat
import sys
from pathlib import Path

import pytest

from deploy.turn import RelaySettings, configuration, main, write_configuration

SECRET = "a secret of the relay"


def lines(relay: RelaySettings | None = None, address: str = "172.17.0.2") -> list[str]:
    text = configuration(relay or RelaySettings(), SECRET.replace(" ", "-"), address=address)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_it_relays_to_the_performer_and_to_nobody_else() -> None:
    found = lines()
    assert [line for line in found if line.startswith("allowed-peer-ip")] == ["allowed-peer-ip=172.17.0.2"]
    assert "denied-peer-ip=0.0.0.0-255.255.255.255" in found
    assert any(line.startswith("denied-peer-ip=::-ffff") for line in found)
    assert {"no-multicast-peers", "no-tcp-relay", "total-quota=32", "no-cli"} <= set(found)


def test_it_listens_over_udp_only_when_asked() -> None:
    assert {"no-udp", "no-tls", "no-dtls", "listening-port=3479", "listening-ip=172.17.0.2"} <= set(lines())
    assert "no-udp" not in lines(RelaySettings(udp=True, port=3480))


def test_credentials_are_the_signaling_services() -> None:
    assert {"use-auth-secret", "static-auth-secret=a-secret-of-the-relay", "fingerprint"} <= set(lines())


@pytest.mark.parametrize("secret", ["two\nlines of secrets", "a secret with blanks", "таємниця" * 4])
def test_a_secret_that_would_not_stay_on_its_line_is_refused_untold(secret: str) -> None:
    with pytest.raises(ValueError, match="ASCII") as caught:
        configuration(RelaySettings(), secret, address="172.17.0.2")
    assert secret not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX modes")
def test_nobody_else_can_read_the_secret(tmp_path: Path) -> None:
    file = tmp_path / "turnserver.conf"
    file.write_text("open to all")
    file.chmod(0o644)
    write_configuration(file, RelaySettings(address="172.17.0.2"), "0123456789abcdef")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "static-auth-secret=0123456789abcdef" in file.read_text()


def test_the_program_reads_the_services_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)
    assert main(["turnserver.conf"]) == 2
    assert "UNDERSTUDY_SIGNALING__TURN_SECRET is not set" in capsys.readouterr().err
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__TURN_SECRET", "0123456789abcdef")
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__TURN_URLS", "turn:203.0.113.7:33479?transport=tcp")
    monkeypatch.setenv("UNDERSTUDY_RELAY__ADDRESS", "172.17.0.2")
    assert main(["turnserver.conf"]) == 0
    assert capsys.readouterr().out == ""
    assert "relay-ip=172.17.0.2" in Path("turnserver.conf").read_text()
