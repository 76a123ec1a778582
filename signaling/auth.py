"""Who may enter which room, and time-limited credentials for the TURN server.

A room token is one line that survives a URL fragment, `1.<room>.<role>.<expiry, Unix seconds>.<mac>`: whoever holds the
secret can make one without asking the service, and the service needs no storage to check it.
"""

import base64
import hashlib
import hmac
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from signaling.errors import BadToken
from signaling.protocol import IceServer, Role, Room

TOKEN_VERSION = "1"
_MAC_CONTEXT = b"understudy room token\0"
"""Keeps a signature under this secret from meaning something elsewhere."""


def issue(secret: str, *, room: str, role: Role, lifetime_s: float, now_s: float) -> str:
    """Make a token that lets its bearer into `room` as `role` until `now_s + lifetime_s` (Unix time).

    Raises ValueError, one sentence, for a name that no room can have.
    """
    require_room(room)
    payload = f"{TOKEN_VERSION}.{room}.{role}.{int(now_s + lifetime_s)}"
    return f"{payload}.{_mac(secret, payload)}"


def require_room(room: str) -> None:
    """Raise ValueError, one sentence, for a name that no room can have."""
    try:
        TypeAdapter(Room).validate_python(room)
    except ValidationError:
        raise ValueError("The name of a room is 1 to 64 letters, digits, hyphens or underscores.") from None


def check(secret: str, token: str, room: str, now_s: float) -> Role:
    """The role that `token` grants in `room` at `now_s` (Unix time). Raises BadToken."""
    payload, _, mac = token.rpartition(".")
    if not hmac.compare_digest(mac.encode(), _mac(secret, payload).encode()):
        raise BadToken("The token is not valid for this service; ask for a new link.")
    version, *fields = payload.split(".")
    if version != TOKEN_VERSION or len(fields) != 3 or fields[1] not in get_args(Role):
        raise BadToken("The token was made by another version of the service; ask for a new link.")
    token_room, role, expiry_s = fields
    if token_room != room:
        raise BadToken("The token is for another room.")
    if now_s >= int(expiry_s):
        raise BadToken("The token has expired; ask for a new link.")
    checked: Role = role  # type: ignore[assignment]  # compared with Role's values above
    return checked


def turn_credentials(
    secret: str, urls: tuple[str, ...], *, lifetime_s: float, now_s: float, user: str = ""
) -> IceServer:
    """Credentials that a TURN server with the same secret accepts until `now_s + lifetime_s` (Unix time).

    The scheme is coturn's `use-auth-secret` (draft-uberti-behave-turn-rest-00, section 2.2): the username is the expiry
    in Unix seconds, with `:user` after it for the server's log, and the credential is
    base64(HMAC-SHA1(static-auth-secret, username)).
    """
    expiry = str(int(now_s + lifetime_s))
    username = f"{expiry}:{user}" if user else expiry
    digest = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return IceServer(urls=urls, username=username, credential=base64.b64encode(digest).decode())


def _mac(secret: str, payload: str) -> str:
    digest = hmac.digest(secret.encode(), _MAC_CONTEXT + payload.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
