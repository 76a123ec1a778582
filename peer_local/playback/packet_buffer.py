"""Packets in the order of their timestamps, however they came."""

from bisect import insort
from collections import deque
from typing import Literal

from models.interfaces import SPEECH_RATE_HZ
from peer_local.interfaces import RtpPacket
from peer_local.playback.opus import PACKET_SAMPLES

Verdict = Literal["taken", "duplicate", "late", "restarted", "held"]

CAPACITY_PACKETS = 64
"""1.28 s: more than any delay that is played out."""
RESTART_S = 5.0
"""A packet that is out of its time by more than this belongs to another run of the sender."""
_TOLERANCE = PACKET_SAMPLES // 2


def _origin_s(packet: RtpPacket) -> float:
    """When timestamp 0 would have arrived, had it come the way that this packet came."""
    return packet.arrived_s - packet.timestamp / SPEECH_RATE_HZ


class PacketBuffer:
    """Holds what was received and not yet played. When it is full the oldest goes, counted as `overflowed`."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.late = 0
        self.overflowed = 0
        self.restarts = 0
        self.newest: int | None = None
        """The highest timestamp so far."""
        self._packets: dict[int, RtpPacket] = {}
        self._order: list[int] = []
        self._due: int | None = None
        self._played: deque[int] = deque(maxlen=CAPACITY_PACKETS)
        self._origin_s: float | None = None
        self._stranger: RtpPacket | None = None

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def oldest(self) -> int | None:
        """The lowest timestamp that waits."""
        return self._order[0] if self._order else None

    def put(self, packet: RtpPacket) -> Verdict:
        """Take a packet. One that is far out of its time is held until a second one proves that the sender restarted:
        then everything older is forgotten."""
        if self._origin_s is not None and abs(_origin_s(packet) - self._origin_s) > RESTART_S:
            known = self._stranger
            if known is None or abs(_origin_s(packet) - _origin_s(known)) > RESTART_S or known == packet:
                self._stranger = packet
                return "held"
            self.clear()
            self.newest = None
            self.restarts += 1
            self._insert(known)
            self._insert(packet)
            return "restarted"
        self._stranger = None
        if packet.timestamp in self._packets or packet.timestamp in self._played:
            self.duplicates += 1
            return "duplicate"
        if self._due is not None and packet.timestamp <= self._due - _TOLERANCE:
            self.late += 1
            return "late"
        self._insert(packet)
        return "taken"

    def _insert(self, packet: RtpPacket) -> None:
        if packet.timestamp not in self._packets:
            insort(self._order, packet.timestamp)
        self._packets[packet.timestamp] = packet
        if self.newest is None or packet.timestamp > self.newest:
            self.newest = packet.timestamp
            self._origin_s = _origin_s(packet)
        if len(self._order) > CAPACITY_PACKETS:
            del self._packets[self._order.pop(0)]
            self.overflowed += 1

    def take(self, due: int) -> RtpPacket | None:
        """The packet of timestamp `due`, or None if it is not there: it and whatever is older is then too late."""
        self._due = due + PACKET_SAMPLES
        while self._order and self._order[0] <= due - _TOLERANCE:
            del self._packets[self._order.pop(0)]
        if not self._order or self._order[0] >= due + _TOLERANCE:
            return None
        packet = self._packets.pop(self._order.pop(0))
        self._due = packet.timestamp + PACKET_SAMPLES
        self._played.append(packet.timestamp)
        return packet

    def wait(self, due: int) -> None:
        """Let the packet of timestamp `due` be in time again, after `take` has missed it."""
        self._due = due

    def clear(self) -> None:
        """Forget what waits, and what is too late."""
        self._packets.clear()
        self._order.clear()
        self._played.clear()
        self._due = None
        self._origin_s = None
        self._stranger = None
