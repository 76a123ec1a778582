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
        self._engine_states = Gauge(
            "understudy_engine_state", "0 down, 1 ready, 2 in use", ["kind", "engine"], registry=self.registry
        )
        self._engine_failures = Counter(
            "understudy_engine_failures",
            "Requests and trials that an engine failed",
            ["kind", "engine", "reason"],
            registry=self.registry,
        )
        self._engine_switches = Counter(
            "understudy_engine_switches",
            "Times that another engine took a job over",
            ["kind", "engine", "reason"],
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

    def engine_state(self, kind: str, engine: str, state: int) -> None:
        self._engine_states.labels(kind, engine).set(state)

    def engine_failed(self, kind: str, engine: str, reason: str) -> None:
        self._engine_failures.labels(kind, engine, reason).inc()

    def engine_switched(self, kind: str, engine: str, reason: str) -> None:
        """`engine` does the job from now on."""
        self._engine_switches.labels(kind, engine, reason).inc()

    def answered(self, trace: Trace) -> None:
        """Note the moments of a turn whose first packet has just been sent."""
        for stage, moment_ms in trace.moments_ms.items():
            self._stage_seconds.labels(stage).observe(max(0.0, moment_ms / 1_000))
