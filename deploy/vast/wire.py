"""HTTPS to Vast.ai, one request at a time and never repeated. Standard library only, so that an instance can use it.

The official client repeats every request that got no answer, a rent too, which can rent twice; here the caller is told
whether a request that failed can have had an effect, and decides.
"""

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

SERVER = "https://console.vast.ai"
TIMEOUT_S = 30.0
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024
LONGEST_MESSAGE = 200
TOO_MANY = 429
GONE = 404
NEVER_SENT = (ConnectionRefusedError, socket.gaierror)
"""The request did not reach anybody."""

Open = Callable[[urllib.request.Request, float], Any]


class WireError(Exception):
    """A request failed; the message is one sentence."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        lost: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """None when there was no answer."""
        self.code = code
        """The API's own name for what is wrong, such as no_such_ask; empty when it gave none."""
        self.lost = lost
        """Whether the request can have had its effect although it failed."""
        self.retry_after_s = retry_after_s


class Wire:
    """One account's, or one instance's, way to the API."""

    def __init__(
        self, key: str, *, server: str = SERVER, timeout_s: float = TIMEOUT_S, opened: Open | None = None
    ) -> None:
        address = urlsplit(server)
        if address.scheme != "https" and address.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise WireError("The address of Vast.ai must begin with https://, because the key goes there.")
        self._server = server.rstrip("/")
        self._key = key
        self._timeout_s = timeout_s
        self._open = opened or _open_directly

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, query: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The JSON object that the API answers. Raises WireError."""
        url = self._server + path
        if query:
            url += "?" + "&".join(f"{name}={quote(_text(value), safe='')}" for name, value in query.items())
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        answer = self._send(urllib.request.Request(url, data, headers, method=method))
        try:
            found = json.loads(answer)
        except ValueError:
            raise WireError("Vast.ai answered with something else than JSON.", status=200, lost=True) from None
        if not isinstance(found, dict):
            raise WireError("Vast.ai answered with something else than an object.", status=200, lost=True)
        if found.get("success") is False:
            raise WireError(_sentence(200, found), status=200, code=_code(found))
        return found

    def text(self, url: str) -> str | None:
        """What lies at an address that the API gave, or None while nothing does. It is asked without the key."""
        try:
            address = urlsplit(url)
        except ValueError:
            raise WireError("Vast.ai named an address that is none.") from None
        if address.scheme != "https" and address.hostname != urlsplit(self._server).hostname:
            raise WireError("Vast.ai named an address that does not begin with https://.")
        try:
            return self._send(urllib.request.Request(url)).decode(errors="replace")
        except WireError as error:
            if error.status in (403, GONE):  # a store answers so for what is not there yet
                return None
            raise

    def _send(self, request: urllib.request.Request) -> bytes:
        try:
            with self._open(request, self._timeout_s) as response:
                answer: bytes = response.read(LARGEST_ANSWER_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error) from None
        except urllib.error.URLError as error:
            lost = not isinstance(error.reason, NEVER_SENT)
            raise WireError(f"Vast.ai cannot be reached: {_reason(error.reason)}.", lost=lost) from None
        except (OSError, http.client.HTTPException) as error:
            raise WireError(f"Vast.ai did not answer: {_reason(error)}.", lost=True) from None
        if len(answer) > LARGEST_ANSWER_BYTES:
            raise WireError("Vast.ai answered with more than can be read.", status=200, lost=True)
        return answer


def destroy_self(environ: Mapping[str, str]) -> bool:
    """Destroy the instance that this runs in, with the key that Vast.ai gave it; whether it is gone or going."""
    instance, key = environ.get("CONTAINER_ID", ""), environ.get("CONTAINER_API_KEY", "")
    if not (instance.isdigit() and key):
        return False
    try:
        Wire(key, server=environ.get("VAST_URL") or SERVER).call("DELETE", f"/api/v0/instances/{instance}/", {})
    except WireError as error:
        return error.status == GONE
    return True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to nobody else."""

    def redirect_request(self, *_: object) -> None:
        return None


def _open_directly(request: urllib.request.Request, timeout_s: float) -> Any:
    return urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout_s)


def _refused(error: urllib.error.HTTPError) -> WireError:
    try:
        answer = json.loads(error.read(LARGEST_ANSWER_BYTES))
    except (ValueError, OSError, http.client.HTTPException):
        answer = {}
    try:
        wait_s: float | None = float(error.headers.get("Retry-After") or "")
    except ValueError:
        wait_s = None
    found = answer if isinstance(answer, dict) else {}
    return WireError(
        _sentence(error.code, found),
        status=error.code,
        code=_code(found),
        lost=error.code >= 500,
        retry_after_s=wait_s,
    )


def _code(answer: Mapping[str, Any]) -> str:
    code = answer.get("error")
    return code if isinstance(code, str) else ""


def _sentence(status: int, answer: Mapping[str, Any]) -> str:
    said = next((answer[key] for key in ("msg", "message", "error") if isinstance(answer.get(key), str)), "")
    said = " ".join(said.split())[:LONGEST_MESSAGE].rstrip(".")
    if status in (401, 403):
        return f"Vast.ai does not accept the API key{f': {said}' if said else ''}."
    if status == TOO_MANY:
        return f"Vast.ai asks for fewer requests{f': {said}' if said else ''}."
    return f"Vast.ai refuses (status {status}){f': {said}' if said else ''}."


def _reason(error: object) -> str:
    said = getattr(error, "strerror", None) or str(error)  # without the number in front
    return " ".join(said.split()).rstrip(".") or type(error).__name__


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
