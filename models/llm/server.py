"""Where a language model's server is, who we are to it, and what it serves. Blocking: for the start of a program."""

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from models.errors import EngineUnavailable
from models.servers import bearer, get, is_loopback

RETRY_S = 0.2

_NO_SYSTEM_ROLE = re.compile(r"gemma(?![-_ .]?[3-9](?!b))", re.IGNORECASE)
"""Gemma 1 and 2; the templates of later ones put a system text into the first user turn themselves."""


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible API below `url`, such as http://127.0.0.1:8001/v1."""

    url: str
    key: SecretStr | None = None

    @classmethod
    def at(cls, url: str, key: SecretStr | None = None) -> "Server":
        """The server at `url`; without a path the API is below /v1, as everywhere but at some hosted services."""
        parts = urlsplit(url)
        return cls(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}", key)

    @property
    def name(self) -> str:
        """What a person may read in messages: host and port."""
        return urlsplit(self.url).netloc

    @property
    def root(self) -> str | None:
        """What is above the API, where llama.cpp's and vLLM's tokenizers are; None at an API in an unusual place."""
        return self.url.removesuffix("/v1") if self.url.endswith("/v1") else None

    @property
    def exposes_key(self) -> bool:
        """A key that everybody on the way can read."""
        parts = urlsplit(self.url)
        return self.key is not None and parts.scheme == "http" and not is_loopback(parts.hostname or "")

    def headers(self) -> dict[str, str]:
        return bearer(self.key)


def has_system_role(model: str) -> bool:
    """What the model's name tells."""
    return _NO_SYSTEM_ROLE.search(model) is None


def served_models(
    server: Server,
    *,
    wait_s: float,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Names of what the server serves, none when it does not tell.

    A server that still loads its model gets `wait_s`. Raises EngineUnavailable when it does not answer by then, refuses
    the key, or is something else.
    """
    until_s = clock() + wait_s
    while True:
        try:
            status, body = get(f"{server.url}/models", headers=server.headers(), timeout_s=timeout_s)
        except ssl.SSLCertVerificationError:
            raise EngineUnavailable(
                f"The certificate of the language model's server at {server.name} is not trusted; check its address."
            ) from None
        except (OSError, http.client.HTTPException):
            trouble = "does not answer"
        else:
            if status not in (429, 500, 502, 503, 504):
                return _names(server, status, body)
            trouble = f"is not ready ({status})"
        if clock() >= until_s:
            raise EngineUnavailable(
                f"The language model's server at {server.name} {trouble}; start it, or change UNDERSTUDY_LLM__URL."
            )
        sleep(RETRY_S)


def _names(server: Server, status: int, body: bytes) -> list[str]:
    if status in (401, 403):
        raise EngineUnavailable(
            f"The language model's server at {server.name} refuses the key; set UNDERSTUDY_LLM__KEY to its key."
        )
    if status in (404, 405):
        return []
    try:
        if status != 200:
            raise ValueError
        return [str(entry["id"]) for entry in json.loads(body)["data"]]
    except (ValueError, TypeError, LookupError):
        raise EngineUnavailable(
            f"What answers at {server.name} ({status}) is no OpenAI-compatible server; check UNDERSTUDY_LLM__URL."
        ) from None
