"""Which packets are played, and what is counted about the others."""

from peer_local.interfaces import RtpPacket
from peer_local.playback.packet_buffer import CAPACITY_PACKETS, PacketBuffer, Verdict


def packet(index: int, offset: int = 0, arrived_s: float | None = None) -> RtpPacket:
    return RtpPacket(index, 960 * index + offset, False, b"", 100 + 0.02 * index if arrived_s is None else arrived_s)


def put(buffer: PacketBuffer, *indices: int) -> list[Verdict]:
    return [buffer.put(packet(index)) for index in indices]


def test_packets_come_out_in_order() -> None:
    buffer = PacketBuffer()
    put(buffer, 2, 0, 3, 1)
    assert (buffer.oldest, buffer.newest, len(buffer)) == (0, 2_880, 4)
    assert [buffer.take(960 * index) for index in range(4)] == [packet(index) for index in range(4)]


def test_a_gap_is_told_and_leaves_the_rest_where_it_is() -> None:
    buffer = PacketBuffer()
    put(buffer, 0, 2)
    assert buffer.take(0) == packet(0)
    assert buffer.take(960) is None
    assert buffer.take(1_920) == packet(2)


def test_a_packet_that_comes_twice_counts_as_a_duplicate_before_and_after_it_is_played() -> None:
    buffer = PacketBuffer()
    assert put(buffer, 0, 0) == ["taken", "duplicate"]
    buffer.take(0)
    assert put(buffer, 0) == ["duplicate"]
    assert (buffer.duplicates, buffer.late) == (2, 0)


def test_a_packet_that_was_given_up_is_late_unless_it_was_waited_for() -> None:
    buffer = PacketBuffer()
    put(buffer, 0)
    buffer.take(0)
    assert buffer.take(960) is None
    assert put(buffer, 1) == ["late"]
    assert buffer.take(1_920) is None
    buffer.wait(1_920)
    assert put(buffer, 2) == ["taken"]
    assert buffer.late == 1


def test_a_packet_a_little_off_the_grid_is_still_the_next_one() -> None:
    buffer = PacketBuffer()
    buffer.put(packet(1, offset=100))
    assert buffer.take(960) == packet(1, offset=100)


def test_a_full_buffer_loses_its_oldest() -> None:
    buffer = PacketBuffer()
    put(buffer, *range(CAPACITY_PACKETS + 3))
    assert (len(buffer), buffer.oldest, buffer.overflowed) == (CAPACITY_PACKETS, 2_880, 3)


def test_a_sender_that_begins_anew_is_believed_at_its_second_packet() -> None:
    buffer = PacketBuffer()
    put(buffer, 1_000, 1_001)
    assert buffer.put(packet(3, arrived_s=120.04)) == "held"
    assert buffer.put(packet(4, arrived_s=120.06)) == "restarted"
    assert (buffer.oldest, buffer.newest, len(buffer), buffer.restarts) == (2_880, 3_840, 2, 1)


def test_a_stray_packet_is_not_a_new_sender() -> None:
    buffer = PacketBuffer()
    put(buffer, 0)
    assert buffer.put(packet(90_000, arrived_s=100.01)) == "held"
    assert put(buffer, 1) == ["taken"]
    assert buffer.put(packet(90_000, arrived_s=100.03)) == "held"
    assert (buffer.newest, buffer.restarts) == (960, 0)


def test_a_silence_of_the_network_is_not_a_new_sender() -> None:
    buffer = PacketBuffer()
    assert put(buffer, 0, 1_000) == ["taken", "taken"]
    assert buffer.restarts == 0
