"""A viewer made of aiortc, for loopback tests and benches: joins a room, watches, types, speaks, and notes when.

Arrival times are taken where packets come in, before aiortc's jitter buffer, and media times count from each track's
first packet. Touches two private methods of aiortc's receiver; tests/loopback fails when they change.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from models.interfaces import SPEECH_RATE_HZ, Image, Samples
from signaling import protocol
from signaling.client import SignalingClient

T = TypeVar("T")
CLOCK_HZ = {"audio": SPEECH_RATE_HZ, "video": 90_000}
LOUD = 0.004
"""Peak of a 20 ms frame above which it is speech; Opus leaves silence below a tenth of this."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A media frame's last packet: when it came, and its place on the track's own clock."""

    at_s: float
    media_s: float


@dataclass(slots=True)
class Received:
    """One track as it came in."""

    kind: str
    arrivals: dict[int, float] = field(default_factory=dict)
    first_timestamp: int | None = None
    packets: int = 0
    payload_bytes: int = 0

    def note(self, timestamp: int, at_s: float, payload_bytes: int) -> None:
        if self.first_timestamp is None:
            self.first_timestamp = timestamp
        self.packets += 1
        self.payload_bytes += payload_bytes
        self.arrivals[(timestamp - self.first_timestamp) & 0xFFFFFFFF] = at_s

    def timeline(self) -> list[Arrival]:
        """Every frame's arrival in media order."""
        return [Arrival(at_s, ticks / CLOCK_HZ[self.kind]) for ticks, at_s in sorted(self.arrivals.items())]


@dataclass(frozen=True, slots=True)
class HeardFrame:
    """20 ms of decoded sound and when its packet arrived."""

    at_s: float
    media_s: float
    samples: Samples

    @property
    def loud(self) -> bool:
        return bool(np.abs(self.samples).max() > LOUD)


class Refused(Exception):
    """The service or the performer does not let this viewer in."""


class Viewer:
    """Connects on entry. `keep_sound` and `keep_pictures` bound how much of what was received stays in memory."""

    def __init__(
        self,
        url: str,
        room: str,
        token: str,
        *,
        microphone: MediaStreamTrack | None = None,
        change_offer: Callable[[str], str] = lambda sdp: sdp,
        keep_sound: int = 20_000,
        keep_pictures: int = 50,
        timeout_s: float = 20.0,
    ) -> None:
        self._client = SignalingClient(url, room, token)
        self._microphone = microphone
        self._change_offer = change_offer
        self._timeout_s = timeout_s
        self.connection = RTCPeerConnection()
        self._channel = self.connection.createDataChannel(protocol.CHANNEL_LABEL)
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.audio = Received("audio")
        self.video = Received("video")
        self.sound: deque[HeardFrame] = deque(maxlen=keep_sound)
        self.pictures: deque[tuple[float, Image]] = deque(maxlen=keep_pictures)
        self.messages: list[tuple[float, Any]] = []

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._enter()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _enter(self) -> None:
        await self._client.__aenter__()
        self._channel.on("open", self._opened.set)
        self._channel.on("message", self._on_message)
        self.connection.on("track", self._on_track)
        self.connection.addTransceiver(self._microphone or "audio", "sendrecv" if self._microphone else "recvonly")
        self.connection.addTransceiver("video", "recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        offered_to: set[str] = set()
        async for message in self._client:
            match message:
                case protocol.Welcome(peers=peers):
                    for peer in peers:
                        await self._offer(peer, offered_to)
                case protocol.PeerJoined(peer=peer):
                    await self._offer(peer, offered_to)
                case protocol.Answer(sdp=sdp):
                    await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
                    break
                case protocol.Bye(reason=reason):
                    raise Refused(reason or "The performer does not answer this offer.")
                case protocol.Error(message=text):
                    raise Refused(text)
        await self._opened.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.__aexit__(kind, error, trace)

    async def leave_room(self) -> None:
        """Lose the signaling service, but not the connection."""
        await self._client.__aexit__(None, None, None)

    def send(self, message: protocol.ToPerformer) -> float:
        """Send on the data channel; returns when."""
        self._channel.send(protocol.dump(message))
        return time.monotonic()

    def send_raw(self, data: str) -> None:
        self._channel.send(data)

    def of(self, kind: type[T]) -> list[T]:
        """Every message of `kind` so far."""
        return [message for _, message in self.messages if isinstance(message, kind)]

    async def until(self, kind: type[T], *, count: int = 1, timeout_s: float | None = None, **fields: Any) -> T:
        """Wait until `count` messages of `kind` with these fields have come; return the last of them."""

        def matching() -> list[T]:
            return [m for m in self.of(kind) if all(getattr(m, key) == value for key, value in fields.items())]

        async with asyncio.timeout(timeout_s or self._timeout_s):
            while len(found := matching()) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[count - 1]

    async def until_heard(self, *, loud: bool, after_s: float = 0.0, timeout_s: float | None = None) -> HeardFrame:
        """Wait for the first loud (or silent) frame whose packet arrived at or after `after_s`."""
        async with asyncio.timeout(timeout_s or self._timeout_s):
            while True:
                for frame in self.sound:
                    if frame.at_s >= after_s and frame.loud == loud:
                        return frame
                self._changed.clear()
                await self._changed.wait()

    async def _offer(self, peer: protocol.Peer, offered_to: set[str]) -> None:
        if peer.role == "performer" and peer.peer_id not in offered_to:
            offered_to.add(peer.peer_id)
            sdp = self._change_offer(self.connection.localDescription.sdp)
            await self._client.send(protocol.Offer(to=peer.peer_id, sdp=sdp))

    def _on_message(self, data: str) -> None:
        self.messages.append((time.monotonic(), protocol.parse(protocol.FROM_PERFORMER, data)))
        self._changed.set()

    def _on_track(self, track: MediaStreamTrack) -> None:
        received = self.audio if track.kind == "audio" else self.video
        for transceiver in self.connection.getTransceivers():
            if transceiver.receiver.track is track:
                _note_arrivals(transceiver.receiver, received)
        self._tasks.append(asyncio.create_task(self._take(track, received), name=f"viewer {track.kind}"))

    async def _take(self, track: MediaStreamTrack, received: Received) -> None:
        try:
            while True:
                frame = await track.recv()
                assert frame.pts is not None
                ticks = frame.pts
                at_s = received.arrivals.get(ticks, time.monotonic())
                if isinstance(frame, AudioFrame):
                    samples = frame.to_ndarray().reshape(-1, 2)[:, 0].astype(np.float32) / 32_768
                    self.sound.append(HeardFrame(at_s, ticks / SPEECH_RATE_HZ, samples))
                elif isinstance(frame, VideoFrame):
                    self.pictures.append((ticks / CLOCK_HZ["video"], frame.to_ndarray(format="yuv420p")))
                self._changed.set()
        except MediaStreamError:
            return


async def eventually(condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    """Wait for something that nobody announces."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def _note_arrivals(receiver: Any, received: Received) -> None:
    handle = receiver._handle_rtp_packet

    async def noting(packet: Any, arrival_time_ms: int) -> None:
        if packet.payload:
            received.note(packet.timestamp, time.monotonic(), len(packet.payload))
        await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = noting
