"""Which codec a viewer gets and at what bit rate. The one file that touches aiortc's encoders."""

from collections.abc import Callable
from typing import Any, Literal

from aiortc import RTCRtpSender, RTCRtpTransceiver, codecs
from aiortc.codecs import h264, vpx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

VideoCodec = Literal["vp8", "h264"]

RELAYED_BPS = 800_000
"""With sound, headers and TURN's own it stays below 1 Mbit/s on the relay."""
COARSEST_VP8 = 63
"""The quantizer's end; aiortc stops at 56."""


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


class _Bounded:
    """An encoder of aiortc that makes small pictures while `relayed` is set, and adjusts its codec before it is opened.

    Whoever sets `relayed` gets a new codec, hence a key frame, with the next picture.
    """

    codec: Any
    _codec: Any = None
    _relayed = False

    @property
    def relayed(self) -> bool:
        return self._relayed

    @relayed.setter
    def relayed(self, relayed: bool) -> None:
        if relayed != self._relayed:
            self._relayed = relayed
            self.codec = None

    @property
    def target_bitrate(self) -> int:
        bitrate: int = super().target_bitrate  # type: ignore[misc]  # of the encoder that comes after this class
        return min(bitrate, RELAYED_BPS) if self._relayed else bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        super(_Bounded, type(self)).target_bitrate.fset(self, bitrate)  # type: ignore[misc]


class _Vp8(_Bounded, vpx.Vp8Encoder):
    """Codes every picture with the probabilities of the standard instead of those that the picture before left behind.

    Costs 0.3 % more bytes. After a lost picture the following ones are a little damaged (33 dB on a moving face at
    1.5 Mbit/s) instead of rubbish (17 dB), so that a viewer need not freeze until the next key frame.

    Relayed, a key frame may have three times the bytes of other pictures, may be as coarse as it must be for that, and
    the next pictures may not catch up at once: of a noisy picture of 640 pixels it has 9 instead of 62 kB.
    """

    @property
    def codec(self) -> Any:
        if self._codec is not None and not self._codec.is_open:
            self._codec.options.setdefault("error-resilient", "default")
            if self._relayed:
                self._codec.qmax = COARSEST_VP8
                self._codec.options |= {"max-intra-rate": "300", "bufsize": str(self.target_bitrate // 10)}
        return self._codec

    @codec.setter
    def codec(self, codec: Any) -> None:
        self._codec = codec


class _H264(_Bounded, h264.H264Encoder):
    """Relayed, every picture fits into a tenth of a second of the bit rate: key frames of 9 instead of 55 kB."""

    @property
    def codec(self) -> Any:
        if self._relayed and self._codec is not None and not self._codec.is_open:
            bounds = {"maxrate": str(self.target_bitrate), "bufsize": str(self.target_bitrate // 10)}
            self._codec.options = {**self._codec.options, **bounds}
        return self._codec

    @codec.setter
    def codec(self, codec: Any) -> None:
        self._codec = codec


def bound_when_relayed(sender: RTCRtpSender, relayed: Callable[[], bool]) -> None:
    """Let `sender` make small pictures for as long as `relayed` says that they go through a TURN server.

    coturn drops what does not fit into 32 kB that wait for a viewer on TCP, which a key frame of a textured picture
    does not; what is lost brings another key frame. Raises RuntimeError when aiortc has changed.
    """
    name = "_RTCRtpSender__encoder"
    if not hasattr(sender, name):
        raise RuntimeError("aiortc's sender has no encoder any more: adapt peer_remote/encoders.py to it.")
    for kind, encoder_class in (("Vp8Encoder", _Vp8), ("H264Encoder", _H264)):
        getattr(codecs, kind)
        setattr(codecs, kind, encoder_class)
    next_encoded_frame = sender._next_encoded_frame

    async def bounded(codec: RTCRtpCodecParameters) -> Any:
        encoder = getattr(sender, name)
        if encoder is None:
            encoder = codecs.get_encoder(codec)
            setattr(sender, name, encoder)
        if isinstance(encoder, _Bounded):
            encoder.relayed = relayed()
        return await next_encoded_frame(codec)

    setattr(sender, "_next_encoded_frame", bounded)  # noqa: B010


def bear_lost_pictures() -> None:
    """Make every VP8 encoder from now on one whose pictures can be decoded when one before them was lost."""
    getattr(codecs, "Vp8Encoder")  # noqa: B009 - loud when aiortc makes its encoders elsewhere
    setattr(codecs, "Vp8Encoder", _Vp8)  # noqa: B010


def prefer(transceiver: RTCRtpTransceiver, codec: VideoCodec) -> None:
    """Put `codec` first in the answer, whatever order the viewer offers; call it before setRemoteDescription."""
    wanted = f"video/{codec}"
    offered = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(sorted(offered, key=lambda capability: capability.mimeType.lower() != wanted))
