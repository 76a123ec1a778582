"""Packets to one unbroken line of sound: decoded, patched where one is missing, lengthened or shortened in silence."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.interfaces import RtpPacket
from peer_local.playback.concealment import Concealer
from peer_local.playback.opus import CODEC_DELAY_SAMPLES, PACKET_SAMPLES
from peer_local.playback.resampling import FractionalReader
from peer_local.playback.timeline import Stretch

QUIET = 0.002
"""Peak (-54 dB) under which sound counts as silence: idle Opus is under 1e-4, the pauses of a voice under this."""
HELD_SAMPLES = 240
"""A line that waits for a late packet goes on in steps of 5 ms."""
_FADE_SAMPLES = 120
_TAIL_SAMPLES = 240
_MOST_REMOVED = PACKET_SAMPLES - 3 * _FADE_SAMPLES


class Decoder(Protocol):
    def decode(self, payload: bytes) -> Samples | None:
        """The sound of one packet, float32 [PACKET_SAMPLES]; None when it is broken."""
        ...


class SpeechLine:
    """Grows by one packet at a time and is read through `reader`. One thread at a time."""

    def __init__(self, make_decoder: Callable[[], Decoder], decoded: Callable[[Stretch], None]) -> None:
        """`decoded` is told which timestamps the line has."""
        self.reader = FractionalReader(SPEECH_RATE_HZ)
        self.due: int | None = None
        """Timestamp of the packet that comes next; None while the line is not begun."""
        self.concealed_samples = 0
        self.silent_concealed_samples = 0
        self.inserted_samples = 0
        self.removed_samples = 0
        self.broken = 0
        self._make_decoder = make_decoder
        self._decoder = make_decoder()
        self._concealer = Concealer()
        self._decoded = decoded
        self._skip = 0
        self._fade_in = False

    @property
    def faded_out(self) -> bool:
        """Whether what was left to read after `stop` has been heard; a reader between two samples keeps a few back."""
        return self.due is None and self.reader.waiting_samples <= _TAIL_SAMPLES

    def stop(self, *, other_sender: bool = False) -> None:
        """Break off: what is left to read fades out."""
        if self.due is not None:
            tail = self._concealer.lost(_TAIL_SAMPLES) * np.linspace(1, 0, _TAIL_SAMPLES, dtype=np.float32)
            self._append(np.concatenate((tail, np.zeros(_TAIL_SAMPLES, np.float32))), self.due, 0.0)
        self.due = None
        self._concealer.reset()
        if other_sender:
            self._decoder = self._make_decoder()

    def begin(self, due: int, skip: int) -> None:
        """Begin with the packet of timestamp `due`, `skip` samples into it, fading in."""
        self.reader.skip(self.reader.waiting_samples)
        late = skip > PACKET_SAMPLES - _FADE_SAMPLES
        self.due = due + PACKET_SAMPLES if late else due
        self._skip = 0 if late else skip
        self._fade_in = True

    def hold(self) -> int:
        """Go on without a packet and without getting on, so that a late one is still in time. Returns the samples."""
        assert self.due is not None
        self._conceal(HELD_SAMPLES, self.due, 0.0)
        self.inserted_samples += HELD_SAMPLES
        return HELD_SAMPLES

    def grow(self, packet: RtpPacket | None, surplus: int, *, unheard: bool = False) -> int:
        """Append the packet that is due, or what replaces it.

        Where that is silence, or `unheard` anyhow, up to `surplus` samples are left out, or added when it is negative.
        Returns how many were.
        """
        assert self.due is not None
        timestamp = self.due if packet is None else packet.timestamp
        self.due = timestamp + PACKET_SAMPLES
        sound = None if packet is None else self._decoder.decode(packet.payload)
        if sound is None:
            if packet is not None:
                self.broken += 1
            silent = self._concealer.faded
            sound = self._concealer.lost()
            self.concealed_samples += PACKET_SAMPLES
            self.silent_concealed_samples += PACKET_SAMPLES * silent
        else:
            sound = self._concealer.heard(sound)
        if self._fade_in:
            return self._append_first(sound, timestamp)
        if surplus and (unheard or float(np.max(np.abs(sound))) < QUIET):
            if surplus > 0:
                return self._append_shortened(sound, timestamp, min(surplus, _MOST_REMOVED))
            return -self._append_lengthened(sound, timestamp, min(-surplus, PACKET_SAMPLES))
        self._append(sound, timestamp, 1.0)
        return 0

    def _conceal(self, count: int, timestamp: int, slope: float) -> None:
        silent = self._concealer.faded
        self._append(self._concealer.lost(count), timestamp, slope)
        self.concealed_samples += count
        self.silent_concealed_samples += count * silent

    def _append(self, sound: Samples, timestamp: int, slope: float) -> None:
        self._decoded(Stretch(self.reader.end, timestamp - CODEC_DELAY_SAMPLES, slope))
        self.reader.push(sound)

    def _append_first(self, sound: Samples, timestamp: int) -> int:
        rest = sound[self._skip :].copy()
        rise = np.linspace(0, 1, _FADE_SAMPLES, endpoint=False, dtype=np.float32)[: len(rest)]
        rest[: len(rise)] *= rise
        self._append(rest, timestamp + self._skip, 1.0)
        self._fade_in = False
        self._skip = 0
        return 0

    def _append_shortened(self, sound: Samples, timestamp: int, count: int) -> int:
        before, after = _FADE_SAMPLES, 2 * _FADE_SAMPLES
        turn = np.linspace(0, 1, _FADE_SAMPLES, endpoint=False, dtype=np.float32)
        joined = sound[before:after] * (1 - turn) + sound[before + count : after + count] * turn
        self._append(np.concatenate((sound[:before], joined)), timestamp, 1.0)
        self._append(sound[after + count :], timestamp + after + count, 1.0)
        self.removed_samples += count
        return count

    def _append_lengthened(self, sound: Samples, timestamp: int, count: int) -> int:
        half = PACKET_SAMPLES // 2
        fall = np.linspace(1, 0, _FADE_SAMPLES, dtype=np.float32)
        first, second = sound[:half].copy(), sound[half:].copy()
        first[-_FADE_SAMPLES:] *= fall
        second[:_FADE_SAMPLES] *= fall[::-1]
        self._append(first, timestamp, 1.0)
        self._append(np.zeros(count, np.float32), timestamp + half, 0.0)
        self._append(second, timestamp + half, 1.0)
        self.inserted_samples += count
        return count
