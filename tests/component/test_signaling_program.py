"""`python -m signaling` as it is typed into a terminal."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import unused_port

from deploy.certificate import ensure
from signaling.auth import check
from signaling.client import SignalingClient
from signaling.protocol import Welcome

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
SECRET = "correct horse battery"


@asynccontextmanager
async def program(cwd: Path, *arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program with `settings` of the section signaling and no others; killed if the test leaves it running."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    environment |= {f"UNDERSTUDY_SIGNALING__{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "signaling", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def lines_until(process: asyncio.subprocess.Process, beginning: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith(beginning):
        line = await process.stdout.readline()
        assert line, "the program ended"
        lines.append(line.decode().strip())
    return lines


@pytest.mark.parametrize("tls", [False, True])
async def test_it_starts_alone_prints_ways_in_and_stops_when_told(tmp_path: Path, tls: bool) -> None:
    certificate = ensure(tmp_path / "tls") if tls else None
    files = {"tls_certificate": str(certificate.certificate), "tls_key": str(certificate.key)} if certificate else {}
    async with program(tmp_path, "--port", "0", **files) as process:
        ready, link, performer = await lines_until(process, "Performer's token: ")
        address = ready.removeprefix("Signaling is ready at ")
        found = re.fullmatch(r"Open in a browser: (https?://127\.0\.0\.1:\d+)/#room=main&token=(\S+)", link)
        assert found is not None and found[1] == address and address.startswith("https:" if tls else "http:")
        secrets = {"viewer": found[2], "performer": performer.removeprefix("Performer's token: ")}
        for role, secret in secrets.items():
            async with SignalingClient(address, "main", secret, pin=certificate and certificate.pin) as client:
                welcome = await anext(client)
                assert isinstance(welcome, Welcome) and welcome.role == role
        process.send_signal(signal.SIGINT)
        status, _, log = await ended(process)
    assert status == 0
    assert "signaling_ready" in log and "Traceback" not in log
    assert not any(secret in log for secret in secrets.values())


async def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    port = unused_port()
    async with await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port):
        async with program(tmp_path, "--port", str(port)) as process:
            assert await ended(process) == (
                1,
                "",
                f"Cannot listen on 127.0.0.1 port {port}: the port is already in use.\n",
            )


async def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    async with program(tmp_path, prt="8080") as process:
        status, out, err = await ended(process)
    assert (status, out) == (2, "")
    assert err == "UNDERSTUDY_SIGNALING__PRT is not a setting; did you mean UNDERSTUDY_SIGNALING__PORT?\n"


async def test_a_room_that_cannot_be_is_refused_before_it_listens(tmp_path: Path) -> None:
    async with program(tmp_path, "--port", "0", "--room", "a room") as process:
        status, out, err = await ended(process)
    assert (status, out) == (2, "")
    assert err == "The name of a room is 1 to 64 letters, digits, hyphens or underscores.\n"


async def test_it_makes_tokens_for_a_configured_secret(tmp_path: Path) -> None:
    async with program(tmp_path, "token", "--role", "operator", "--room", "attic", secret=SECRET) as process:
        status, out, err = await ended(process)
    assert (status, err) == (0, "")
    assert check(SECRET, out.strip(), "attic", 0) == "operator"


@pytest.mark.parametrize(
    ("arguments", "settings", "reason"),
    [
        ((), {}, "SECRET is not set"),
        (("--room", "a room"), {"secret": SECRET}, "The name of a room is"),
        (("--hours", "0"), {"secret": SECRET}, "--hours must be more than 0 and"),
        (("--hours", "inf"), {"secret": SECRET}, "--hours must be more than 0 and"),
    ],
)
async def test_a_token_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], reason: str
) -> None:
    async with program(tmp_path, "token", *arguments, **settings) as process:
        status, out, err = await ended(process)
    assert (status, out) == (2, "")
    assert reason in err and err.count("\n") == 1
