"""A sound output without a device: pulls in real time, so that the performance goes on on a machine without sound."""

import logging
import threading
import time
from collections.abc import Callable

from models.interfaces import SPEECH_RATE_HZ
from peer_local.interfaces import OpenSoundOutput, SoundSource

BLOCK_MS = 20
STALL_S = 0.1
CLOSE_S = 2.0

log = logging.getLogger(__name__)


class Pace:
    """When the next block of `block_s` is due. After a stall it goes on from now: what was missed is not made up."""

    def __init__(self, block_s: float, start_s: float) -> None:
        self._block_s = block_s
        self._due_s = start_s
        self.rebases = 0
        """Stalls of over STALL_S, after each of which time was skipped."""

    def wait_s(self, now_s: float) -> float:
        """Time until the next block is due; 0 when it is late."""
        return max(0.0, self._due_s - now_s)

    def take(self, now_s: float) -> float:
        """When the block that is due begins; counts it as done."""
        if now_s - self._due_s > STALL_S:
            self._due_s = now_s
            self.rebases += 1
        at_s = self._due_s
        self._due_s += self._block_s
        return at_s


class PacedOutput:
    """Pulls 20 ms every 20 ms on its own thread. A late block of up to STALL_S is made up, a longer stall is not.

    `wait` sleeps for so many seconds and returns true when it is time to stop; tests give their own, and a clock.
    """

    def __init__(
        self,
        source: SoundSource,
        *,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._source = source
        self._now = now
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._pace = Pace(BLOCK_MS / 1_000, now())
        self.failed_pulls = 0
        self._thread = threading.Thread(target=self._run, name="paced-output", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return "no device"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stop.is_set()

    @property
    def rebases(self) -> int:
        """Stalls after which time was skipped."""
        return self._pace.rebases

    def close(self) -> None:
        """Stop pulling, within CLOSE_S."""
        self._stop.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._wait(self._pace.wait_s(self._now())) and not self._stop.is_set():
            at_s = self._pace.take(self._now())
            try:
                self._source.pull(SPEECH_RATE_HZ * BLOCK_MS // 1_000, at_s)
            except Exception:
                self.failed_pulls += 1
                if self.failed_pulls == 1:
                    log.exception("sound_source_failed", extra={"device": self.name})


def open_paced() -> OpenSoundOutput:
    """An opener that never fails."""
    return PacedOutput
