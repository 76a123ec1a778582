"""Records what goes on air: one MP4 file with sound and pictures in time, readable even after a crash.

                   tap() ─┐
                          ├─► bounded queue ─► thread `recorder` ─► libx264, AAC ─► fragments of 2 s in the file
show() every tick ────────┘
"""

import contextlib
import errno
import itertools
import logging
import threading
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Image, Samples
from peer_local.devices.recording_time import RecordingTime
from peer_local.errors import DeviceError

logger = logging.getLogger(__name__)

_VIDEO_TICKS = 90_000
_FRAGMENT_S = 2
_MOST_PICTURES = 15
"""Half a second: more waiting pictures mean that the machine is too slow, and are dropped."""
_MOST_SOUNDS = 500
"""10 s of blocks of 20 ms."""
_CLOSE_TIMEOUT_S = 10.0
_CONTAINER = {"movflags": "frag_keyframe+delay_moov+hybrid_fragmented", "flush_packets": "1"}
"""Fragments while it runs, an ordinary file once it is closed. The index waits for the first sound, because only then
is the encoder's delay of 21 ms known to it."""
_X264 = {"preset": "superfast", "crf": "23", "tune": "zerolatency"}
"""Of one core, for a talking face at 1280x720 and 30 per second: ultrafast 12 % and twice the file, superfast 17 %,
veryfast 21 %."""
_BT601, _LIMITED_RANGE = 6, 1
_SILENCE_STEP = SPEECH_RATE_HZ


class Recorder:
    """A PictureOutput, and with `tap` what the mixer gives its sound to. Neither ever waits for the disk.

    Sound is the file's master of time: pictures are placed by when they were seen against the sound that was heard
    then, so that lips stay right however long it runs. When the machine is too slow pictures are dropped first
    (`dropped_pictures`), then sound (`dropped_sounds`), for which silence is written. When the file cannot be written
    any more, `failed` says what to do, `show` raises it, and what was written until then stays readable.
    """

    def __init__(self, file: Path, width_px: int, height_px: int, fps: int) -> None:
        """Begin `file`, or when it exists the next free one: call.mp4, call-2.mp4. Raises DeviceError."""
        if file.is_dir():
            raise DeviceError(f"{file} is a folder: name a file in it, such as {file / 'call.mp4'}.")
        if file.suffix.lower() != ".mp4":
            raise DeviceError(f"{file} is not named like an MP4 file: call it {file.with_suffix('.mp4').name}.")
        try:
            self.file = _begin(file)
            self._container = av.open(str(self.file), "w", format="mp4", options=dict(_CONTAINER))
        except (OSError, av.error.FFmpegError) as error:
            raise DeviceError(_sentence(file, error)) from error
        self._video = self._video_stream(width_px, height_px, fps)
        self._audio = self._container.add_stream("aac", rate=SPEECH_RATE_HZ, layout="mono", bit_rate=128_000)
        self._time = RecordingTime(SPEECH_RATE_HZ)
        self._last_tick = -1
        self._changed = threading.Condition()
        self._queue: deque[tuple[bool, Any, float]] = deque()
        self._pictures = self._sounds = 0
        self._closing = False
        self.failed: DeviceError | None = None
        self.dropped_pictures = 0
        self.dropped_sounds = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def _video_stream(self, width_px: int, height_px: int, fps: int) -> Any:
        stream: Any = self._container.add_stream("libx264", rate=fps, options=dict(_X264))
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _VIDEO_TICKS)
        stream.codec_context.gop_size = fps * _FRAGMENT_S
        # One thread: the double's own work comes first.
        stream.codec_context.thread_count = 1
        stream.codec_context.colorspace = _BT601
        stream.codec_context.color_range = _LIMITED_RANGE
        return stream

    @property
    def name(self) -> str:
        return f"recorder {self.file.name}"

    @property
    def waiting(self) -> int:
        """Sounds and pictures that are not yet written."""
        return len(self._queue)

    def tap(self, samples: Samples, at_s: float) -> None:
        """Record `samples` at SPEECH_RATE_HZ, the first of them heard at `at_s`."""
        with self._changed:
            if self._closing or self.failed is not None:
                return
            if self._sounds >= _MOST_SOUNDS:
                self.dropped_sounds += 1
                return
            self._sounds += 1
            self._queue.append((False, samples, at_s))
            self._changed.notify()

    def show(self, image: Image, at_s: float) -> None:
        """Record `image`, I420 of the recorder's size, seen from `at_s` on. Raises DeviceError after a failure."""
        with self._changed:
            if self.failed is not None:
                raise self.failed
            if self._closing:
                return
            if self._pictures >= _MOST_PICTURES:
                self.dropped_pictures += 1
                return
            self._pictures += 1
            self._queue.append((True, image, at_s))
            self._changed.notify()

    def close(self) -> None:
        """Write what is queued and finish the file; closing twice does nothing."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            logger.error("recorder_did_not_stop")

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                is_picture, data, at_s = item
                if is_picture:
                    self._write_picture(data, at_s)
                else:
                    self._write_sound(data, at_s)
            for stream in (self._video, self._audio):
                self._container.mux(stream.encode(None))
        except Exception as error:
            with self._changed:
                self.failed = DeviceError(_sentence(self.file, error))
                self._queue.clear()
            logger.error("recorder_failed", extra={"reason": str(self.failed)})
        try:
            self._container.close()
        except Exception as error:
            logger.warning("recorder_not_finished", extra={"error": type(error).__name__})
        with contextlib.suppress(OSError):
            if not self.file.stat().st_size:
                self.file.unlink()  # nothing went on air

    def _next(self) -> tuple[bool, Any, float] | None:
        """What to write next; None when all is written and the recorder closes."""
        with self._changed:
            while not self._queue:
                if self._closing:
                    return None
                self._changed.wait()
            item = self._queue.popleft()
            if item[0]:
                self._pictures -= 1
            else:
                self._sounds -= 1
            return item

    def _write_picture(self, image: Image, at_s: float) -> None:
        tick = round(self._time.picture_s(at_s) * _VIDEO_TICKS)
        if tick <= self._last_tick:
            self.dropped_pictures += 1
            return
        self._last_tick = tick
        frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
        frame.pts, frame.time_base = tick, Fraction(1, _VIDEO_TICKS)
        self._container.mux(self._video.encode(frame))

    def _write_sound(self, samples: Samples, at_s: float) -> None:
        written = self._time.position_samples
        missing, skipped = self._time.sound(len(samples), at_s)
        for start in range(0, missing, _SILENCE_STEP):
            self._encode(np.zeros(min(_SILENCE_STEP, missing - start), np.float32), written + start)
        self._encode(samples[skipped:], written + missing)

    def _encode(self, samples: Samples, position_samples: int) -> None:
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = SPEECH_RATE_HZ
        frame.pts, frame.time_base = position_samples, Fraction(1, SPEECH_RATE_HZ)
        self._container.mux(self._audio.encode(frame))


def _begin(file: Path) -> Path:
    """Make `file`, or with a number before its ending the first that does not exist: nothing is ever overwritten."""
    free = file
    for number in itertools.count(2):
        try:
            free.open("xb").close()
            break
        except FileExistsError:
            free = file.with_stem(f"{file.stem}-{number}")
    return free


def _sentence(file: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"The folder {file.parent} does not exist: make it or record to another one."
    if isinstance(error, PermissionError):
        return f"{file} may not be written: record to another folder."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: make room and start {file.name} again."
    return f"{file} cannot be recorded ({error}): record to another folder."
