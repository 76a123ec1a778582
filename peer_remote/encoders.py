"""Which codec a viewer gets and at what bit rate. The one file that touches aiortc's encoders."""

from typing import Any, Literal

from aiortc import RTCRtpSender, RTCRtpTransceiver, codecs
from aiortc.codecs import h264, vpx

VideoCodec = Literal["vp8", "h264"]


def set_video_bitrate(*, start_bps: int, lowest_bps: int, highest_bps: int) -> None:
    """Set the bounds within which aiortc follows the receiver's estimate (REMB), for every encoder made from now on.

    aiortc keeps them as module constants (500 kbit/s, 250 kbit/s, 1.5 Mbit/s for VP8) and makes a new encoder, hence a
    key frame, whenever the estimate moves by more than a tenth; a narrow band keeps a face sharp and steady.
    """
    for codec in (vpx, h264):
        for name, value in (
            ("DEFAULT_BITRATE", start_bps),
            ("MIN_BITRATE", lowest_bps),
            ("MAX_BITRATE", highest_bps),
        ):
            getattr(codec, name)
            setattr(codec, name, value)


class _ResilientVp8(vpx.Vp8Encoder):
    """Codes every picture with the probabilities of the standard instead of those that the picture before left behind.

    Costs 0.3 % more bytes. After a lost picture the following ones are a little damaged (33 dB on a moving face at
    1.5 Mbit/s) instead of rubbish (17 dB), so that a viewer need not freeze until the next key frame.
    """

    _codec: Any = None

    @property
    def codec(self) -> Any:
        if self._codec is not None and not self._codec.is_open:
            self._codec.options.setdefault("error-resilient", "default")
        return self._codec

    @codec.setter
    def codec(self, codec: Any) -> None:
        self._codec = codec


def bear_lost_pictures() -> None:
    """Make every VP8 encoder from now on one whose pictures can be decoded when one before them was lost."""
    getattr(codecs, "Vp8Encoder")  # noqa: B009 - loud when aiortc makes its encoders elsewhere
    setattr(codecs, "Vp8Encoder", _ResilientVp8)  # noqa: B010


def prefer(transceiver: RTCRtpTransceiver, codec: VideoCodec) -> None:
    """Put `codec` first in the answer, whatever order the viewer offers; call it before setRemoteDescription."""
    wanted = f"video/{codec}"
    offered = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(sorted(offered, key=lambda capability: capability.mimeType.lower() != wanted))
