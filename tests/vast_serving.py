"""The fake Vast.ai on a port, for programs, and without a network, for tests on virtual time."""

import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.vast_api import FakeVast


def opened(vast: FakeVast) -> Callable[[urllib.request.Request, float], Any]:
    """For Wire: the same without a network, as fast as a call."""
    vast.url = "https://vast.example"

    def opens(request: urllib.request.Request, timeout_s: float) -> Any:
        body = json.loads(request.data) if isinstance(request.data, bytes) else {}
        key = (request.get_header("Authorization") or "").removeprefix("Bearer ")
        answer = vast.handle(request.get_method(), request.full_url.removeprefix(vast.url), key, body)
        if answer is None:
            raise urllib.error.URLError(TimeoutError("timed out"))
        content = io.BytesIO(answer.content)
        if answer.status >= 400:
            raise urllib.error.HTTPError(request.full_url, answer.status, "", Message(), content)
        return content

    return opens


@contextmanager
def serving(vast: FakeVast) -> Iterator[FakeVast]:
    """Let it answer on a port of loopback; `vast.url` says where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            answer = vast.handle(self.command, self.path, key, body)
            self.close_connection = True
            if answer is None:
                return
            content = answer.content
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json" if answer.text is None else "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    vast.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="fake-vast")
    thread.start()
    try:
        yield vast
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
