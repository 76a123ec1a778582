"""Signaling over TLS with a certificate of one's own: the pinned one is trusted, and nothing else is."""

import asyncio
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from deploy.certificate import Certificate, ensure
from peer_local.doctor import wire
from signaling import __main__ as program
from signaling.app import create_app
from signaling.client import SignalingClient
from signaling.connection_string import ConnectionString
from signaling.errors import WrongCertificate
from signaling.pin import serving, trusting
from signaling.protocol import Welcome
from signaling.settings import SignalingSettings
from tests.component.signaling_peers import NOW_S, PATIENCE_S, SECRET, token


@asynccontextmanager
async def secure(certificate: Certificate, port: int = 0) -> AsyncIterator[TestServer]:
    """The service over TLS."""
    app = create_app(SignalingSettings(secret=SecretStr(SECRET)), clock=lambda: NOW_S)
    server = TestServer(app, scheme="https", port=port or None)
    await server.start_server(ssl=serving(certificate.certificate, certificate.key))
    try:
        yield server
    finally:
        await server.close()


def client(server: TestServer, naps: list[float], **options: str | None) -> SignalingClient:
    async def nap(delay_s: float) -> None:
        naps.append(delay_s)
        await asyncio.sleep(0)

    return SignalingClient(str(server.make_url("/")), "main", token("operator"), sleep=nap, **options)  # type: ignore[arg-type]


async def first(peer: SignalingClient) -> object:
    async with asyncio.timeout(PATIENCE_S):
        return await anext(peer)


async def test_the_pinned_certificate_lets_in(tmp_path: Path) -> None:
    mine = ensure(tmp_path)
    async with secure(mine) as server, client(server, [], pin=mine.pin) as peer:
        assert isinstance(await first(peer), Welcome)


@pytest.mark.parametrize(
    ("pinned", "sentence"),
    [
        (True, "shows another certificate than the one that was agreed on, so it was not trusted; take the connection"),
        (False, "No authority vouches for the certificate of .*, so it was not trusted; take the connection string"),
    ],
)
async def test_another_certificate_is_refused_at_once_with_one_sentence(
    tmp_path: Path, pinned: bool, sentence: str
) -> None:
    mine, other = ensure(tmp_path / "mine"), ensure(tmp_path / "other")
    naps: list[float] = []
    async with secure(other) as server, client(server, naps, pin=mine.pin if pinned else None) as peer:
        with pytest.raises(WrongCertificate, match=sentence) as caught:
            await first(peer)
    assert naps == [] and "\n" not in str(caught.value)


async def test_nothing_is_told_to_a_service_with_another_certificate(tmp_path: Path) -> None:
    """The token would let in whoever reads it."""
    mine, other = ensure(tmp_path / "mine"), ensure(tmp_path / "other")
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=serving(other.certificate, other.key))
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with SignalingClient(f"wss://127.0.0.1:{port}", "main", token("operator"), pin=mine.pin) as peer:
            with pytest.raises(WrongCertificate):
                await first(peer)
    assert not heard


async def test_a_network_that_answers_for_everybody_does_not_end_a_call_but_is_not_trusted(tmp_path: Path) -> None:
    mine, other = ensure(tmp_path / "mine"), ensure(tmp_path / "other")
    mistrusted = asyncio.Event()

    async def nap(delay_s: float) -> None:
        if "shows another certificate than the one that was agreed on" in (peer.trouble or ""):
            mistrusted.set()
        await asyncio.sleep(0.01)

    async with secure(mine) as server:
        port = server.port
        assert port is not None
        peer = SignalingClient(f"https://127.0.0.1:{port}", "main", token("operator"), pin=mine.pin, sleep=nap)
        await peer.__aenter__()
        assert isinstance(await first(peer), Welcome)
    async with secure(other, port), asyncio.timeout(PATIENCE_S):
        await mistrusted.wait()
    async with secure(mine, port):
        assert isinstance(await first(peer), Welcome)
        await peer.__aexit__(None, None, None)


def test_a_pin_needs_tls() -> None:
    with pytest.raises(ValueError, match=r"^A pin needs an address with TLS, and ws://127\.0\.0\.1:1 has none; "):
        SignalingClient("ws://127.0.0.1:1", "main", "t", pin="A" * 43)


async def test_a_health_check_beside_the_service_trusts_its_file_alone(tmp_path: Path) -> None:
    mine, other = ensure(tmp_path / "mine"), ensure(tmp_path / "other")

    def ask(url: str, trusted: Certificate) -> object:
        with urllib.request.urlopen(url, timeout=PATIENCE_S, context=trusting(trusted.certificate)) as reply:
            return json.load(reply)["status"]

    async with secure(mine) as server:
        url = str(server.make_url("/healthz"))
        assert await asyncio.to_thread(ask, url, mine) == "ok"
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(ask, url, other)


async def test_the_doctor_says_that_the_certificate_is_another(tmp_path: Path) -> None:
    mine, other = ensure(tmp_path / "mine"), ensure(tmp_path / "other")
    async with secure(mine) as server:
        url = str(server.make_url("/healthz"))
        assert (await wire.get(url, mine.pin)).status == 200
        with pytest.raises(WrongCertificate, match="another certificate"):
            await wire.get(url, other.pin)
        with pytest.raises(WrongCertificate, match="nobody vouches for"):
            await wire.get(url)


def test_the_program_prints_how_to_connect_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = ensure(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__TLS_CERTIFICATE", str(mine.certificate))
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__TLS_KEY", str(mine.key))
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__SECRET", SECRET)
    assert program.main(["pin"]) == 0
    assert capsys.readouterr().out == f"{mine.pin}\n"
    assert program.main(["connection", "--host", "203.0.113.7", "--port", "33526", "--room", "studio"]) == 0
    connection = ConnectionString.parse(capsys.readouterr().out)
    assert (connection.address, connection.room, connection.pin) == ("203.0.113.7:33526", "studio", mine.pin)
    assert ".operator." in connection.token
    assert program.main(["connection", "--host", "what?"]) == 2
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__TLS_KEY", str(mine.certificate))
    assert program.main(["--port", "0"]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_what_is_served_is_modern(tmp_path: Path) -> None:
    mine = ensure(tmp_path)
    assert serving(mine.certificate, mine.key).minimum_version >= ssl.TLSVersion.TLSv1_2
