from fractions import Fraction

import numpy as np
import pytest
from aiortc.codecs import depayload, get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from peer_local.playback.video_payload import INSIDE, Place, h264_place, vp8_place

CODEC = {
    name: RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=97) for name in ("VP8", "H264")
}


@pytest.mark.parametrize("name", ["VP8", "H264"])
def test_real_pictures_begin_with_their_first_packet_and_key_frames_are_known(name: str) -> None:
    encoder = get_encoder(CODEC[name])
    noise = np.random.default_rng(1).integers(0, 255, (360, 320), dtype=np.uint8)
    for number in range(6):
        frame = VideoFrame.from_ndarray(np.roll(noise, number, 1), format="yuv420p")
        frame.pts, frame.time_base = number * 3_600, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, number == 4)
        data = [depayload(CODEC[name], payload) for payload in payloads]
        places = [
            vp8_place(payload, part) if name == "VP8" else h264_place(part)
            for payload, part in zip(payloads, data, strict=True)
        ]
        assert len(places) > 1
        assert places[0].first
        assert any(place.key for place in places) == (number in (0, 4))
        if name == "VP8":
            assert set(places[1:]) == {INSIDE}


def test_a_second_partition_or_slice_does_not_begin_a_picture() -> None:
    assert vp8_place(b"\x11\x00", b"\x00") == INSIDE
    assert vp8_place(b"\x10\x01", b"\x01") == Place(first=True, key=False)
    assert h264_place(b"\x00\x00\x00\x01\x41\x40") == INSIDE
    assert h264_place(b"\x00\x00\x00\x01\x41\x80") == Place(first=True, key=False)
    assert h264_place(b"\x00\x00\x00\x01\x67\x42\x00\x00\x00\x01\x68\xce") == Place(first=True, key=True)
    assert h264_place(b"the middle of a fragment") == INSIDE


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_anything_can_be_sent(payload: bytes, data: bytes) -> None:
    vp8_place(payload, data)
    h264_place(data)
    h264_place(b"\x00\x00\x00\x01" + data)
