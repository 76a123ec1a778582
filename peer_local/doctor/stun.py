"""One STUN binding request (RFC 8489): does UDP get out of here, and an answer back in?"""

import asyncio
import secrets
import struct
import time

_REQUEST, _SUCCESS, _ERROR = 0x0001, 0x0101, 0x0111
_COOKIE = 0x2112A442
_AGAIN_S = (0.0, 0.5, 1.0)
"""Waits before each sending; RFC 8489, 6.2.1 doubles from 0.5 s."""
_LAST_WAIT_S = 1.5


class _Exchange(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes) -> None:
        self._transaction = transaction
        self.answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, address: object) -> None:
        if is_answer(data, self._transaction) and not self.answered.done():
            self.answered.set_result(time.monotonic())

    def error_received(self, error: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)


def request(transaction: bytes) -> bytes:
    """A binding request without attributes; `transaction` is 12 bytes."""
    return struct.pack("!HHI", _REQUEST, 0, _COOKIE) + transaction


def is_answer(data: bytes, transaction: bytes) -> bool:
    """Whether a STUN server says anything to this request; a refusal shows as well that it is there."""
    if len(data) < 20 or data[8:20] != transaction:
        return False
    kind, _, cookie = struct.unpack("!HHI", data[:8])
    return kind in (_SUCCESS, _ERROR) and cookie == _COOKIE


async def round_trip_s(host: str, port: int) -> float:
    """Seconds from the first request to the first answer. Raises OSError, TimeoutError after 3 s."""
    transaction = secrets.token_bytes(12)
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(lambda: _Exchange(transaction), remote_addr=(host, port))
    try:
        started_s = time.monotonic()
        for wait_s in (*_AGAIN_S[1:], _LAST_WAIT_S):
            transport.sendto(request(transaction))
            done, _ = await asyncio.wait((exchange.answered,), timeout=wait_s)
            if done:
                return exchange.answered.result() - started_s
        raise TimeoutError
    finally:
        exchange.answered.cancel()
        transport.close()
