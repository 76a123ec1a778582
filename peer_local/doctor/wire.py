"""The doctor's questions to the signaling service."""

import asyncio
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from peer_local.doctor.machine import Reply
from signaling.client import SignalingClient
from signaling.errors import ConnectionLost, WrongCertificate
from signaling.pin import fingerprint
from signaling.protocol import IceServer, Welcome

_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
_JOIN_S = 4.0
_CONNECT_S = 3.0
_TRIES = 3


async def get(url: str, pin: str | None = None) -> Reply:
    """The fastest of three requests on one connection. Raises OSError, TimeoutError, WrongCertificate."""
    trust: aiohttp.Fingerprint | bool = True if pin is None else fingerprint(pin)
    best: Reply | None = None
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            for _ in range(_TRIES):
                started_s = time.monotonic()
                async with session.get(url, ssl=trust, allow_redirects=False) as response:
                    round_trip_s = time.monotonic() - started_s
                    body = None
                    with suppress(ValueError, aiohttp.ContentTypeError):
                        body = await response.json()
                    if best is None or round_trip_s < best.round_trip_s:
                        date_s = _date_s(response.headers.get("Date"))
                        best = Reply(response.status, body if isinstance(body, dict) else None, date_s, round_trip_s)
    except (aiohttp.ServerFingerprintMismatch, aiohttp.ClientConnectorCertificateError):
        whose = (
            "another certificate than the one that was agreed on" if pin else "a certificate that nobody vouches for"
        )
        raise WrongCertificate(f"{URL(url).origin()} shows {whose}") from None
    except aiohttp.ClientError as error:
        raise OSError(str(error) or type(error).__name__) from None
    assert best is not None
    return best


async def ice_servers(url: str, room: str, token: str, pin: str | None = None) -> tuple[IceServer, ...]:
    """Join and leave. Raises SignalingError, ValueError, TimeoutError."""
    async with asyncio.timeout(_JOIN_S), SignalingClient(url, room, token, pin=pin) as client:
        async for message in client:
            if isinstance(message, Welcome):
                return message.ice_servers
    raise ConnectionLost("The signaling service ended the connection without a welcome.")


async def connect_s(host: str, port: int) -> float:
    """Seconds until a TCP connection is there. Raises OSError, TimeoutError."""
    started_s = time.monotonic()
    async with asyncio.timeout(_CONNECT_S):
        _, writer = await asyncio.open_connection(host, port)
    took_s = time.monotonic() - started_s
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return took_s


def _date_s(header: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date (RFC 9110, 5.6.7), half a second on as it is cut to whole ones."""
    if header is None:
        return None
    try:
        return parsedate_to_datetime(header).timestamp() + 0.5
    except ValueError:
        return None
