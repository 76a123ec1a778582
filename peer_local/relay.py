"""A TURN server as the second choice: asked while the direct way is tried, joined when that leads nowhere for a moment.

aiortc would ask it before everything else: one that does not answer would delay every connection by five seconds, and
one that answers first would carry a call that needs no relay. The one file here that touches private names of aioice
and aiortc's ICE; tests/unit/test_relay.py fails when they change.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aioice.ice import StunProtocol, relayed_candidate
from aioice.stun import TransactionError
from aiortc import RTCPeerConnection
from aiortc.rtcicetransport import candidate_from_aioice, connection_kwargs
from aiortc.sdp import candidate_to_sdp

from signaling import protocol, webrtc

logger = logging.getLogger(__name__)

PATIENCE_S = 0.7
"""For the direct way: its first check is repeated after 0.5 s (RFC 8489, 6.2.1), so one lost packet makes no relay."""
PATIENCE_AFTER_LOSS_S = 0.3
"""When a connection just fell silent, the direct way answers within a round trip or has gone."""
TELL_S = 0.25
"""After joining, the other side is told. One that can be reached has met our first check by then; told before, it would
check a way that the TURN server does not open yet, and try again only after 0.5 or 1.5 s."""
ALLOCATE_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
COMPONENT = 1
END_OF_CANDIDATES = "a=end-of-candidates\r\n"

Tell = Callable[[str], Awaitable[None]]
"""Sends a candidate, as a line of a session description, to the other side."""


def is_relay(server: protocol.IceServer) -> bool:
    """Whether it is a TURN server."""
    return all(url.startswith("turn") for url in server.urls)


class LateRelay:
    """The relayed candidate of one connection. Use in this order: `run` as a task, `offered`, `answered`."""

    def __init__(self, peer: RTCPeerConnection, server: protocol.IceServer, *, patience_s: float) -> None:
        """Raises RuntimeError when aioice has changed."""
        self._peer = peer
        self._server = connection_kwargs(webrtc.as_aiortc_takes_them((server,)))
        self._patience_s = patience_s
        self._agent: Any = peer.getTransceivers()[0].receiver.transport.transport._connection
        for name in ("_check_list_done", "_protocols", "_local_candidates", "_remote_candidates"):
            if not hasattr(self._agent, name):
                raise RuntimeError(f"aioice's connection has no {name} any more: adapt peer_local/relay.py to it.")
        self._tell: asyncio.Future[Tell] = asyncio.get_running_loop().create_future()
        self._answered = asyncio.Event()

    @staticmethod
    def open_end(sdp: str) -> str:
        """A session description to which a candidate will be added."""
        return sdp.replace(END_OF_CANDIDATES, "")

    def offered(self, tell: Tell) -> None:
        """The other side knows of this connection: `tell` reaches it from now on."""
        if not self._tell.done():
            self._tell.set_result(tell)

    def answered(self) -> None:
        """The direct way is tried from now on."""
        self._answered.set()

    async def run(self) -> None:
        """Get the candidate; if the checks are still going on after a while, join them and tell the other side."""
        try:
            await self._run()
        except Exception:  # of a library: the direct way must go on
            logger.exception("relay_failed")

    async def _run(self) -> None:
        relay: Any = None
        joined = False
        try:
            relay = await self._allocate()
            await self._answered.wait()
            await asyncio.sleep(self._patience_s if relay is not None else 0.0)
            if relay is not None and not self._agent._check_list_done:
                logger.info("relay_joins")
                self._join(relay)
                joined = True
                await asyncio.sleep(TELL_S)
                tell = await self._tell
                await tell(candidate_to_sdp(candidate_from_aioice(relay.local_candidate)))
            # Until now the checks were not given up, because there was more to come.
            await self._peer.addIceCandidate(None)
        finally:
            if relay is not None and not joined:
                await self._put_away(relay)

    async def _allocate(self) -> Any:
        """The protocol with its relayed candidate, or None without one."""
        if "turn_server" not in self._server:
            return None
        try:
            async with asyncio.timeout(ALLOCATE_TIMEOUT_S):
                _, relay = await relayed_candidate(
                    component=COMPONENT,
                    hide_related_address=False,
                    protocol_factory=lambda: StunProtocol(self._agent),
                    **self._server,
                )
        except (OSError, TimeoutError, TransactionError) as error:
            logger.warning("relay_not_reached", extra={"error": type(error).__name__})
            return None
        return relay

    def _join(self, relay: Any) -> None:
        """Let the agent check the relayed candidate with all that the other side has told."""
        agent = self._agent
        agent._protocols.append(relay)
        agent._local_candidates.append(relay.local_candidate)
        for candidate in agent._remote_candidates:
            agent._pair_remote_candidate(candidate)
        agent.sort_check_list()

    async def _put_away(self, relay: Any) -> None:
        """Give the server its address back, within a bound."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await relay.close()
