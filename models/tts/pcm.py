"""Raw sound off a wire: 16-bit PCM, with or without a WAV header, cut anywhere, made into samples of our rate.

Fish Speech labels its stream audio/wav and sends no header; a patched or a later server does, and without streaming it
sends a whole WAV file. Both are taken.
"""

import struct
from typing import Final

import numpy as np
import soxr

from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Samples

FISH_RATE_HZ: Final = 44_100
_MOST_HEADER_BYTES: Final = 4_096
_PCM, _EXTENSIBLE = 1, 0xFFFE


class StreamResampler:
    """Brings sound that comes in parts to SPEECH_RATE_HZ; the result is that of the whole at once. One per clause."""

    def __init__(self, rate_hz: int) -> None:
        self._resampler: soxr.ResampleStream | None = None
        if rate_hz != SPEECH_RATE_HZ:
            self._resampler = soxr.ResampleStream(rate_hz, SPEECH_RATE_HZ, 1, dtype="float32", quality="HQ")

    def push(self, samples: Samples, *, last: bool = False) -> Samples:
        """What is certain after `samples`; with the `last` ones the rest."""
        if self._resampler is None:
            return samples
        return np.asarray(self._resampler.resample_chunk(samples, last=last), np.float32)


class PcmReader:
    """Turns bytes into float32 samples at SPEECH_RATE_HZ; remembers what a cut left over. One per clause.

    The resampler keeps its state from part to part and its pass band reaches 20 kHz, so that the result is that of the
    whole clause at once.
    """

    def __init__(self, rate_hz: int = FISH_RATE_HZ) -> None:
        self._rate_hz = rate_hz
        self._head: bytes | None = b""
        """What may be the beginning of a header; None once the header is behind us."""
        self._left: int | None = None
        """Bytes of sound that the header promises; after them may come tags. None: all that comes is sound."""
        self._odd = b""
        self._resampler: StreamResampler | None = None

    def read(self, data: bytes) -> Samples:
        """The samples that are complete with `data`. Raises EngineFailed for a header of sound that is not ours."""
        if self._head is not None:
            self._head += data
            sound = self._without_header(self._head)
            if sound is None:
                return np.zeros(0, np.float32)
            self._head, data = None, sound
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        return self._resampled(data[:whole], last=False)

    def finish(self) -> Samples:
        """No data come any more: the rest of the sound. Half a sample at the end is dropped."""
        data = self._head or b""
        self._head = None
        if data.startswith(b"RIFF"):
            data = b""
        return self._resampled(data[: len(data) & ~1], last=True)

    def _without_header(self, head: bytes) -> bytes | None:
        """What follows the header, or None while it is not complete."""
        if not head.startswith(b"RIFF"[: len(head)]):
            return head
        if len(head) < 12:
            return None
        if head[8:12] != b"WAVE":
            return head
        position = 12
        while len(head) >= position + 8:
            name, size = struct.unpack_from("<4sI", head, position)
            if name == b"data":
                # Streams promise nothing (0) or everything (the largest number).
                self._left = None if size in (0, 0xFFFFFFFF) or size >= 0x7FFF0000 else size
                return head[position + 8 :]
            if name == b"fmt " and len(head) >= position + 24:
                self._take_format(*struct.unpack_from("<HHIIHH", head, position + 8))
            position += 8 + size + size % 2
        if len(head) > _MOST_HEADER_BYTES:
            raise EngineFailed("The voice server sent a WAV header without sound.")
        return None

    def _take_format(self, code: int, channels: int, rate_hz: int, _rate: int, _block: int, bits: int) -> None:
        if code not in (_PCM, _EXTENSIBLE) or channels != 1 or bits != 16 or not 8_000 <= rate_hz <= 192_000:
            raise EngineFailed(
                f"The voice server sent {channels} channels of {bits} bits; mono 16-bit PCM is expected."
            )
        self._rate_hz = rate_hz

    def _resampled(self, data: bytes, *, last: bool) -> Samples:
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768)
        if self._resampler is None:
            if last and not len(samples):
                return samples
            self._resampler = StreamResampler(self._rate_hz)
        return self._resampler.push(samples, last=last)
