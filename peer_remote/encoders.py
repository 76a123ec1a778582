"""Which codec a viewer gets and at what bit rate. The one file that touches aiortc's encoder constants."""

from typing import Literal

from aiortc import RTCRtpSender, RTCRtpTransceiver
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


def prefer(transceiver: RTCRtpTransceiver, codec: VideoCodec) -> None:
    """Put `codec` first in the answer, whatever order the viewer offers; call it before setRemoteDescription."""
    wanted = f"video/{codec}"
    codecs = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(sorted(codecs, key=lambda capability: capability.mimeType.lower() != wanted))
