"""A free port for the signaling service."""

import socket
import sys
from collections.abc import Callable

PORTS_TO_TRY = 50


class PortError(Exception):
    """No port can be had; the message is one sentence."""


def choose_port(host: str, port: int, *, fixed: bool, say: Callable[[str], None]) -> int:
    """`port` if it is free, else the next free one, unless the user named it. 0 takes any free one."""
    if is_free(host, port):
        return port or _any_port(host)
    if fixed:
        raise PortError(
            f"Port {port} on {host} is in use; stop what uses it or choose another UNDERSTUDY_SIGNALING__PORT."
        )
    for other in range(port + 1, min(port + PORTS_TO_TRY, 65_535) + 1):
        if is_free(host, other):
            say(f"Port {port} is in use, taking {other}.")
            return other
    raise PortError(f"None of the ports {port} to {port + PORTS_TO_TRY} on {host} is free.")


def is_free(host: str, port: int) -> bool:
    try:
        _bind(host, port).close()
    except OSError:
        return False
    return True


def _any_port(host: str) -> int:
    with _bind(host, 0) as probe:
        number: int = probe.getsockname()[1]
        return number


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    probe = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two programs share the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    except OSError:
        probe.close()
        raise
    return probe
