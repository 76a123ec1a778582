"""How well the engines are, for everybody in the room and for the metrics: names and codes, nothing that was said."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from models.chain.health import JobHealth, Note, Watched
from peer_remote.metrics import Metrics
from peer_remote.turn import Cast, Part, Turn
from signaling import protocol

RECOVERY_S: Final = 1.0
"""So long after a failure a sign of life of the same engine counts as one."""
_FIRST_WORK: Final[Mapping[Part, str]] = {"llm": "first_token", "tts": "first_sample", "face": "first_picture"}


class Vitals:
    """Knows for each job who does it. A chain tells by itself; of a single engine its turns tell.

    `names` are those of the settings; `changed` is called with each new report.
    """

    def __init__(
        self,
        cast: Cast,
        names: Mapping[Part, str],
        *,
        metrics: Metrics,
        changed: Callable[[protocol.Services], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engines: dict[Part, object] = {"llm": cast.llm, "tts": cast.tts, "face": cast.face}
        self._jobs = {part: JobHealth(names[part], "ok") for part in self._engines}
        self._failed_s: dict[Part, float] = {}
        self._metrics = metrics
        self._changed = changed
        self._now = now
        for part, engine in self._engines.items():
            if isinstance(engine, Watched):
                self._jobs[part] = engine.health()
                engine.watch(partial(self._noted, part))
            self._measure(part)

    def report(self) -> protocol.Services:
        """Who does what now."""
        return protocol.Services(
            engines=tuple(
                protocol.EngineState(kind=part, engine=job.engine, state=job.state, reason=job.reason)
                for part, job in self._jobs.items()
            )
        )

    def performed(self, turn: Turn) -> None:
        """`turn` was performed, or broke off."""
        broken = None if turn.broken is None else turn.broken.part
        for part, moment in _FIRST_WORK.items():
            began = moment in turn.trace.moments_ms
            if part == broken:
                self.failed(part, "broke_off" if began else "failed")
            elif began:
                self.worked(part)

    def failed(self, part: Part, reason: str) -> None:
        """The engine of `part` failed; a chain has told already."""
        if isinstance(self._engines[part], Watched):
            return
        self._failed_s[part] = self._now()
        name = self._jobs[part].engine
        self._metrics.engine_failed(part, name, reason)
        self._set(part, JobHealth(name, "down", "broke_off" if reason == "broke_off" else "failed"))

    def worked(self, part: Part) -> None:
        """The engine of `part` gave what was asked for."""
        if self._jobs[part].state != "down" or isinstance(self._engines[part], Watched):
            return
        if self._now() - self._failed_s[part] >= RECOVERY_S:
            self._set(part, JobHealth(self._jobs[part].engine, "ok"))

    def _noted(self, part: Part, note: Note | None) -> None:
        if note is not None and note.event == "failed":
            self._metrics.engine_failed(part, note.engine, note.reason)
        elif note is not None:
            self._metrics.engine_switched(part, note.engine, note.reason)
        engine = self._engines[part]
        assert isinstance(engine, Watched)
        self._set(part, engine.health())

    def _set(self, part: Part, job: JobHealth) -> None:
        before, self._jobs[part] = self._jobs[part], job
        self._measure(part)
        if job != before:
            self._changed(self.report())

    def _measure(self, part: Part) -> None:
        job, engine = self._jobs[part], self._engines[part]
        ready = engine.ready() if isinstance(engine, Watched) else {job.engine: job.state == "ok"}
        for name, well in ready.items():
            in_use = name == job.engine and job.state != "down"
            self._metrics.engine_state(part, name, 2 if in_use else int(well))
