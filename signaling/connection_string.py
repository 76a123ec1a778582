"""All that a peer needs to join a room elsewhere, in one line:

    understudy://TOKEN@HOST:PORT/ROOM/PIN     over TLS, to the one certificate with this pin
    understudy://TOKEN@HOST:PORT/ROOM/tls     over TLS, with a certificate that an authority vouches for
    understudy://TOKEN@HOST:PORT/ROOM         without TLS

It is made of letters, digits and `.:/@_-` only (and brackets around an IPv6 address), none of which means anything to
a shell or to a .env file in these places, and it holds no blank, so that a line that a terminal has broken is whole
again without its breaks. The pin comes last: what was cut off is noticed, also where nothing of it is left, because an
address of the Internet is never read without TLS.
"""

import ipaddress
import re
from dataclasses import dataclass, field

from signaling.auth import require_room
from signaling.pin import read_pin

SCHEME = "understudy"
BY_AUTHORITY = "tls"

_FORM = re.compile(
    rf"{SCHEME}://(?P<token>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{{1,5}})"
    r"/(?P<room>[^/]*)(/(?P<trust>[^/]*))?"
)
_AROUND = "'\"<>`"
"""What people put around a line that they quote."""


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """Where a room is and what lets one in. `pin` is None over TLS when an authority vouches for the certificate."""

    host: str
    """A name or an address; one of IPv6 without its brackets."""
    port: int
    room: str
    token: str = field(repr=False)
    tls: bool = True
    pin: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ConnectionString":
        """Read a line as somebody pasted it. Raises ValueError, one clause that quotes nothing of it."""
        text = re.sub(r"\s+", "", text).strip(_AROUND)
        if not text.startswith(f"{SCHEME}://"):
            raise ValueError(f"a connection string begins with {SCHEME}://")
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"a connection string is {SCHEME}://TOKEN@HOST:PORT/ROOM/PIN; copy it once more, whole")
        port, trust = int(found["port"]), found["trust"]
        if not 0 < port <= 65_535:
            raise ValueError("the port of the connection string must be 1 to 65535")
        try:
            require_room(found["room"])
        except ValueError:
            raise ValueError("the connection string names no room; copy it once more, whole") from None
        try:
            pin = None if trust in (None, BY_AUTHORITY) else read_pin(trust)
        except ValueError:
            raise ValueError("the pin at the end of the connection string is not whole; copy it once more") from None
        host = found["host"].strip("[]")
        if trust is None and _is_public(host):
            raise ValueError(
                "the connection string has no pin, so that all would be in clear; copy it once more, whole, or give "
                "the service a certificate"
            )
        return cls(host, port, found["room"], found["token"], tls=trust is not None, pin=pin)

    def __str__(self) -> str:
        trust = "" if not self.tls else f"/{self.pin or BY_AUTHORITY}"
        return f"{SCHEME}://{self.token}@{self.address}/{self.room}{trust}"

    @property
    def address(self) -> str:
        """host:port, which may be shown to anybody."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def socket_url(self) -> str:
        """The service's WebSocket, as SignalingClient takes it."""
        return f"{'wss' if self.tls else 'ws'}://{self.address}/ws"

    @property
    def page_url(self) -> str:
        """The service's pages."""
        return f"{'https' if self.tls else 'http'}://{self.address}"


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False
