"""One Opus packet to sound."""

import av.error
import numpy as np
from av import CodecContext
from av.packet import Packet

from models.interfaces import SPEECH_RATE_HZ, Samples

PACKET_SAMPLES = 960
"""20 ms: the only length that aiortc sends."""

CODEC_DELAY_SAMPLES = 312
"""How much later a sound comes out of the decoder than it went into aiortc's encoder: the look-ahead that libopus has
when application is voip (RFC 6716, 2.1.1), checked by tests/component/test_opus.py."""


class OpusDecoder:
    """Decodes in order, on one thread. A packet costs about 0.1 ms."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._codec = CodecContext.create("libopus", "r")
        self._codec.options = {"request_sample_fmt": "flt"}
        self._codec.layout = "mono"
        self._codec.sample_rate = SPEECH_RATE_HZ

    def decode(self, payload: bytes) -> Samples | None:
        """The sound of one packet, float32 [PACKET_SAMPLES]; None when it is broken."""
        if not payload:
            # It would tell the codec that the stream is over.
            return None
        try:
            frames = self._codec.decode(Packet(payload))
        except av.error.FFmpegError:
            self._open()
            return None
        if len(frames) != 1 or frames[0].samples != PACKET_SAMPLES:
            return None
        samples: Samples = frames[0].to_ndarray()[0]
        return samples if np.isfinite(samples).all() else None
