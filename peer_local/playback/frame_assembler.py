"""From video packets to whole pictures in order: asks again for what is missing, and gives up before anybody sees it.

    packets ─► add() ─► complete pictures
                  └───► requests(): which packets to send again (NACK), whether a key frame is wanted (PLI)

aiortc's own buffer waits for the next picture's first packet (40 ms), asks once, and keeps everything behind one lost
packet until its 512 places are full: seconds. Here a picture is complete with its last packet, requests are repeated,
and after `patience_s` the picture is left out.
"""

import statistics
from collections import OrderedDict, deque
from dataclasses import dataclass

from peer_local.interfaces import RtpPacket
from peer_local.playback.video_payload import Place

CAPACITY = 512
"""Packets held at most; the largest key frame of 1280×720 is about 100."""
SENDER_KEEPS = 128
"""aiortc sends again what is among its last packets; asking for older ones is in vain."""
REORDERED = 16
"""How far the very first packets may be out of order."""


@dataclass(frozen=True, slots=True)
class AssemblyRules:
    patience_s: float = 0.15
    """How long a missing packet may hold everything back. With 5 % loss and 50 ms jitter both ways 3 % of the lost
    packets are given up (2 % with 0.165, 25 % with 0.12), and a playout 0.15 s behind never stands for over 200 ms."""
    vain_s: float = 0.03
    """How long instead when answers usually take longer than `patience_s`: enough for packets out of order."""
    ask_again_s: float = 0.03
    """Least time between two requests for one packet; three tenths of the usual answer's time if that is more."""
    ask_key_again_s: float = 0.3
    """Between two requests for a key frame, which takes a round trip, the encoder's time and some 30 packets."""
    decode_on: bool = True
    """Show what follows a lost picture, a little damaged until the key frame, instead of freezing. H.264 bears it, VP8
    where its encoder is error-resilient, as ours is: 33 dB instead of 45; without, 17 dB, which is rubbish."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    timestamp: int
    """Extended, never wraps."""
    data: bytes
    key: bool


@dataclass(frozen=True, slots=True)
class Requests:
    """What to ask the sender for now."""

    missing: tuple[int, ...]
    """Extended sequence numbers."""
    key_frame: bool


@dataclass(frozen=True, slots=True)
class AssemblyFigures:
    packets: int
    recovered: int
    """Packets that came after they were asked for."""
    lost: int
    """Packets that were given up."""
    useless: int
    """Packets that came twice or too late."""
    pictures: int
    damaged: int
    """Pictures decoded although one before them was lost."""
    skipped: int
    """Pictures that came but could not be shown, or whose packets were given up."""
    key_frames_asked: int
    restarts: int


@dataclass(slots=True)
class _Missing:
    noticed_s: float
    asked_s: float | None = None


class _Answers:
    """How long it takes from the first request for a packet to its arrival, also when that is too late to be used."""

    def __init__(self) -> None:
        self._asked: OrderedDict[int, float] = OrderedDict()
        self._took_s: deque[float] = deque(maxlen=15)
        self.usual_s = 0.0
        """Median of the last ones: one that was lost twice does not count for much."""

    def ask(self, sequence: int, now_s: float) -> None:
        self._asked.setdefault(sequence, now_s)
        if len(self._asked) > CAPACITY:
            self._asked.popitem(last=False)

    def arrive(self, sequence: int, now_s: float) -> bool:
        """Whether the packet had been asked for."""
        asked_s = self._asked.pop(sequence, None)
        if asked_s is None:
            return False
        self._took_s.append(now_s - asked_s)
        self.usual_s = statistics.median(self._took_s)
        return True


class FrameAssembler:
    """Every method costs well under 0.1 ms; at most CAPACITY packets are held. Time comes with the packets."""

    def __init__(self, rules: AssemblyRules | None = None) -> None:
        self._rules = rules or AssemblyRules()
        self._held: dict[int, tuple[RtpPacket, Place]] = {}
        self._missing: dict[int, _Missing] = {}
        self._answers = _Answers()
        self._keys: list[int] = []
        """First packets of key frames that are held."""
        self._next: int | None = None
        """The packet with which the next picture begins."""
        self._newest = -1
        self._begun = False
        """A picture has been released or given up since the (re)start."""
        self._decodable = False
        self._whole = False
        self._key_wanted = False
        self._key_asked_s: float | None = None
        self._counts = dict.fromkeys(AssemblyFigures.__dataclass_fields__, 0)

    def add(self, packet: RtpPacket, place: Place) -> list[EncodedPicture]:
        """Take one packet; the pictures that are complete now, in order."""
        self._counts["packets"] += 1
        now_s, sequence = packet.arrived_s, packet.sequence
        if self._next is not None and abs(sequence - self._newest) >= CAPACITY:
            self.restart()
        if self._next is None:
            self._next, self._newest = sequence, sequence
        if not self._accept(sequence, now_s):
            self._counts["useless"] += 1
            return []
        self._held[sequence] = (packet, place)
        if place.first and place.key:
            self._keys.append(sequence)
        pictures = self._release()
        while self._stuck(now_s):
            self._give_up()
            pictures += self._release()
        return pictures

    def requests(self, now_s: float) -> Requests:
        """What to ask for at `now_s`; each answer counts as asked."""
        missing = []
        again_s = max(self._rules.ask_again_s, 0.3 * self._answers.usual_s)
        for sequence, state in self._missing.items():
            if sequence > self._newest - SENDER_KEEPS and (state.asked_s is None or now_s - state.asked_s >= again_s):
                state.asked_s = now_s
                self._answers.ask(sequence, now_s)
                missing.append(sequence)
        key_frame = self._key_wanted and (
            self._key_asked_s is None or now_s - self._key_asked_s >= self._rules.ask_key_again_s
        )
        if key_frame:
            self._key_asked_s = now_s
            self._counts["key_frames_asked"] += 1
        return Requests(tuple(missing), key_frame)

    def want_key_frame(self) -> None:
        """The decoder cannot make sense of what it got."""
        self._whole = False
        self._key_wanted = True

    def restart(self) -> None:
        """Forget everything and wait for a key frame."""
        self._counts["restarts"] += 1
        self._counts["skipped"] += len({packet.timestamp for packet, _ in self._held.values()})
        self._held.clear()
        self._missing.clear()
        self._keys.clear()
        self._next = None
        self._begun = self._decodable = False
        self.want_key_frame()

    def figures(self) -> AssemblyFigures:
        return AssemblyFigures(**self._counts)

    def _accept(self, sequence: int, now_s: float) -> bool:
        """Whether the packet is news; notes which ones are missing before it."""
        assert self._next is not None
        answer = self._answers.arrive(sequence, now_s)
        if sequence < self._next:
            if self._begun or sequence < self._next - REORDERED:
                return False
            for gap in range(sequence + 1, self._next):
                self._missing.setdefault(gap, _Missing(now_s))
            self._next = sequence
        if sequence in self._held:
            return False
        for gap in range(self._newest + 1, sequence):
            self._missing[gap] = _Missing(now_s)
        self._newest = max(self._newest, sequence)
        self._missing.pop(sequence, None)
        self._counts["recovered"] += answer
        return True

    def _release(self) -> list[EncodedPicture]:
        """Take out every complete picture up to the first hole; a complete key frame behind it makes the hole vain."""
        pictures: list[EncodedPicture] = []
        while True:
            assert self._next is not None
            end = self._end(self._next) if self._begun or self._at_start(self._next) else None
            if end is None:
                key = next((first for first in reversed(self._keys) if self._end(first) is not None), None)
                if key is None or key <= self._next:
                    return pictures
                self._skip_to(key)
                continue
            packets = [self._held.pop(sequence) for sequence in range(self._next, end + 1)]
            self._advance(end + 1)
            picture = self._judge(packets)
            if picture is not None:
                pictures.append(picture)

    def _at_start(self, sequence: int) -> bool:
        """Whether a picture begins here; if not, its beginning may still come, or only a key frame helps."""
        held = self._held.get(sequence)
        if held is not None and not held[1].first:
            self._key_wanted = True
        return held is not None and held[1].first

    def _end(self, first: int) -> int | None:
        """The last packet of the picture that begins with `first`, if all of it is there."""
        held = self._held.get(first)
        if held is None:
            return None
        timestamp = held[0].timestamp
        sequence = first
        while held is not None and held[0].timestamp == timestamp:
            if held[0].marker:
                return sequence
            sequence += 1
            held = self._held.get(sequence)
        return None if held is None else sequence - 1

    def _judge(self, packets: list[tuple[RtpPacket, Place]]) -> EncodedPicture | None:
        """The picture, unless the decoder could not use it."""
        data = b"".join(packet.payload for packet, _ in packets)
        if not data:
            return None  # padding, with which senders probe the path
        first = packets[0][1].first
        key = first and any(place.key for _, place in packets)
        if key:
            self._decodable = self._whole = True
            self._key_wanted, self._key_asked_s = False, None
        if not first or not self._decodable:
            self._whole = False
            self._key_wanted = True
        if not first or not self._decodable or not (self._whole or self._rules.decode_on):
            self._counts["skipped"] += 1
            return None
        self._counts["pictures"] += 1
        self._counts["damaged"] += not self._whole
        return EncodedPicture(packets[0][0].timestamp, data, key)

    def _stuck(self, now_s: float) -> bool:
        """Whether the hole at the front has been waited for long enough, or holds back too much."""
        if self._next is None:
            return False
        if self._newest - self._next >= CAPACITY - 1:
            return True
        hole = min(self._missing, default=None)
        in_vain = self._answers.usual_s > self._rules.patience_s
        patience_s = self._rules.vain_s if in_vain else self._rules.patience_s
        return hole is not None and now_s - self._missing[hole].noticed_s >= patience_s

    def _give_up(self) -> None:
        """Leave out the picture at the front with its missing packets, and go on with the first that has its start."""
        assert self._next is not None
        hole = min(self._missing, default=self._newest + 1)
        before = self._held.get(hole - 1)
        torn = before[0].timestamp if before is not None and not before[0].marker else None
        starts = (
            sequence
            for sequence, (packet, place) in self._held.items()
            if sequence > hole and place.first and packet.timestamp != torn
        )
        self._skip_to(min(starts, default=self._newest + 1))
        self.want_key_frame()

    def _skip_to(self, sequence: int) -> None:
        """Drop everything before `sequence`."""
        given_up = [missing for missing in self._missing if missing < sequence]
        passed = [held for held in self._held if held < sequence]
        self._counts["lost"] += len(given_up)
        self._counts["skipped"] += max(1, len({self._held[held][0].timestamp for held in passed}))
        for missing in given_up:
            del self._missing[missing]
        for held in passed:
            del self._held[held]
        self._advance(sequence)

    def _advance(self, sequence: int) -> None:
        self._next = sequence
        self._begun = True
        self._keys = [key for key in self._keys if key >= sequence]
