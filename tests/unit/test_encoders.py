from fractions import Fraction

import cv2
import numpy as np
from aiortc.codecs import get_decoder, get_encoder, vpx
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av import VideoFrame

from models.interfaces import Image
from peer_remote.encoders import bear_lost_pictures

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
