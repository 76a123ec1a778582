"""What the performer counts, in its own registry. Labels never carry what somebody said."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from peer_remote.trace import Trace

_LATENCY_BUCKETS_S = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0)


class Metrics:
    """One instance per program."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._turns = Counter("understudy_turns", "Turns by how they ended", ["reason"], registry=self.registry)
        self._head_starts = Counter(
            "understudy_head_starts",
            "Answers begun before the line was over, by what came of it",
            ["reason"],
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "understudy_turn_stage_seconds",
            "From the end of the user's speech to a stage's first work",
            ["stage"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.viewers = Gauge("understudy_viewers", "Viewers connected now", registry=self.registry)

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """Export `value()` at the moment of each scrape."""
        Gauge(f"understudy_{name}", help_text, registry=self.registry).set_function(value)

    def turn_ended(self, reason: str) -> None:
        self._turns.labels(reason).inc()

    def head_start(self, reason: str) -> None:
        self._head_starts.labels(reason).inc()

    def answered(self, trace: Trace) -> None:
        """Note the moments of a turn whose first packet has just been sent."""
        for stage, moment_ms in trace.moments_ms.items():
            self._stage_seconds.labels(stage).observe(max(0.0, moment_ms / 1_000))
