"""The way to the performer: join the room, offer, keep the connection alive, build it anew when it is lost.

joining ──► waiting ──► connecting ──► connected
              ▲             ▲ 0, 0.5, 1, 2 s │ no pong for 3 s, connection failed, Bye
              └─ nobody there ┴──────────────┘
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from peer_local.connection import Connection
from peer_local.errors import LinkLost
from peer_local.playback.reception import Reception
from peer_local.relay import PATIENCE_AFTER_LOSS_S, PATIENCE_S
from signaling import protocol
from signaling.client import SignalingClient
from signaling.errors import BadToken, ConnectionLost, UnsupportedVersion

logger = logging.getLogger(__name__)

LINGER_S = 0.3
"""What the next connection waits for the last one to close; over a network that is gone closing takes seconds."""

LinkState = Literal["joining", "waiting", "connecting", "connected"]
RETRY_S = (0.0, 0.5, 1.0, 2.0)
"""Waits before the connection is tried again; the last one from then on."""


class Link:
    """One operator's place in the room. `send` and what is public may be used at any time.

    `open_reception` makes what receives the media of one connection; `received` gets every message of the performer,
    `changed` every change of `state`. Losing the signaling service alone does not end a connection that works.
    """

    def __init__(
        self,
        wire: SignalingClient,
        *,
        tasks: asyncio.TaskGroup,
        open_reception: Callable[[], Reception],
        received: Callable[[protocol.FromPerformer], None],
        changed: Callable[[LinkState], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = wire
        self._tasks = tasks
        self._open_reception = open_reception
        self._received = received
        self._changed = changed
        self._now = now
        self._ice_servers: tuple[protocol.IceServer, ...] = ()
        self._performer: str | None = None
        self._arrived = asyncio.Event()
        self._lost = asyncio.Event()
        self._connection: Connection | None = None
        self.state: LinkState = "joining"
        self.losses = 0
        """Connections that were up and got lost."""
        self._refused: str | None = None
        self._sent_away: str | None = None
        """Why the performer opened no connection, in its words."""
        self._in_room = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def rtt_s(self) -> float | None:
        """Of the last ping on the data channel."""
        return self._connection.rtt_s if self._connection else None

    @property
    def problem(self) -> str | None:
        """What its owner should know, one sentence."""
        if self._refused is not None or self._wire.trouble is None:
            return self._refused or self._sent_away
        if self.connected:
            return f"{self._wire.trouble}; it is tried again, and the call goes on meanwhile."
        return f"{self._wire.trouble}; start it or set UNDERSTUDY_LOCAL__SIGNALING_URL."

    @property
    def connected(self) -> bool:
        return self.state == "connected"

    def send(self, message: protocol.ToPerformer) -> bool:
        """Send on the data channel; false when there is none at the moment."""
        return self._connection is not None and self._connection.send(message)

    def renew(self, reason: str) -> None:
        """Give the connection up and build another."""
        if self._connection is not None:
            self._connection.end(reason)

    async def run(self) -> None:
        """Stay connected until cancelled, or until another operator takes the place. Raises SignalingError.

        A token that is refused when the service is joined again, because it has expired, ends nothing that works: the
        connection is kept for as long as it lives.
        """
        serving = self._tasks.create_task(self._serve(), name="link")
        try:
            async with self._wire:
                async for message in self._wire:
                    await self._handle(message)
        except (BadToken, UnsupportedVersion) as error:
            if not self.connected:
                raise
            logger.warning("token_refused_during_a_call", extra={"code": error.code})
            self._refused = f"{error} The call goes on, but once lost it cannot be joined again."
            self._performer = None
            await self._lost.wait()
            raise
        finally:
            serving.cancel()
            await asyncio.wait((serving,))
            if self._closing:
                await asyncio.wait(self._closing)

    async def _handle(self, message: protocol.FromService) -> None:
        match message:
            case protocol.Welcome(peers=peers, ice_servers=servers):
                self._ice_servers = servers
                self._joined(next((peer.peer_id for peer in peers if peer.role == "performer"), None))
            case protocol.PeerJoined(peer=peer):
                if peer.role == "performer":
                    self._meet(peer.peer_id)
            case protocol.PeerLeft(peer_id=peer_id):
                if peer_id == self._performer:
                    self._meet(None)
            case protocol.Answer(sender=sender, sdp=sdp):
                if sender == self._performer and self._connection is not None:
                    self._connection.answered(sdp)
            case protocol.Candidate(sender=sender):
                if sender == self._performer and self._connection is not None:
                    await self._connection.add_candidate(message)
            case protocol.Bye(sender=sender, reason=reason):
                if sender == self._performer and self._connection is not None:
                    self._sent_away = reason
                    self._connection.end(reason or "The double closed the connection.")
            case protocol.Error(code=code):
                logger.warning("signaling_refused", extra={"code": code})

    def _meet(self, performer: str | None) -> None:
        """Who performs now; a connection that still answers goes on, because only the service was lost."""
        if performer is not None and performer != self._performer and self._connection is not None:
            self._connection.doubt("The double came back anew.")
        if performer is not None and (performer != self._performer or self.state != "connected"):
            self._arrived.set()
        self._performer = performer

    def _joined(self, performer: str | None) -> None:
        """We are in the room, perhaps anew and under a new name, which no answer to an earlier offer can reach."""
        if self._connection is not None:
            self._connection.doubt("The room was joined anew.")
        self._in_room = True
        if performer is None and self.state == "joining":
            self._enter("waiting")
        self._meet(performer)

    async def _serve(self) -> None:
        """Keep a connection to the performer of the moment until cancelled."""
        failures = 0
        was_up = False
        while True:
            after_loss, was_up = was_up, False
            if self._performer is None:
                self._enter("waiting" if self._in_room else "joining")
            else:
                self._enter("connecting")
                try:
                    was_up = await self._connect(self._performer, after_loss=after_loss)
                except (LinkLost, ConnectionLost) as error:
                    logger.warning("link_lost", extra={"reason": str(error)})
                except Exception:  # of a library: the call must go on
                    logger.exception("link_failed")
                failures = 0 if was_up else failures + 1
            delay_s = RETRY_S[min(failures, len(RETRY_S) - 1)] if self._performer is not None else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._arrived.wait()
            self._arrived.clear()

    async def _connect(self, performer: str, *, after_loss: bool) -> bool:
        """One connection from offer to end; whether it was up. Raises LinkLost and ConnectionLost when it never was."""
        connection = Connection(
            self._ice_servers,
            self._open_reception(),
            received=self._received,
            patience_s=PATIENCE_AFTER_LOSS_S if after_loss else PATIENCE_S,
            now=self._now,
        )
        self._connection = connection
        up = False
        try:
            offer = await connection.offer()
            await self._wire.send(protocol.Offer(to=performer, sdp=offer))
            connection.offered(partial(self._tell, performer))
            await connection.up()
            up = True
            self._sent_away = None
            self._lost.clear()
            self._enter("connected")
            logger.warning("link_lost", extra={"reason": await connection.ended()})
            return True
        finally:
            self._connection = None
            self.losses += up
            self._enter("waiting" if self._performer is None else "connecting")
            if up:
                self._lost.set()
            closing = asyncio.create_task(connection.close(), name="close connection")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.wait((closing,), timeout=LINGER_S)

    async def _tell(self, performer: str, candidate: str) -> None:
        """Send one more candidate of the connection that is being made."""
        with contextlib.suppress(ConnectionLost):
            await self._wire.send(protocol.Candidate(to=performer, candidate=f"candidate:{candidate}", sdp_mid="0"))

    def _enter(self, state: LinkState) -> None:
        if state != self.state:
            self.state = state
            logger.info("link", extra={"state": state})
            self._changed(state)
