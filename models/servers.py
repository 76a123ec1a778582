"""Servers that engines are behind: whether one is on this machine, who we are to it, and one blocking question."""

import http.client
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import SecretStr

MAX_REPLY_BYTES = 1 << 20


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, so that nobody else can read what passes."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bearer(key: SecretStr | None) -> dict[str, str]:
    """The header that carries the key, if there is one."""
    return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def get(url: str, *, headers: Mapping[str, str], timeout_s: float) -> tuple[int, bytes]:
    """Status and body, at most MAX_REPLY_BYTES, of what answers at `url`. Raises OSError and HTTPException."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read(MAX_REPLY_BYTES)
    finally:
        connection.close()
