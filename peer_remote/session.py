"""One viewer or operator: its peer connection, its data channel, and the ears for its microphone."""

import asyncio
import logging
from collections.abc import Callable

import numpy as np
from aiortc import (
    RTCDataChannel,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler
from pydantic import BaseModel

from models.hearing.listener import Listener
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from peer_remote.encoders import VideoCodec, bear_lost_pictures, bound_when_relayed, prefer
from peer_remote.ice import MediaPorts, NoFreePort, fix_ports, is_relayed
from peer_remote.sender_reports import report_media_time
from peer_remote.tracks import VIDEO_CLOCK_HZ, FaceTrack, Seat, SpeechTrack
from signaling import protocol, webrtc
from signaling.errors import BadMessage

logger = logging.getLogger(__name__)

MAX_BUFFERED_BYTES = 256 * 1024
"""A viewer whose data channel holds this much back loses further messages; they are counted."""

CLOSE_TIMEOUT_S = 5.0


class Session:
    """Answers one peer's offers until it leaves.

    `received` is called with every well-formed message of the data channel; `opened` when the channel is ready for
    `send`; `closed` once, when the connection is gone for whatever reason.
    """

    def __init__(
        self,
        peer_id: str,
        seat: Seat,
        *,
        role: protocol.Role,
        ice_servers: tuple[protocol.IceServer, ...],
        media_ports: MediaPorts | None,
        video_codec: VideoCodec | None,
        tasks: asyncio.TaskGroup,
        listener: Callable[[], Listener],
        opened: Callable[["Session"], None],
        received: Callable[["Session", protocol.ToPerformer], None],
        closed: Callable[["Session"], None],
    ) -> None:
        self.peer_id = peer_id
        self.role = role
        self._seat = seat
        self._media_ports = media_ports
        self._tasks = tasks
        self._make_listener = listener
        self._listener: Listener | None = None
        self._opened = opened
        self._received = received
        self._closed = closed
        self._channel: RTCDataChannel | None = None
        self._inbound: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self.dropped_messages = 0
        self._offered = False
        self._connection = webrtc.peer_connection(ice_servers if media_ports is None else ())
        speech, face = SpeechTrack(seat), FaceTrack(seat)
        report_media_time(self._connection.addTrack(speech), speech, clock_hz=SPEECH_RATE_HZ)
        video = self._connection.addTrack(face)
        bound_when_relayed(video, lambda: self.relayed)
        report_media_time(video, face, clock_hz=VIDEO_CLOCK_HZ)
        if media_ports is None:
            webrtc.gather_quickly(self._connection)
        else:
            fix_ports(self._connection, media_ports)
        bear_lost_pictures()
        if video_codec is not None:
            for transceiver in self._connection.getTransceivers():
                if transceiver.kind == "video":
                    prefer(transceiver, video_codec)
        self._connection.on("datachannel", self._on_channel)
        self._connection.on("track", self._on_track)
        self._connection.on("connectionstatechange", self._on_connection_state)

    @property
    def connected(self) -> bool:
        """Whether sound and pictures reach the peer now."""
        return self._connection.connectionState == "connected"

    @property
    def relayed(self) -> bool:
        """Whether that goes through a TURN server."""
        return is_relayed(self._connection, self._media_ports)

    @property
    def dropped_beats(self) -> int:
        """Beats that this viewer's tracks were too slow for."""
        return self._seat.audio_beats.dropped + self._seat.video_beats.dropped

    def continues(self, sdp: str) -> bool:
        """Whether `sdp` re-negotiates this connection; a peer that started anew has another DTLS certificate."""
        description = self._connection.remoteDescription
        return description is None or _fingerprints(description.sdp) == _fingerprints(sdp)

    async def answer(self, sdp: str) -> str:
        """Take the peer's offer, the first or a later one, and return our answer. Raises BadMessage, NoFreePort."""
        try:
            if not self._offered:
                self._offered = True
                webrtc.follow_bundle(self._connection, sdp)
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except NoFreePort:
            raise
        except Exception as error:
            logger.warning("offer_refused", extra={"peer": self.peer_id, "error": type(error).__name__})
            raise BadMessage("The offer cannot be answered: its session description is not usable.") from error
        return str(self._connection.localDescription.sdp)

    async def add_candidate(self, message: protocol.Candidate) -> None:
        """Take one trickled candidate."""
        await webrtc.add_candidate(self._connection, message)

    def send(self, message: BaseModel) -> None:
        """Send on the data channel if it is open."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > MAX_BUFFERED_BYTES:
            self.dropped_messages += 1
            return
        try:
            channel.send(protocol.dump(message))
        except (ValueError, InvalidStateError):  # longer than the peer takes, or closing at this moment
            self.dropped_messages += 1

    def listen(self, on: bool) -> None:
        """Switch the ears for the peer's microphone; what was being said when it goes off counts as complete."""
        if on and self._listener is None:
            self._listener = self._make_listener()
        elif not on and self._listener is not None:
            self._listener.finish()
            self._listener = None

    async def close(self) -> None:
        """Give up the seat and close the connection; every call waits for the one closing, cancelled or not."""
        if self._closing is None:
            self._seat.leave()
            for task in self._inbound:
                task.cancel()
            self._closed(self)
            self._closing = asyncio.create_task(self._connection.close(), name=f"close {self.peer_id}")
        _, pending = await asyncio.wait((self._closing,), timeout=CLOSE_TIMEOUT_S)
        if pending:
            logger.warning("close_timed_out", extra={"peer": self.peer_id})

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != protocol.CHANNEL_LABEL:
            return
        self._channel = channel
        channel.on("message", self._on_message)
        self._opened(self)

    def _on_message(self, data: str | bytes) -> None:
        try:
            message = protocol.parse(protocol.TO_PERFORMER, data)
        except BadMessage as error:
            self.send(protocol.Error(code=error.code, message=str(error)))
            return
        try:
            match message:
                case protocol.Ping(id=ping_id):
                    self.send(protocol.Pong(id=ping_id))
                case protocol.Microphone(on=on):
                    self.listen(on)
                case _:
                    self._received(self, message)
        except Exception:
            logger.exception("message_failed", extra={"peer": self.peer_id, "kind": message.type})
            self.send(protocol.Error(code="internal_error", message="That could not be done; please try again."))

    def _on_track(self, track: MediaStreamTrack) -> None:
        task = self._tasks.create_task(self._hear(track), name=f"inbound {track.kind} {self.peer_id}")
        self._inbound.add(task)
        task.add_done_callback(self._inbound.discard)

    async def _hear(self, track: MediaStreamTrack) -> None:
        """Drain a track for as long as it lives: aiortc queues without a bound what nobody takes."""
        resampler = AudioResampler(format="flt", layout="mono", rate=HEARING_RATE_HZ)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if self._listener is None or not isinstance(frame, AudioFrame):
                continue
            try:
                for mono in resampler.resample(frame):
                    samples: Samples = mono.to_ndarray().reshape(-1).astype(np.float32, copy=False)
                    self._listener.feed(samples)
            except Exception:
                logger.exception("ears_failed", extra={"peer": self.peer_id})
                self._listener = None
                message = "The microphone cannot be heard any more; switch it off and on."
                self.send(protocol.Error(code="ears_failed", message=message))

    async def _on_connection_state(self) -> None:
        state = self._connection.connectionState
        logger.info("connection", extra={"peer": self.peer_id, "state": state})
        if state in ("failed", "closed"):
            await self.close()


def _fingerprints(sdp: str) -> set[str]:
    """The certificate fingerprints of a session description (RFC 8122, 5)."""
    return {line.lower() for line in sdp.splitlines() if line.startswith("a=fingerprint:")}
