"""Programs of a few lines that behave, or do not, for tests of what keeps services running."""

import sys
from dataclasses import replace
from pathlib import Path

import psutil

from peer_remote.services.service import Health, Service

_LISTEN = """
import http.server, sys, time
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
def listen(port):
    http.server.ThreadingHTTPServer.allow_reuse_address = True
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
    print("listening", flush=True)
    server.serve_forever(0.05)
port = int(sys.argv[1])
"""

WELL = _LISTEN + "listen(port)"
LATE = _LISTEN + "time.sleep(0.4); listen(port)"
CRASHES = "import sys; sys.exit('nothing works')"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)"
    + _LISTEN
) + "listen(port)"
HANGS = _LISTEN + (
    "import socket\nserver = socket.create_server(('127.0.0.1', port))\nprint('listening', flush=True)\ntime.sleep(600)"
)
"""Takes connections and answers none."""
PARENT = _LISTEN + (
    "import subprocess\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print('child', child.pid, flush=True)\n"
    "listen(port)"
)
"""Has a child of its own, as the voice's server has."""


def small_service(name: str, program: str, port: int, *, kind: str = "http", **changes: object) -> Service:
    """A service that runs `program` and is asked often."""
    health = Health("tcp" if kind == "tcp" else "http", f"http://127.0.0.1:{port}", timeout_s=0.2, every_s=0.2)
    service = Service(name, (sys.executable, "-c", program, str(port)), health, start_s=20.0, stop_s=5.0)
    return replace(service, **changes)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    """Whether it runs; what has ended and is not yet asked for its status does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def log_of(directory: Path, name: str) -> str:
    return (directory / f"{name}.log").read_text()
