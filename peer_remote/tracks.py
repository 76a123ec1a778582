"""The two RTP tracks of one viewer. They only pull from the performance and share one time origin."""

from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from models.interfaces import BEAT_SAMPLES, BEATS_PER_SECOND, SPEECH_RATE_HZ, Samples
from peer_remote.clock import MediaClock
from peer_remote.performance import BeatQueue, Performance

FRAME_SAMPLES = 960
"""20 ms, the frame that aiortc's Opus encoder takes as it is; a longer one would be split under one timestamp."""

VIDEO_CLOCK_HZ = 90_000
AUDIO_TIME_BASE = Fraction(1, SPEECH_RATE_HZ)
VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK_HZ)


class Seat:
    """One viewer's place at the performance: both tracks start with the same beat, which is their media time 0.

    The tracks subscribe at the first pull of either, because aiortc pulls only once the connection is up.
    """

    def __init__(self, performance: Performance, clock: MediaClock) -> None:
        self._performance = performance
        self.clock = clock
        self.audio_beats = BeatQueue()
        self.video_beats = BeatQueue()
        self._taken = False
        self._origin: int | None = None

    def take(self) -> None:
        """Begin to receive beats."""
        if not self._taken:
            self._taken = True
            self._performance.subscribe(self.audio_beats)
            self._performance.subscribe(self.video_beats)

    def leave(self) -> None:
        """Receive no more beats, also if the tracks are pulled again."""
        self._taken = True
        self._performance.unsubscribe(self.audio_beats)
        self._performance.unsubscribe(self.video_beats)

    def media_beats(self, position: int) -> int:
        """Beats from this viewer's media time 0 to `position`."""
        if self._origin is None:
            self._origin = position
        return position - self._origin


class SpeechTrack(MediaStreamTrack):
    """Sound: two 20 ms frames per beat, the second 20 ms after the first."""

    kind = "audio"

    def __init__(self, seat: Seat) -> None:
        super().__init__()
        self._seat = seat
        self._second_half: tuple[int, int, Samples] | None = None
        self.media_s: float | None = None
        """The performer's time of the frame that was handed out last."""

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._second_half is None:
            self._seat.take()
            position, beat = await self._seat.audio_beats.get()
            pts = self._seat.media_beats(position) * BEAT_SAMPLES
            due_samples = position * BEAT_SAMPLES + FRAME_SAMPLES
            self._second_half = (due_samples, pts + FRAME_SAMPLES, beat.samples[FRAME_SAMPLES:])
            self.media_s = self._seat.clock.media_s(position * BEAT_SAMPLES)
            return _audio_frame(beat.samples[:FRAME_SAMPLES], pts)
        due_samples, pts, samples = self._second_half
        self._second_half = None
        await self._seat.clock.wait_for(due_samples)
        self.media_s = self._seat.clock.media_s(due_samples)
        return _audio_frame(samples, pts)


class FaceTrack(MediaStreamTrack):
    """Picture: one frame per beat."""

    kind = "video"

    def __init__(self, seat: Seat) -> None:
        super().__init__()
        self._seat = seat
        self.media_s: float | None = None
        """The performer's time of the frame that was handed out last."""

    async def recv(self) -> VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._seat.take()
        position, beat = await self._seat.video_beats.get()
        self.media_s = self._seat.clock.media_s(position * BEAT_SAMPLES)
        frame = VideoFrame.from_ndarray(beat.picture.i420, format="yuv420p")
        frame.pts = self._seat.media_beats(position) * (VIDEO_CLOCK_HZ // BEATS_PER_SECOND)
        frame.time_base = VIDEO_TIME_BASE
        return frame


def _audio_frame(samples: Samples, pts: int) -> AudioFrame:
    pcm = (np.clip(samples, -1.0, 1.0) * 32_767).astype(np.int16)
    frame = AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate = SPEECH_RATE_HZ
    frame.pts = pts
    frame.time_base = AUDIO_TIME_BASE
    return frame
