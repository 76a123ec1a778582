"""Sources that live on this machine: a hub on loopback, and a package client without a registry."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.weights import Catalog
from models.weights.sources import OnBytes, SourceFailed, SourceUnreachable, StopSignal


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class FakeHub:
    """What is stored, how it behaves, and what was asked of it."""

    files: dict[str, bytes]
    url: str = ""
    break_after: dict[str, int] = field(default_factory=dict)
    """Path: close the connection after so many bytes, once."""
    hang_after: dict[str, int] = field(default_factory=dict)
    """Path: send nothing more after so many bytes, until the client goes away."""
    announce_sha256: bool = True
    announced: str = ""
    """A sha256 to announce in place of the true one."""
    refuse: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request for a file."""
    tokens: list[str | None] = field(default_factory=list)


@contextmanager
def fake_hub(files: dict[str, bytes]) -> Iterator[FakeHub]:
    """Serve `files`, path to content, the way a hub does: with Range, ETag and X-Linked-ETag."""
    hub = FakeHub(files)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            hub.tokens.append(self.headers.get("Authorization"))
            if self.path.startswith("/api/models/"):
                listing = [{"type": "file", "path": path.split("/resolve/main/")[1]} for path in hub.files]
                self._answer(200, json.dumps(listing).encode(), {})
                return
            hub.requests.append((self.path, self.headers.get("Range")))
            content = hub.files.get(self.path.lstrip("/"))
            if hub.refuse or content is None:
                self._answer(hub.refuse or 404, b"", {})
                return
            etag = f'"{sha256(content)}"'
            headers = {"ETag": etag} | ({"X-Linked-ETag": hub.announced or etag} if hub.announce_sha256 else {})
            start = 0
            if (wanted := self.headers.get("Range")) and self.headers.get("If-Range") == etag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self._answer(206 if start else 200, content[start:], headers)

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if (hang := hub.hang_after.get(self.path.lstrip("/"))) is not None:
                self.wfile.write(body[:hang])
                self.rfile.read(1)
                return
            self.wfile.write(body[: hub.break_after.pop(self.path.lstrip("/"), len(body))])

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class FakeClient:
    """A package client: packages by name, each a wheel with these members."""

    packages: dict[str, dict[str, bytes]]
    unreachable: bool = False
    broken: set[str] = field(default_factory=set)
    """Packages whose download fails, once each."""
    downloaded: list[str] = field(default_factory=list)

    def download(self, package: str, version: str, into: Path, stop: StopSignal, on_bytes: OnBytes) -> Path:
        if self.unreachable:
            raise SourceUnreachable("pip's package index")
        if package in self.broken:
            self.broken.discard(package)
            raise SourceFailed("pip failed: connection reset")
        self.downloaded.append(package)
        archive = into / f"{package}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(archive, "w") as wheel:
            for member, content in self.packages[package].items():
                wheel.writestr(member, content)
        on_bytes(archive.stat().st_size)
        return archive


@dataclass
class FakeView:
    """Remembers what was said."""

    lines: list[str] = field(default_factory=list)
    bars: dict[str, tuple[int, int]] = field(default_factory=dict)

    def update(self, model: str, done_bytes: int, total_bytes: int) -> None:
        self.bars[model] = (done_bytes, total_bytes)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def hub_source(path: str) -> dict[str, Any]:
    return {"kind": "hub", "repo": "owner/repo", "path": path}


def package_source(*parts: tuple[str, str]) -> dict[str, Any]:
    entries = [{"package": name, "version": "1.0", "member": member, "archive_bytes": 100} for name, member in parts]
    return {"kind": "package", "registry": "pypi", "parts": entries}


def weight_file(name: str, content: bytes | None, *sources: dict[str, Any]) -> dict[str, Any]:
    pinned = {} if content is None else {"size_bytes": len(content), "sha256": sha256(content)}
    return {"name": name, "sources": list(sources), **pinned}


def catalog_of(**models: list[dict[str, Any]]) -> Catalog:
    entries = {name: {"purpose": "a test", "licence": "MIT", "files": files} for name, files in models.items()}
    return Catalog.model_validate({"groups": {"all": list(models)}, "models": entries})
