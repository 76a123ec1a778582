"""The address by which the rest of the network knows this machine."""

import socket

_ANYWHERE = "192.0.2.1"
"""An address of the Internet that belongs to nobody (RFC 5737); nothing is sent to it."""


def main_address(towards: str = _ANYWHERE) -> str:
    """The IPv4 address of the interface over which packets leave for `towards`. Raises OSError without a way there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError:
            raise OSError("this machine has no route to the Internet") from None
        address: str = probe.getsockname()[0]
    return address
