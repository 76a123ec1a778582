"""What comes out of the decoder when aiortc's encoder made the packets."""

from fractions import Fraction

import numpy as np
import pytest
from aiortc.codecs.opus import OpusEncoder
from av import AudioFrame

from models.interfaces import Samples
from peer_local.playback.opus import CODEC_DELAY_SAMPLES, PACKET_SAMPLES, OpusDecoder


def encode(sound: Samples) -> list[bytes]:
    encoder = OpusEncoder()
    payloads = []
    for start in range(0, len(sound), PACKET_SAMPLES):
        pcm = (sound[start : start + PACKET_SAMPLES] * 32_767).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(pcm, 2)[None, :], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        payloads += encoder.encode(frame)[0]
    return payloads


def test_sound_comes_out_as_late_as_the_constant_says() -> None:
    place = np.arange(48_000) - 24_137
    click = (0.5 * np.exp(-((place / 40) ** 2)) * np.cos(2 * np.pi * 1_500 * place / 48_000)).astype(np.float32)
    decoder = OpusDecoder()
    parts = [decoder.decode(payload) for payload in encode(click)]
    assert all(part is not None and part.dtype == np.float32 and len(part) == PACKET_SAMPLES for part in parts)
    heard = np.concatenate([part for part in parts if part is not None])
    likeness = np.correlate(heard, click[24_137 - 400 : 24_137 + 400], "valid")
    assert np.argmax(likeness) + 400 - 24_137 == CODEC_DELAY_SAMPLES
    assert np.max(heard) == pytest.approx(0.5, abs=0.02)


def test_idle_sound_is_silent() -> None:
    decoder = OpusDecoder()
    for payload in encode(np.zeros(9_600, np.float32)):
        sound = decoder.decode(payload)
        assert sound is not None and np.max(np.abs(sound)) < 1e-4


@pytest.mark.parametrize("broken", [b"", b"\x00", b"\xff" * 20, b"\x03\xff\xff"])
def test_a_broken_packet_is_nothing_and_the_next_one_is_heard(broken: bytes) -> None:
    decoder = OpusDecoder()
    whole = encode(np.zeros(960, np.float32))[0]
    assert decoder.decode(whole) is not None
    for _ in range(3):
        decoder.decode(broken)
    assert decoder.decode(broken) is None
    assert decoder.decode(whole) is not None
