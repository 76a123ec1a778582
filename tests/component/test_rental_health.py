"""Is it our double that answers there? Its certificate says so, and nothing is asked of anybody else."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deploy.vast.instance import Instance
from deploy.vast.listening import Listening, read_health
from deploy.vast.record import Record, Records
from deploy.vast.wire import WireError
from signaling import pin
from tests.rental_world import world


@contextmanager
def answering(record: Record, asked: list[str]) -> Iterator[Instance]:
    """A service with this record's certificate, and the instance that Vast.ai would show."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"rooms": {"main": {"performer": True}}}).encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    context = pin.serving(record.certificate, record.folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        ports = {"8443/tcp": server.server_port}
        yield Instance(7, record.label, "running", address="127.0.0.1", ports=ports)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_double_is_asked_behind_its_own_certificate(tmp_path: Path) -> None:
    record = Records(tmp_path).make("understudy", "main", 1)
    asked: list[str] = []
    with answering(record, asked) as instance:
        assert read_health(instance, record) == {"rooms": {"main": {"performer": True}}}
    assert asked == ["/healthz"]


def test_somebody_elses_certificate_is_told_nothing(tmp_path: Path) -> None:
    ours, theirs = (Records(tmp_path).make("understudy", "main", 1) for _ in range(2))
    asked: list[str] = []
    with answering(theirs, asked) as instance:
        assert read_health(instance, ours) is None
    assert asked == []


def test_the_performer_in_its_room_is_ready_whatever_the_log_says(tmp_path: Path) -> None:
    it = world(tmp_path)
    record = it.desk.records.make("understudy", "main", 1)

    class NoLog:
        def logs(self, instance: int, *, lines: int) -> str:
            raise WireError("Vast.ai asks for fewer requests.", status=429)

    health = {"rooms": {"main": {"performer": True}}}
    listening = Listening(NoLog(), record, lambda *_: health)  # type: ignore[arg-type]
    assert listening(Instance(7)).ready
    elsewhere = Listening(NoLog(), replace(record, room="other"), lambda *_: health)  # type: ignore[arg-type]
    assert not elsewhere(Instance(7)).ready
