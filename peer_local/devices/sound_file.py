"""A sound file as if somebody were speaking it now: for tests and demonstrations."""

import logging
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler

from models.interfaces import Samples
from peer_local.devices.paced import CLOSE_S, Pace
from peer_local.errors import DeviceError
from peer_local.interfaces import OpenSoundInput, SoundListener

BLOCK_MS = 20

log = logging.getLogger(__name__)


def decoded(file: Path, rate_hz: int) -> Generator[Samples, None, None]:
    """The file's sound, mono at `rate_hz`, in pieces as long as the file has them; never the whole in memory.

    Raises DeviceError for a file that cannot be opened or holds no sound; what is damaged later ends it.
    """
    try:
        container = av.open(str(file))
    except FileNotFoundError:
        raise DeviceError(f"There is no file {file}; name a WAV file that is there.") from None
    except PermissionError:
        raise DeviceError(f"{file} may not be read; allow it or name another WAV file.") from None
    except (av.FFmpegError, OSError):
        raise DeviceError(f"{file} holds no sound; name a WAV file.") from None
    with container:
        if not container.streams.audio:
            raise DeviceError(f"{file} holds no sound; name a WAV file.")
        resampler = AudioResampler(format="flt", layout="mono", rate=rate_hz)
        yield np.zeros(0, np.float32)  # opened: from here on only the sound itself can be damaged
        try:
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    yield _samples(piece)
            for piece in resampler.resample(None):
                yield _samples(piece)
        except av.FFmpegError:
            log.warning("sound_file_damaged", extra={"file": file.name}, exc_info=True)


def _samples(frame: av.AudioFrame) -> Samples:
    return np.ascontiguousarray(frame.to_ndarray().reshape(-1), dtype=np.float32)


class SoundFile:
    """Pushes the file in blocks of 20 ms in real time, then silence for as long as it is open.

    `speed` over 1 plays faster: the times given keep the pace of the pushes. A late block of up to 0.1 s is made
    up; after a longer stall the rest comes later, nothing is left out. `wait` sleeps and returns true when it is time
    to stop; tests give their own, and a clock.
    """

    def __init__(
        self,
        file: Path,
        listener: SoundListener,
        rate_hz: int,
        *,
        speed: float = 1.0,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self.name = file.name
        self._sound = decoded(file, rate_hz)
        next(self._sound)
        self._listener = listener
        self._block_samples = rate_hz * BLOCK_MS // 1_000
        self._block_s = BLOCK_MS / 1_000 / speed
        self._now = now
        self._stop = threading.Event()
        self._done = threading.Event()
        self._wait = wait or self._stop.wait
        self._pace = Pace(self._block_s, now() + self._block_s)
        self.failed_pushes = 0
        self._thread = threading.Thread(target=self._run, name="sound-file", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stop.is_set()

    @property
    def done(self) -> bool:
        """Whether the whole file was pushed; silence follows."""
        return self._done.is_set()

    def wait_done(self, timeout_s: float) -> bool:
        return self._done.wait(timeout_s)

    def close(self) -> None:
        """Stop pushing, within CLOSE_S."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        with_sound = self._blocks()
        try:
            while not self._wait(self._pace.wait_s(self._now())) and not self._stop.is_set():
                # A block can be pushed when its last sample is recorded, that is one block after its first.
                self._push(next(with_sound), self._pace.take(self._now()) - self._block_s)
        finally:
            self._sound.close()

    def _push(self, block: Samples, at_s: float) -> None:
        try:
            self._listener.push(block, at_s)
        except Exception:
            self.failed_pushes += 1
            if self.failed_pushes == 1:
                log.exception("sound_listener_failed", extra={"device": self.name})

    def _blocks(self) -> Generator[Samples, None, None]:
        """The file in whole blocks, then silence without end."""
        rest: Samples = np.zeros(0, np.float32)
        for piece in self._sound:
            rest = np.concatenate((rest, piece))
            while len(rest) >= self._block_samples:
                yield rest[: self._block_samples]
                rest = rest[self._block_samples :]
        yield np.pad(rest, (0, self._block_samples - len(rest)))
        self._done.set()
        while True:
            yield np.zeros(self._block_samples, np.float32)


def open_file(file: Path, *, speed: float = 1.0) -> OpenSoundInput:
    """An opener that plays `file` from its start each time. Opening raises DeviceError."""
    return lambda listener, rate_hz: SoundFile(file, listener, rate_hz, speed=speed)
