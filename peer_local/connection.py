"""One WebRTC connection to the performer: its tracks, its data channel, and the watch that notices its end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from aiortc import RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamTrack

from peer_local.errors import LinkLost
from peer_local.playback.reception import Reception
from peer_local.relay import PATIENCE_S, LateRelay, Tell, is_relay
from signaling import protocol, webrtc
from signaling.errors import BadMessage

T = TypeVar("T")

logger = logging.getLogger(__name__)

PING_S = 0.25
LOST_S = 3.0
"""Without a pong for so long the connection counts as lost; aiortc alone takes 30 s."""
PROBE_S = 0.9
"""A connection that is doubted has so long to show that it lives."""
CONNECT_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 5.0
MAX_BUFFERED_BYTES = 256 * 1024


class Connection:
    """Use in this order: `offer`, `offered`, `answered`, `up`, `ended`, `close`.

    TURN servers among `ice_servers` are the second choice, after `patience_s` of trying the direct way.
    """

    def __init__(
        self,
        ice_servers: tuple[protocol.IceServer, ...],
        reception: Reception,
        *,
        received: Callable[[protocol.FromPerformer], None],
        patience_s: float = PATIENCE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = webrtc.peer_connection(tuple(server for server in ice_servers if not is_relay(server)))
        self._reception = reception
        self._received = received
        self._now = now
        self._peer.addTransceiver("audio", "recvonly")
        self._peer.addTransceiver("video", "recvonly")
        self._channel = self._peer.createDataChannel(protocol.CHANNEL_LABEL)
        webrtc.gather_quickly(self._peer)
        relays = [server for server in ice_servers if is_relay(server)]
        self._relay = LateRelay(self._peer, relays[0], patience_s=patience_s) if relays else None
        self._relaying: asyncio.Task[None] | None = None
        self._channel.on("open", self._on_open)
        self._channel.on("close", self._on_close)
        self._channel.on("message", self._on_message)
        self._peer.on("track", self._on_track)
        self._peer.on("connectionstatechange", self._on_state)
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open = asyncio.Event()
        self._over = asyncio.Event()
        self._reason = "The connection was closed."
        self._pings: dict[int, float] = {}
        self._ponged_s: float | None = None
        self._probed_s: float | None = None
        self.rtt_s: float | None = None

    async def offer(self) -> str:
        """Our session description."""
        if self._relay is not None:
            self._relaying = asyncio.create_task(self._relay.run(), name="relay")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        sdp = str(self._peer.localDescription.sdp)
        return sdp if self._relay is None else self._relay.open_end(sdp)

    def offered(self, tell: Tell) -> None:
        """The performer has the offer; `tell` sends it what is found later."""
        if self._relay is not None:
            self._relay.offered(tell)

    def answered(self, sdp: str) -> None:
        """Take the performer's session description; only the first counts."""
        if not self._answer.done():
            self._answer.set_result(sdp)

    async def add_candidate(self, message: protocol.Candidate) -> None:
        """Take one trickled candidate."""
        await webrtc.add_candidate(self._peer, message)

    async def up(self) -> None:
        """Return when media and data flow. Raises LinkLost."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                sdp = await self._unless_over(self._answer)
                if self._relay is not None:
                    sdp = self._relay.open_end(sdp)
                await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
                if self._relay is not None:
                    self._relay.answered()
                await self._unless_over(asyncio.ensure_future(self._open.wait()))
        except TimeoutError:
            raise LinkLost(f"The double did not answer within {CONNECT_TIMEOUT_S:.0f} s.") from None
        except LinkLost:
            raise
        except Exception as error:  # aiortc raises many kinds for a description that it cannot use
            raise LinkLost(f"The double's answer is not usable ({type(error).__name__}).") from error

    async def ended(self) -> str:
        """Ping until the connection is over; why it is."""
        self._ponged_s = self._now()
        number = 0
        while not self._over.is_set() and self._now() - self._ponged_s <= LOST_S:
            if self._probed_s is not None and self._now() - self._probed_s > PROBE_S:
                break
            number += 1
            self._pings[number] = self._now()
            self.send(protocol.Ping(id=number))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_S):
                    await self._over.wait()
        self.end("The double does not answer any more.")
        return self._reason

    def doubt(self, reason: str) -> None:
        """Something speaks against this connection: it ends with this sentence unless the performer answers soon."""
        if self._ponged_s is None:
            self.end(reason)
        elif self._probed_s is None:
            self._probed_s = self._now()

    def end(self, reason: str) -> None:
        """Let `up` raise LinkLost with this sentence, or `ended` return it."""
        if not self._over.is_set():
            self._reason = reason
            self._over.set()

    def send(self, message: protocol.ToPerformer) -> bool:
        """Send on the data channel; false when that is not possible now."""
        if self._channel.readyState != "open" or self._channel.bufferedAmount > MAX_BUFFERED_BYTES:
            return False
        try:
            self._channel.send(protocol.dump(message))
        except (ValueError, InvalidStateError):
            return False
        return True

    async def close(self) -> None:
        """Close everything, within a bound."""
        self._answer.cancel()
        if self._relaying is not None:
            self._relaying.cancel()
            await asyncio.wait((self._relaying,))
        await self._reception.close()
        closing = asyncio.create_task(self._peer.close(), name="close connection")
        _, pending = await asyncio.wait((closing,), timeout=CLOSE_TIMEOUT_S)
        if pending:
            logger.warning("close_timed_out")

    async def _unless_over(self, future: "asyncio.Future[T]") -> T:
        """The future's result, or LinkLost as soon as the connection is over."""
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((future, over), return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise LinkLost(self._reason)
            return future.result()
        finally:
            over.cancel()
            if not future.done():
                future.cancel()

    def _on_track(self, track: MediaStreamTrack) -> None:
        for transceiver in self._peer.getTransceivers():
            if transceiver.receiver.track is track:
                self._reception.attach(transceiver.receiver)

    def _on_open(self) -> None:
        self._open.set()

    def _on_close(self) -> None:
        self.end("The double closed the data channel.")

    def _on_message(self, data: str | bytes) -> None:
        try:
            message: protocol.FromPerformer = protocol.parse(protocol.FROM_PERFORMER, data)
        except BadMessage:
            logger.warning("message_not_understood")
            return
        if isinstance(message, protocol.Pong):
            sent_s = self._pings.pop(message.id, None)
            if sent_s is not None:
                self._ponged_s = self._now()
                if self._probed_s is not None and sent_s >= self._probed_s:
                    self._probed_s = None
                self.rtt_s = self._ponged_s - sent_s
                self._pings.clear()
            return
        try:
            self._received(message)
        except Exception:
            logger.exception("message_failed", extra={"type": message.type})

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self.end("The connection failed.")
