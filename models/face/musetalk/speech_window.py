"""The sound of one answer in the 30 s that Whisper hears.

The window grows: an answer begins at its start and what is said is appended, so that a sound keeps its place, and with
it its position embedding, while pictures are made of it. A window that slides would give every sound a new place at
each step, and the lips would shimmer. Only now and then is the window moved: at a pause once the pictures are 20 s into
it, or, if nobody pauses, when it is full; then the last 8 s stay as context.

The level of the sound is left alone. The synthesizers set it (models/tts/clause.py: -20 dB), so the same sound gives
the same features in every answer, which a gain that follows the sound would spoil.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.face.musetalk.mel import FFT_SAMPLES, HOP_SAMPLES, loudest
from models.face.musetalk.timing import (
    FEATURE_RATE_HZ,
    FRAME_SAMPLES,
    LEFT_ROWS,
    LOOKAHEAD_SAMPLES,
    ROW_SAMPLES,
    WINDOW_SAMPLES,
    first_row,
)
from models.interfaces import Samples

SPEECH_PEAK: Final = 1.2
"""log10 power of the loudest mel band of speech at -20 dB: 1.0 to 1.3 in six clauses of two of Kokoro's voices. Taken
from the start, because silence alone is 11 decades lower and would look different before the first word than after."""

_REST_FRAMES: Final = 20 * 25
"""From here on a pause moves the window."""
_FULL_SAMPLES: Final = 28 * FEATURE_RATE_HZ
_KEPT_FRAMES: Final = 8 * 25
_CONTEXT_FRAMES: Final = 2
"""What a picture sees of the sound before it."""
_AHEAD_FRAMES: Final = 25
"""A full window is moved when so few pictures are left in it, so that the last of them still know what comes."""

_HELD_BACK_SAMPLES: Final = 31
_BLOCK_SAMPLES: Final = 160
_BLOCKS_PER_FRAME: Final = FRAME_SAMPLES // _BLOCK_SAMPLES
_BLOCKS_BEFORE: Final = 8
_BLOCKS_AFTER: Final = 13
"""80 ms before the picture's start to 130 ms after it."""
_LOUD_RMS: Final = 10 ** (-45 / 20)
"""25 dB below speech: breath and the noise of a cloned voice are softer."""
_LOUD_BLOCKS: Final = 3
"""30 ms; a click is shorter."""


class SpeechWindow:
    """One answer's sound at 16 kHz, float32, and which pictures can be made of it. For one thread at a time.

    Pictures are counted from the start of the answer. `samples` [WINDOW_SAMPLES] holds `filled` samples, then zeros;
    it is written in place, and moved when `revision` grows. `peak` is what the window before it ended with, if
    the voice is the same (see `peak_kept`).
    """

    def __init__(self, *, peak: float = SPEECH_PEAK) -> None:
        self.samples: Samples = np.zeros(WINDOW_SAMPLES, np.float32)
        self.filled = 0
        self.revision = 0
        self.peak = peak
        """log10 power from which the encoder counts its eight decades down; raised by what is heard, so that silence
        alone never moves it."""
        self._start_frame = 0
        self._drawn_frames = 0
        self._waiting: deque[Samples] = deque()
        self.finished = False
        """Whether the end of the answer is known."""
        self._loud_blocks = bytearray()
        self._next_mel = 0

    def append(self, samples: Samples) -> None:
        """Add sound of any length; what has no place yet waits until pictures are drawn. ValueError after `finish`."""
        if self.finished:
            raise ValueError("The answer is finished; begin a new window for more sound.")
        if len(samples):
            self._waiting.append(np.array(samples, np.float32))
            self._settle()

    def finish(self) -> None:
        """No sound comes any more: the rest can be drawn, with silence after it."""
        self.finished = True
        self._settle()

    def drawn(self, frames: int) -> None:
        """Pictures [0, frames) are made; only their sound may leave the window."""
        self._drawn_frames = max(self._drawn_frames, frames)
        self._settle()

    @property
    def ready_frames(self) -> int:
        """Pictures [0, n) can be made: their sound and the lookahead are in the window.

        Once all sound is in it, these are all pictures, also one whose 40 ms are only begun.
        """
        if self.complete:
            return -(-self._end_samples // FRAME_SAMPLES)
        return max(0, (self._end_samples - LOOKAHEAD_SAMPLES) // FRAME_SAMPLES + 1)

    @property
    def begun_frames(self) -> int:
        """Pictures [0, n) whose own 40 ms have come: in need they can be made of what is there.

        The last 2 ms of what has come are still in the Downsampler.
        """
        return max(self.ready_frames, (self._end_samples + _HELD_BACK_SAMPLES) // FRAME_SAMPLES)

    @property
    def complete(self) -> bool:
        """Whether all sound is in the window, so that `ready_frames` is final."""
        return self.finished and not self._waiting

    @property
    def valid_rows(self) -> int:
        """Rows [0, n) of the window's features are of sound; the others count as zero."""
        return self.filled // ROW_SAMPLES

    def rows_before(self, frame: int) -> int:
        """Rows [0, n) are of sound that comes before picture `frame`; none if that has left the window."""
        return max(0, min(self.valid_rows, first_row(frame - self._start_frame) + LEFT_ROWS))

    @property
    def peak_kept(self) -> float:
        """The peak for the next answer of this voice: half of what it was raised by, so that a bang is forgotten."""
        return (self.peak + SPEECH_PEAK) / 2

    def local(self, frame: int) -> int:
        """The place of picture `frame` in the window; it may lie after the sound. ValueError if it was dropped."""
        if frame < self._start_frame:
            raise ValueError(f"Picture {frame} has left the window, which begins at {self._start_frame}.")
        return frame - self._start_frame

    def first_row(self, frame: int) -> int:
        """The first of the ten feature rows of picture `frame`.

        Of a picture that was dropped, such as one that an interruption goes back to, rows are negative: no sound.
        """
        return first_row(frame - self._start_frame)

    def loud(self, frame: int) -> bool:
        """Whether there is sound around picture `frame`, from 80 ms before its start to 130 ms after.

        A fixed rule: at least 30 ms of it above -45 dB. Pictures that left the window keep their answer; one that is
        begun and not ready is judged by what is there. ValueError for a picture that is not begun.
        """
        if not 0 <= frame < self.begun_frames:
            raise ValueError(f"Picture {frame} is not known yet: {self.begun_frames} are begun.")
        block = frame * _BLOCKS_PER_FRAME
        return self._loud_blocks.count(1, max(0, block - _BLOCKS_BEFORE), block + _BLOCKS_AFTER) >= _LOUD_BLOCKS

    @property
    def _end_samples(self) -> int:
        """Samples of the answer that are or were in the window."""
        return self._start_frame * FRAME_SAMPLES + self.filled

    def _settle(self) -> None:
        self._fill()
        start_frame = self._wanted_start()
        if start_frame > self._start_frame:
            self._move(start_frame)
            self._fill()

    def _fill(self) -> None:
        while self._waiting and self.filled < _FULL_SAMPLES:
            piece = self._waiting.popleft()
            room = _FULL_SAMPLES - self.filled
            if len(piece) > room:
                self._waiting.appendleft(piece[room:])
                piece = piece[:room]
            self.samples[self.filled : self.filled + len(piece)] = piece
            self.filled += len(piece)
        self._note_blocks()
        self._note_peak()

    def _wanted_start(self) -> int:
        """The picture with which the window should begin."""
        drawn = min(self._drawn_frames, self.ready_frames)
        if self.complete or not drawn:
            return self._start_frame
        if drawn - self._start_frame >= _REST_FRAMES and not self.loud(drawn - 1):
            return drawn - _CONTEXT_FRAMES
        if self._waiting and self.ready_frames - drawn < _AHEAD_FRAMES:
            return drawn - _KEPT_FRAMES
        return self._start_frame

    def _move(self, start_frame: int) -> None:
        gone = (start_frame - self._start_frame) * FRAME_SAMPLES
        kept = self.filled - gone
        self.samples[:kept] = self.samples[gone : self.filled]
        self.samples[kept : self.filled] = 0
        self.filled = kept
        self._start_frame = start_frame
        self.revision += 1

    def _note_blocks(self) -> None:
        """Judge the blocks that are complete; at the end also one that is only begun."""
        known = len(self._loud_blocks)
        end = -(-self._end_samples // _BLOCK_SAMPLES) if self.complete else self._end_samples // _BLOCK_SAMPLES
        blocks = self._at(known * _BLOCK_SAMPLES, end * _BLOCK_SAMPLES).reshape(-1, _BLOCK_SAMPLES)
        loud = np.mean(np.square(blocks), axis=1) >= _LOUD_RMS**2
        self._loud_blocks.extend(loud.astype(np.uint8).tobytes())

    def _note_peak(self) -> None:
        """Raise `peak` by the mel frames that are complete; at the end also by those that hear silence after it.

        Mel frame j is centred on sample HOP_SAMPLES * j; the first two hear the beginning mirrored, as in torch.stft.
        """
        half = FFT_SAMPLES // 2
        end_samples = self._end_samples + (FFT_SAMPLES - 1 if self.complete else 0)
        end = (end_samples - half) // HOP_SAMPLES + 1
        if end <= self._next_mel:
            return
        first, last = self._next_mel * HOP_SAMPLES - half, (end - 1) * HOP_SAMPLES + half
        sound = self._at(max(first, 0), last)
        if first < 0:
            sound = np.pad(sound, (-first, 0), mode="reflect")
        self.peak = max(self.peak, loudest(sound))
        self._next_mel = end

    def _at(self, first: int, last: int) -> NDArray[np.float32]:
        """Samples [first, last) of the answer."""
        start = self._start_frame * FRAME_SAMPLES
        return self.samples[first - start : last - start]
