from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer_local.interfaces import RtpPacket
from peer_local.playback.frame_assembler import (
    CAPACITY,
    SENDER_KEEPS,
    AssemblyRules,
    EncodedPicture,
    FrameAssembler,
    Requests,
)
from peer_local.playback.video_payload import Place

PICTURE_S = 0.04
TICKS = 3_600


@dataclass(frozen=True, slots=True)
class Sent:
    sequence: int
    timestamp: int
    marker: bool
    place: Place
    data: bytes
    at_s: float


def show(*sizes: int, keys: tuple[int, ...] = (0,), sequence: int = 1_000) -> list[Sent]:
    """Packets of pictures that have `sizes` packets each, one picture every 40 ms."""
    packets = []
    for number, size in enumerate(sizes):
        for part in range(size):
            place = Place(first=part == 0, key=part == 0 and number in keys)
            data = f"{number}.{part} ".encode()
            at_s = number * PICTURE_S
            packets.append(Sent(sequence, number * TICKS, part == size - 1, place, data, at_s))
            sequence += 1
    return packets


class Stage:
    """Feeds an assembler and remembers what came out of it."""

    def __init__(self, rules: AssemblyRules | None = None) -> None:
        self.assembler = FrameAssembler(rules)
        self.out: list[EncodedPicture] = []

    def give(self, *packets: Sent, at_s: float | None = None) -> list[int]:
        """The numbers of the pictures that are complete now."""
        new = []
        for packet in packets:
            arrived_s = packet.at_s if at_s is None else at_s
            rtp = RtpPacket(packet.sequence, packet.timestamp, packet.marker, packet.data, arrived_s)
            new += self.assembler.add(rtp, packet.place)
        self.out += new
        return [picture.timestamp // TICKS for picture in new]


def test_a_picture_is_complete_with_its_last_packet() -> None:
    stage = Stage()
    a, b, c, d, e = show(3, 2)
    assert [stage.give(packet) for packet in (a, b, c, d, e)] == [[], [], [0], [], [1]]
    assert [picture.data for picture in stage.out] == [b"0.0 0.1 0.2 ", b"1.0 1.1 "]
    assert [picture.key for picture in stage.out] == [True, False]
    assert stage.assembler.requests(1.0) == Requests((), False)


def test_packets_may_overtake_each_other() -> None:
    stage = Stage()
    a, b, c, d, e, f = show(3, 2, 1)
    assert [stage.give(packet) for packet in (c, a, e, f, b, d)] == [[], [], [], [], [0], [1, 2]]


def test_a_lost_packet_is_asked_for_at_once_and_again_until_it_comes() -> None:
    stage = Stage()
    a, b, c, d = show(1, 1, 1, 1)
    stage.give(a)
    assert stage.give(c, at_s=0.080) == []
    ask = stage.assembler.requests
    assert [ask(at_s).missing for at_s in (0.080, 0.090, 0.110, 0.139, 0.141)] == [(1_001,), (), (1_001,), (), (1_001,)]
    assert stage.give(d, at_s=0.15) == []
    assert stage.give(b, at_s=0.16) == [1, 2, 3]
    assert ask(0.2) == Requests((), False)
    figures = stage.assembler.figures()
    assert (figures.recovered, figures.lost, figures.skipped, figures.damaged) == (1, 0, 0, 0)


def test_a_packet_that_does_not_come_is_given_up_and_the_show_goes_on_until_a_key_frame_mends_it() -> None:
    stage = Stage()
    packets = show(2, 3, 2, 2, 2, 2, 2, 2, keys=(0, 7))
    lost = packets[3]
    shown = [stage.give(packet) for packet in packets if packet is not lost]
    assert [numbers for numbers in shown if numbers] == [[0], [2, 3, 4], [5], [6], [7]]
    figures = stage.assembler.figures()
    assert (figures.lost, figures.skipped, figures.damaged) == (1, 1, 5)
    assert [picture.data for picture in stage.out][1] == b"2.0 2.1 "


def test_a_viewer_may_prefer_to_freeze_until_the_key_frame() -> None:
    stage = Stage(AssemblyRules(decode_on=False))
    packets = show(2, 3, 2, 2, 2, 2, 2, 2, keys=(0, 6))
    for packet in packets:
        if packet is not packets[3]:
            stage.give(packet)
    assert [picture.timestamp // TICKS for picture in stage.out] == [0, 6, 7]
    assert stage.assembler.figures().damaged == 0


def test_a_key_frame_is_asked_for_again_and_again_until_it_is_complete() -> None:
    stage = Stage(AssemblyRules(patience_s=0.1))
    packets = show(*[1] * 30, keys=(0, 20))
    asked = []
    for packet in packets:
        if packet.sequence != 1_001:
            stage.give(packet)
            if stage.assembler.requests(packet.at_s).key_frame:
                asked.append(round(packet.at_s, 2))
    assert asked == [0.2, 0.52]
    assert stage.assembler.figures().key_frames_asked == 2


def test_nothing_is_shown_before_the_first_key_frame_and_one_is_asked_for_at_once() -> None:
    stage = Stage()
    packets = show(2, 2, 2, 3, 1, keys=(3,))
    assert stage.give(*packets[1:6]) == []
    assert stage.assembler.requests(0.08).key_frame
    assert stage.give(*packets[6:]) == [3, 4]


def test_the_very_first_packets_may_be_out_of_order() -> None:
    stage = Stage()
    a, b, c = show(3)
    assert [stage.give(packet) for packet in (c, a, b)] == [[], [], [0]]


def test_a_complete_key_frame_makes_waiting_for_older_packets_vain() -> None:
    stage = Stage()
    packets = show(1, 2, 2, 2, 1, keys=(0, 3))
    assert stage.give(packets[0], packets[1]) == [0]
    assert stage.give(*packets[3:6]) == []
    assert stage.give(packets[6]) == [3]
    assert stage.assembler.requests(0.12) == Requests((), False)
    assert stage.give(packets[2]) == [], "too late"
    assert stage.give(packets[7]) == [4]
    figures = stage.assembler.figures()
    assert (figures.useless, figures.skipped, figures.damaged) == (1, 2, 0)


def test_the_rest_of_a_torn_picture_is_never_decoded() -> None:
    stage = Stage(AssemblyRules(patience_s=0.05))
    packets = show(1, 3, 3, 3, 1)
    lost = {packets[3].sequence, packets[4].sequence}  # the end of one picture and the start of the next
    for packet in packets:
        if packet.sequence not in lost:
            stage.give(packet)
    assert [picture.data for picture in stage.out] == [b"0.0 ", b"3.0 3.1 3.2 ", b"4.0 "]


def test_answers_that_always_come_too_late_are_not_waited_for() -> None:
    stage = Stage()
    packets = show(*[1] * 400)
    lost = set(range(1_010, 1_390, 20))
    late: dict[int, Sent] = {}
    shown_at_s: dict[int, float] = {}
    for packet in packets:
        for due in [sequence for sequence in late if packet.at_s - late[sequence].at_s > 0.25]:
            stage.give(late.pop(due), at_s=packet.at_s)
        if packet.sequence in lost:
            late[packet.sequence] = packet
        else:
            for number in stage.give(packet):
                shown_at_s[number] = packet.at_s
            stage.assembler.requests(packet.at_s)
    delays_ms = {number: round((at_s - number * PICTURE_S) * 1_000) for number, at_s in shown_at_s.items()}
    assert max(delays_ms[number] for number in range(100) if number in delays_ms) >= 150
    assert max(delays_ms[number] for number in range(200, 400) if number in delays_ms) <= 40
    assert stage.assembler.figures().skipped == len(lost)


def test_padding_between_pictures_is_no_picture() -> None:
    stage = Stage()
    a, b = show(1, 1)
    padding = Sent(1_001, a.timestamp, False, Place(False, False), b"", 0.02)
    after = Sent(1_002, b.timestamp, True, b.place, b.data, b.at_s)
    assert [stage.give(packet) for packet in (a, padding, after)] == [[0], [], [1]]
    assert stage.assembler.figures().skipped == 0


def test_a_sender_that_begins_anew_is_followed() -> None:
    stage = Stage()
    stage.give(*show(1, 1, 1))
    assert stage.give(*show(2, 1, sequence=40_000)) == [0, 1]
    assert stage.assembler.figures().restarts == 1
    assert stage.give(*show(1, 1, sequence=-5_000)) == [0, 1]


def test_it_never_holds_more_than_its_capacity() -> None:
    stage = Stage(AssemblyRules(patience_s=1_000.0))
    packets = show(1, *[3] * 2_000)
    for packet in packets:
        if packet.sequence % 97 != 5:
            stage.give(packet)
            assert len(stage.assembler._held) <= CAPACITY
            assert len(stage.assembler.requests(packet.at_s).missing) <= SENDER_KEEPS
    assert stage.out[-1].timestamp // TICKS > 1_800


def test_a_picture_without_an_end_does_not_fill_the_memory() -> None:
    stage = Stage()
    endless = [Sent(1_000 + n, 0, False, Place(n == 0, n == 0), b"x", n * 0.001) for n in range(3 * CAPACITY)]
    for packet in endless:
        stage.give(packet)
    assert len(stage.assembler._held) <= CAPACITY
    assert stage.give(*show(1, 1, sequence=1_000 + 3 * CAPACITY)) == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_the_network_does_whole_pictures_come_out_in_order(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=25))
    keys = (0, *data.draw(st.lists(st.integers(1, 24), max_size=3)))
    packets = show(*sizes, keys=keys)
    delays = data.draw(st.lists(st.integers(-1, 12), min_size=len(packets), max_size=len(packets)))
    arrivals = sorted(
        (p.at_s + delay * 0.01, p.sequence, p) for p, delay in zip(packets, delays, strict=True) if delay >= 0
    )
    stage = Stage()
    for at_s, _, packet in arrivals:
        stage.give(packet, at_s=at_s)
        stage.assembler.requests(at_s)
    whole = {
        number * TICKS: b"".join(p.data for p in packets if p.timestamp == number * TICKS)
        for number in range(len(sizes))
    }
    timestamps = [picture.timestamp for picture in stage.out]
    assert timestamps == sorted(set(timestamps))
    assert all(picture.data == whole[picture.timestamp] for picture in stage.out)
    assert not stage.out or stage.out[0].key


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_burst_of_lost_pictures_costs_no_more_than_itself(lost: int) -> None:
    stage = Stage()
    packets = show(*[1] * 20)
    for packet in packets:
        if not 1_005 <= packet.sequence < 1_005 + lost:
            stage.give(packet)
    assert len(stage.out) == 20 - lost
