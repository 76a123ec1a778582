"""Where the service of a face is, and what it draws. Blocking: for the start of a program."""

import http.client
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from models.errors import EngineUnavailable
from models.face.remote.wire import VERSION
from models.servers import bearer, get, is_loopback
from models.settings import FaceSettings

DESCRIPTION_PATH: Final = "/v1/face"
SOCKET_PATH: Final = "/v1/sitting"
HEALTH_PATH: Final = "/healthz"
_RETRY_S: Final = 0.2
_MOST_PX: Final = 8_192


@dataclass(frozen=True, slots=True)
class Address:
    """A service at `url`, such as http://127.0.0.1:8003, and what proves to it who we are."""

    url: str
    key: SecretStr | None = None

    @classmethod
    def of(cls, settings: FaceSettings) -> "Address":
        return cls(settings.url.rstrip("/"), settings.key)

    @property
    def name(self) -> str:
        """What a person may read in messages: host and port."""
        return urlsplit(self.url).netloc

    @property
    def exposes_face(self) -> bool:
        """Pictures, sound and key that everybody on the way can read."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")

    def headers(self) -> dict[str, str]:
        return bearer(self.key)


@dataclass(frozen=True, slots=True)
class Description:
    """What a service draws."""

    width_px: int
    height_px: int
    engine: str
    busy: bool
    """It draws for a performer now."""


def described(
    address: Address,
    *,
    wait_s: float,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Description:
    """What the service draws; one that still starts, or still draws for somebody else, gets `wait_s`.

    Raises EngineUnavailable when it cannot be used by then, refuses the key, or is something else.
    """
    until_s = clock() + wait_s
    while True:
        try:
            status, body = get(address.url + DESCRIPTION_PATH, headers=address.headers(), timeout_s=timeout_s)
        except ssl.SSLCertVerificationError:
            raise EngineUnavailable(
                f"The certificate of the face's service at {address.name} is not trusted; check UNDERSTUDY_FACE__URL."
            ) from None
        except (OSError, http.client.HTTPException):
            trouble = "does not answer; start it with `python -m models.face serve`, or change UNDERSTUDY_FACE__URL."
        else:
            found = _description(address, status, body)
            if not found.busy:
                return found
            trouble = "draws for another performer already; stop that one, or start a service for this one."
        if clock() >= until_s:
            raise EngineUnavailable(f"The face's service at {address.name} {trouble}")
        sleep(_RETRY_S)


def _description(address: Address, status: int, body: bytes) -> Description:
    if status == 401:
        raise EngineUnavailable(refuses_key(address))
    try:
        reply: dict[str, Any] = json.loads(body) if status == 200 else {}
        version = int(reply["version"])
        if version == VERSION:
            found = Description(
                int(reply["width_px"]), int(reply["height_px"]), str(reply["engine"]), bool(reply["busy"])
            )
            if not (0 < found.width_px <= _MOST_PX and 0 < found.height_px <= _MOST_PX):
                raise ValueError
            if found.width_px % 2 or found.height_px % 2:
                raise ValueError
            return found
    except (ValueError, TypeError, LookupError):
        raise EngineUnavailable(
            f"What answers at {address.name} ({status}) is no service of a face; check UNDERSTUDY_FACE__URL."
        ) from None
    raise EngineUnavailable(
        f"The face's service at {address.name} speaks version {version}, not {VERSION}; install the same release there."
    )


def refuses_key(address: Address) -> str:
    return f"The face's service at {address.name} refuses the key; set UNDERSTUDY_FACE__KEY to the service's."
