"""A peer that watches and listens for a moment: what arrived of the double's picture and sound, and when."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from models.interfaces import Samples
from signaling import protocol, webrtc
from signaling.client import SignalingClient
from signaling.errors import BadMessage

T = TypeVar("T")
RATE_HZ: Final = 48_000
LOUD: Final = 0.004
"""Peak of a 20 ms frame above which it is speech; Opus leaves silence below a tenth of this."""
LONGEST_S: Final = 60
"""So much sound is kept."""
CLOSE_S: Final = 5.0


class CheckFailed(Exception):
    """One step of the check did not go well; one sentence."""


class Witness:
    """Use in this order: `join`, `connect`, then `until` and `seen`; `close` in any case. Moments are of `now`."""

    def __init__(self, client: SignalingClient, *, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._changed = asyncio.Event()
        self._opened = asyncio.Event()
        self._messages: asyncio.Queue[protocol.FromPerformer] = asyncio.Queue(256)
        self._joined = False
        self._tasks: list[asyncio.Task[None]] = []
        self._peer: RTCPeerConnection | None = None
        self._channel: RTCDataChannel | None = None
        self.role: protocol.Role | None = None
        self.first_picture_s: float | None = None
        self.pictures = 0
        self.contrast = 0.0
        """Of the last picture's brightness: a black one has none."""
        self.first_loud_s: float | None = None
        self._sound: list[Samples] = []

    async def join(self) -> protocol.Welcome:
        """Enter the room. Raises SignalingError."""
        await self._client.__aenter__()
        self._joined = True
        async for message in self._client:
            if isinstance(message, protocol.Welcome):
                self.role = message.role
                return message
            if isinstance(message, protocol.Error):
                raise CheckFailed(message.message)
        raise CheckFailed("The signaling service closed the connection.")

    async def performer(self, welcome: protocol.Welcome) -> str:
        """Wait until the room has its performer; its id."""
        found = next((peer.peer_id for peer in welcome.peers if peer.role == "performer"), None)
        while found is None:
            message = await self._next()
            if isinstance(message, protocol.PeerJoined) and message.peer.role == "performer":
                found = message.peer.peer_id
        return found

    async def connect(self, welcome: protocol.Welcome, performer: str) -> None:
        """Negotiate until the data channel is open. Raises CheckFailed and SignalingError."""
        peer = self._peer = webrtc.peer_connection(welcome.ice_servers)
        peer.on("track", self._on_track)
        peer.addTransceiver("audio", "recvonly")
        peer.addTransceiver("video", "recvonly")
        channel = self._channel = peer.createDataChannel(protocol.CHANNEL_LABEL)
        channel.on("open", self._opened.set)
        channel.on("message", self._received)
        await peer.setLocalDescription(await peer.createOffer())
        await self._client.send(protocol.Offer(to=performer, sdp=peer.localDescription.sdp))
        while not isinstance(message := await self._next(), protocol.Answer):
            if isinstance(message, protocol.Candidate):
                await webrtc.add_candidate(peer, message)
            elif isinstance(message, protocol.Bye):
                raise CheckFailed("The double does not take this connection; it may have no port left for it.")
        await peer.setRemoteDescription(RTCSessionDescription(message.sdp, "answer"))
        await self._opened.wait()

    def send(self, message: protocol.ToPerformer) -> None:
        """Send on the data channel."""
        assert self._channel is not None
        self._channel.send(protocol.dump(message))

    async def until(self, kind: type[T]) -> T:
        """Wait for the next message of `kind`; an error of the double on the way ends it. Raises CheckFailed."""
        while not isinstance(message := await self._messages.get(), kind):
            if isinstance(message, protocol.Error):
                raise CheckFailed(message.message)
        return message

    async def seen(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds for what has arrived."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def forget_sound(self) -> None:
        """Count sound from now on."""
        self._sound.clear()
        self.first_loud_s = None

    def sound(self) -> Samples:
        """What was heard, float32 at RATE_HZ."""
        return np.concatenate(self._sound) if self._sound else np.zeros(0, np.float32)

    async def close(self) -> None:
        """Leave, within a bound."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._peer is not None:
            closing = asyncio.create_task(self._peer.close(), name="close witness")
            await asyncio.wait((closing,), timeout=CLOSE_S)
        if self._joined:
            await self._client.__aexit__(None, None, None)

    async def _next(self) -> protocol.FromService:
        try:
            return await anext(self._client)
        except StopAsyncIteration:
            raise CheckFailed("The signaling service closed the connection.") from None

    def _received(self, data: str | bytes) -> None:
        try:
            message: protocol.FromPerformer = protocol.parse(protocol.FROM_PERFORMER, data)
        except BadMessage:
            return
        if self._messages.full():
            self._messages.get_nowait()
        self._messages.put_nowait(message)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._take(track), name=f"witness {track.kind}"))

    async def _take(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    self._hear(frame)
                elif isinstance(frame, VideoFrame):
                    self._see(frame)
                self._changed.set()
        except MediaStreamError:
            return

    def _hear(self, frame: AudioFrame) -> None:
        channels = len(frame.layout.channels)
        samples = frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.float32) / 32_768
        if np.abs(samples).max(initial=0.0) > LOUD and self.first_loud_s is None:
            self.first_loud_s = self._now()
        if len(self._sound) < LONGEST_S * 50:
            self._sound.append(samples)

    def _see(self, frame: VideoFrame) -> None:
        if self.first_picture_s is None:
            self.first_picture_s = self._now()
        self.pictures += 1
        if self.pictures % 25 == 1:
            self.contrast = float(frame.to_ndarray(format="gray").std())
