from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from aiortc import RTCPeerConnection, VideoStreamTrack
from aiortc.codecs import get_decoder, get_encoder, vpx
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame

from models.interfaces import Image
from peer_remote.encoders import RELAYED_BPS, bear_lost_pictures, bound_when_relayed, set_video_bitrate

SIZE_PX = 256
VP8 = RTCRtpCodecParameters(mimeType="video/VP8", clockRate=90_000, payloadType=97)


def face(number: int) -> Image:
    """A textured disc that moves over a textured ground."""
    noise = np.random.default_rng(1).integers(0, 255, (SIZE_PX, SIZE_PX), dtype=np.uint8)
    ground = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    shift = (int(6 * np.sin(number / 9)), int(10 * np.sin(number / 7)))
    disc = cv2.circle(np.zeros_like(ground), (SIZE_PX // 2 + shift[1], SIZE_PX // 2 + shift[0]), 80, 1, -1)
    luma = np.where(disc > 0, np.roll(255 - ground, shift, (0, 1)), ground)
    return np.vstack((luma, np.full((SIZE_PX // 2, SIZE_PX), 128, np.uint8)))


def likeness_db(image: Image, original: Image) -> float:
    """Peak signal-to-noise ratio of the luma."""
    error = np.mean((image[:SIZE_PX].astype(float) - original[:SIZE_PX]) ** 2)
    return float(10 * np.log10(255**2 / error))


def test_a_face_stays_recognisable_after_a_picture_was_lost() -> None:
    bear_lost_pictures()
    encoder, decoder = get_encoder(VP8), get_decoder(VP8)
    likeness: dict[int, float] = {}
    for number in range(40):
        frame = VideoFrame.from_ndarray(face(number), format="yuv420p")
        frame.pts, frame.time_base = number * 3_600, Fraction(1, 90_000)
        payloads, timestamp = encoder.encode(frame)
        if number == 20:
            continue
        data = b"".join(vpx.vp8_depayload(payload) for payload in payloads)
        for decoded in decoder.decode(JitterFrame(data, timestamp)):
            likeness[number] = likeness_db(decoded.to_ndarray(format="yuv420p"), face(number))
    assert min(likeness[number] for number in range(10, 20)) > 33
    assert min(likeness[number] for number in range(21, 40)) > 25, likeness


H264 = RTCRtpCodecParameters(
    mimeType="video/H264", clockRate=90_000, payloadType=99, parameters={"packetization-mode": "1"}
)
RELAY_PX = 640


class NoisyTrack(VideoStreamTrack):
    """A texture with a noise that is new in every picture: what key frames of real cameras suffer from."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(0)
        noise = self._rng.integers(0, 255, (RELAY_PX, RELAY_PX), dtype=np.uint8)
        smooth = cv2.GaussianBlur(noise, (0, 0), 3)
        self._ground = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.float32)
        self._number = 0

    async def recv(self) -> VideoFrame:
        luma = self._ground + self._rng.normal(0, 12, self._ground.shape)
        chroma = np.full((RELAY_PX // 2, RELAY_PX), 128, np.uint8)
        image = np.vstack((np.clip(luma, 0, 255).astype(np.uint8), chroma))
        frame = VideoFrame.from_ndarray(image, format="yuv420p")
        frame.pts, frame.time_base = self._number * 3_600, Fraction(1, 90_000)
        self._number += 1
        return frame


@pytest.mark.parametrize(("codec", "direct_bytes"), [(VP8, 40_000), (H264, 14_000)])
async def test_pictures_are_small_while_they_go_through_a_relay(
    codec: RTCRtpCodecParameters, direct_bytes: int
) -> None:
    """coturn drops what does not fit into 32 kB that wait for a viewer on TCP."""
    set_video_bitrate(start_bps=900_000, lowest_bps=450_000, highest_bps=1_800_000)
    connection = RTCPeerConnection()
    sender: Any = connection.addTrack(NoisyTrack())
    relayed = False
    bound_when_relayed(sender, lambda: relayed)

    async def sizes(count: int) -> list[int]:
        return [sum(map(len, (await sender._next_encoded_frame(codec)).payloads)) for _ in range(count)]

    direct = await sizes(3)
    relayed = True
    over_relay = await sizes(50)
    sender._send_keyframe()
    later_key, *_ = await sizes(3)
    relayed = False
    direct_again = await sizes(3)
    await connection.close()

    assert direct[0] > direct_bytes
    assert max(over_relay) < 24_000 and later_key < 16_000, over_relay
    assert sum(over_relay[10:]) / 40 * 25 * 8 < 1.1 * RELAYED_BPS
    assert direct_again[0] > 1.5 * later_key
