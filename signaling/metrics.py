"""What the service counts, in its own registry, so that several services can live in one process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from signaling.protocol import Role

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Labels are only kind and reason, from small fixed sets: nothing that a peer chose."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        prefix = "understudy_signaling"
        self.peers = Gauge(f"{prefix}_peers", "Peers in rooms, by role.", ["kind"], registry=self._registry)
        self.rooms = Gauge(f"{prefix}_rooms", "Rooms with somebody in them.", registry=self._registry)
        self.joins = Counter(f"{prefix}_joins", "Peers let in, by role.", ["kind"], registry=self._registry)
        self.relayed = Counter(
            f"{prefix}_relayed_messages",
            "Messages passed on between peers, by type.",
            ["kind"],
            registry=self._registry,
        )
        self.refused = Counter(
            f"{prefix}_refusals",
            "Messages and connections refused, by error code.",
            ["reason"],
            registry=self._registry,
        )
        self.dropped = Counter(
            f"{prefix}_dropped_connections",
            "Connections that the service ended by itself.",
            ["reason"],
            registry=self._registry,
        )

    def render(self, census: dict[str, dict[Role, int]]) -> bytes:
        """Everything in Prometheus' text format, with the rooms as they are now."""
        self.rooms.set(len(census))
        roles: tuple[Role, ...] = ("performer", "operator", "viewer")
        for role in roles:
            self.peers.labels(kind=role).set(sum(room[role] for room in census.values()))
        return generate_latest(self._registry)
