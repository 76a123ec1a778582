"""Files over plain HTTPS: a Hugging Face hub, or a project's own page.

A download that breaks off goes on where it stopped (Range and If-Range, RFC 9110, 13.1.5 and 14.2), also in the next
run. The hub names the sha256 of large files before it sends them (`X-Linked-ETag`), so that wrong bytes are refused
before they are downloaded. HF_ENDPOINT and HF_TOKEN are honoured; the token never follows a redirect to another host.
"""

import errno
import fnmatch
import http.client
import json
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any

from models.errors import WeightsError
from models.weights.catalog import HubSource, UrlSource, WeightFile
from models.weights.sources import Delivery, OnBytes, SourceFailed, SourceUnreachable, StopSignal

HUB = "https://huggingface.co"
PROBE_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18
MAX_FRUITLESS_TRIES = 4
"""Tries in a row that bring no byte; a try that brings some starts the count anew."""

_OUR_OWN_FAULT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG})
_SHA256 = re.compile(r"^[0-9a-f]{64}$")
_BLOCKED = frozenset({403, 407, 451, 511})
"""Answers to a probe that come from something between us and the site, or mean that it will not serve us."""


@dataclass(slots=True)
class _Redirects(urllib.request.HTTPRedirectHandler):
    """Keeps the hub's headers of the first answer, and the token away from other hosts."""

    linked: dict[str, str] = field(default_factory=dict)

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        self.keep(headers)
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        token = req.unredirected_hdrs.get("Authorization")
        if new is not None and token and _origin(newurl) == _origin(req.full_url):
            new.add_unredirected_header("Authorization", token)
        return new

    def keep(self, headers: HTTPMessage) -> None:
        for name in ("X-Linked-ETag", "X-Repo-Commit"):
            if value := headers.get(name):
                self.linked.setdefault(name, value.strip('W/"'))


class Hub:
    """Downloads hub and URL sources. Safe to use from several threads."""

    def __init__(
        self,
        stop: StopSignal,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        self._stop = stop
        self._endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
        if not re.match(r"https?://[^/\s]+", self._endpoint):
            raise WeightsError(f"HF_ENDPOINT is {self._endpoint}, which is not an address such as {HUB}.")
        self._token = token or os.environ.get("HF_TOKEN")
        self._wait = wait or stop.wait
        self._probes: dict[str, _Probe] = {}
        self._probing = threading.Lock()

    def probe(self, sources: Iterable[HubSource | UrlSource]) -> None:
        """Ask the sites of all these sources at the same time whether they answer."""
        for source in sources:
            origin = self._origin_of(source)
            if origin not in self._probes:
                self._probes[origin] = _Probe(origin)

    def reachable(self, source: HubSource | UrlSource) -> bool:
        """Whether the source's site answers; asked once per site, within PROBE_TIMEOUT_S."""
        with self._probing:
            self.probe([source])
        return self._probes[self._origin_of(source)].answered()

    def download(self, source: HubSource | UrlSource, file: WeightFile, part: Path, on_bytes: OnBytes) -> Delivery:
        """Bring `file` to the path `part`, which may hold the beginning already. Raises SourceFailed, Stopped."""
        label = f"{source.repo} on the model hub" if isinstance(source, HubSource) else _origin(source.url)
        if not self.reachable(source):
            raise SourceUnreachable(self._origin_of(source))
        part.parent.mkdir(parents=True, exist_ok=True)
        url = self._url(source, label)
        on_bytes(_size(part))
        fruitless = 0
        while True:
            before = _size(part)
            try:
                return self._attempt(url, label, file, part, on_bytes)
            except urllib.error.HTTPError as error:
                with error:
                    self._refuse_for_good(error.code, label, source, part)
                reason = f"answers {error.code}"
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno in _OUR_OWN_FAULT:
                    raise
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless >= MAX_FRUITLESS_TRIES:
                raise SourceFailed(f"{label}: {reason}")
            self._wait(2.0**fruitless)

    def _origin_of(self, source: HubSource | UrlSource) -> str:
        return _origin(self._endpoint if isinstance(source, HubSource) else source.url)

    def _attempt(self, url: str, label: str, file: WeightFile, part: Path, on_bytes: OnBytes) -> Delivery:
        etag_path = part.with_name(part.name + ".etag")
        start = _size(part) if etag_path.is_file() else 0
        request = self._request(url)
        if start:
            request.add_header("Range", f"bytes={start}-")
            request.add_header("If-Range", etag_path.read_text())
        redirects = _Redirects()
        opener = urllib.request.build_opener(redirects)
        with (
            opener.open(request, timeout=READ_TIMEOUT_S) as response,
            self._stop.waking(partial(_shut_down, response)),
        ):
            redirects.keep(response.headers)
            offered = redirects.linked.get("X-Linked-ETag", "")
            offered_sha256 = offered if _SHA256.match(offered) else None
            if file.sha256 and offered_sha256 and offered_sha256 != file.sha256:
                raise SourceFailed(f"{label} has another {file.name} than the catalog promises")
            resumed = response.status == 206
            if not resumed and _size(part):
                on_bytes(-_size(part))
            etag = response.headers.get("ETag", "")
            etag_path.write_text(etag) if etag and not etag.startswith("W/") else etag_path.unlink(missing_ok=True)
            self._receive(response, part, on_bytes, append=resumed)
        etag_path.unlink(missing_ok=True)
        commit = redirects.linked.get("X-Repo-Commit", "")
        return Delivery(part, f"{label}{f' at {commit}' if commit else ''}", offered_sha256)

    def _receive(self, response: HTTPResponse, part: Path, on_bytes: OnBytes, *, append: bool) -> None:
        length = response.headers.get("Content-Length")
        received = 0
        with part.open("ab" if append else "wb") as out:
            while chunk := response.read(CHUNK_BYTES):
                out.write(chunk)
                received += len(chunk)
                on_bytes(len(chunk))
                self._stop.wait(0)
        if length is not None and received < int(length):
            raise http.client.IncompleteRead(b"", int(length) - received)

    def _url(self, source: HubSource | UrlSource, label: str) -> str:
        if isinstance(source, UrlSource):
            return source.url
        path = self._match(source, label) if "*" in source.path else source.path
        return f"{self._endpoint}/{source.repo}/resolve/{source.revision}/{urllib.parse.quote(path)}"

    def _match(self, source: HubSource, label: str) -> str:
        """The one file of the repository that the pattern names."""
        request = self._request(f"{self._endpoint}/api/models/{source.repo}/tree/{source.revision}?recursive=true")
        try:
            with urllib.request.build_opener(_Redirects()).open(request, timeout=READ_TIMEOUT_S) as response:
                entries: list[dict[str, Any]] = json.load(response)
            names = [str(entry["path"]) for entry in entries if entry.get("type") == "file"]
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceFailed(f"{label}: its list of files cannot be read ({error})") from None
        matching = fnmatch.filter(names, source.path)
        if len(matching) != 1:
            raise SourceFailed(f"{label} has {len(matching)} files that match {source.path}, not one")
        return matching[0]

    def _request(self, url: str) -> urllib.request.Request:
        request = urllib.request.Request(url, headers={"User-Agent": "understudy", "Accept-Encoding": "identity"})
        if self._token and _origin(url) == _origin(self._endpoint):
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return request

    def _refuse_for_good(self, code: int, label: str, source: HubSource | UrlSource, part: Path) -> None:
        """Raise for answers that asking again does not change."""
        if code in (401, 403):
            if isinstance(source, UrlSource):
                raise SourceFailed(f"{label} answers {code}")
            page = f"{self._endpoint}/{source.repo}"
            raise SourceFailed(f"{label} refuses: accept the model's terms at {page} and set HF_TOKEN")
        if code == 416:
            part.with_name(part.name + ".etag").unlink(missing_ok=True)
        elif code not in (408, 429) and code < 500:
            raise SourceFailed(f"{label} answers {code}")


def _shut_down(response: HTTPResponse) -> None:
    """End a read that hangs in another thread."""
    with suppress(OSError, ValueError):  # it has ended by itself
        connection = socket.socket(fileno=response.fileno())
        try:
            connection.shutdown(socket.SHUT_RDWR)
        finally:
            connection.detach()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _origin(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class _Probe:
    """A question to a site, on a thread of its own: looking a name up has no time-out that one could set."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._answers = False
        self._until_s = time.monotonic() + PROBE_TIMEOUT_S
        self._thread = threading.Thread(target=self._ask, name="weights-probe", daemon=True)
        self._thread.start()

    def answered(self) -> bool:
        self._thread.join(max(0.0, self._until_s - time.monotonic()))
        return self._answers

    def _ask(self) -> None:
        request = urllib.request.Request(self._origin + "/", method="HEAD", headers={"User-Agent": "understudy"})
        try:
            with urllib.request.urlopen(request, timeout=PROBE_TIMEOUT_S):
                self._answers = True
        except urllib.error.HTTPError as error:
            with error:
                self._answers = error.code < 500 and error.code not in _BLOCKED
        except (OSError, http.client.HTTPException):
            self._answers = False
