"""What one video packet says about its place in a picture. Pure, and never raises on what a sender makes up."""

from dataclasses import dataclass

_START_CODE = b"\x00\x00\x00\x01"
_SLICE, _IDR_SLICE, _SPS = 1, 5, 7


@dataclass(frozen=True, slots=True)
class Place:
    first: bool
    """A picture begins with this packet."""
    key: bool
    """The picture can be decoded without any picture before it."""


INSIDE = Place(first=False, key=False)


def vp8_place(payload: bytes, data: bytes) -> Place:
    """By the payload descriptor's S and PID (RFC 7741, 4.2) and the frame header's P bit (RFC 6386, 9.1).

    `payload` is the packet as sent, `data` what is left without the descriptor.
    """
    if not payload or not data or payload[0] & 0x17 != 0x10:
        return INSIDE
    return Place(first=True, key=not data[0] & 1)


def h264_place(data: bytes) -> Place:
    """By the NAL units that begin in `data`, each after a start code (RFC 6184, 5; H.264, 7.3.2).

    A slice begins a picture when its first macroblock is number 0; everything else that is not a slice precedes one.
    """
    if not data.startswith(_START_CODE):
        return INSIDE
    first, key = False, False
    start = 0
    while start >= 0:
        header = start + len(_START_CODE)
        kind = data[header] & 0x1F if header < len(data) else 0
        key = key or kind in (_IDR_SLICE, _SPS)
        if start == 0:
            zeroth = header + 1 < len(data) and bool(data[header + 1] & 0x80)  # ue(v) of 0 is a single 1 bit
            first = zeroth if kind in (_SLICE, _IDR_SLICE) else True
        start = data.find(_START_CODE, header)
    return Place(first, key)
