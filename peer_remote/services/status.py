"""How the services are, on loopback: /healthz for people and scripts, /metrics for Prometheus."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from peer_remote.services.errors import ServicesError
from peer_remote.services.lifecycle import State
from peer_remote.services.supervisor import Status, health_page

Statuses = Callable[[], tuple[Status, ...]]


class _Metrics(Collector):
    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    def collect(self) -> Iterable[Metric]:
        """Read when somebody asks; the state is told by its name, so that no label has many values."""
        well = GaugeMetricFamily("understudy_service_well", "Whether a service is well.", labels=["service"])
        restarts = CounterMetricFamily("understudy_service_restarts", "Starts after the first.", labels=["service"])
        for status in self._statuses():
            well.add_metric([status.name], float(status.state is State.WELL))
            restarts.add_metric([status.name], status.restarts)
        return (well, restarts)


@asynccontextmanager
async def serve_status(statuses: Statuses, port: int) -> AsyncIterator[None]:
    """Serve while inside; port 0 serves nothing. Raises ServicesError when the port is taken."""
    if not port:
        yield
        return
    registry = CollectorRegistry()
    registry.register(_Metrics(statuses))

    async def healthz(request: web.Request) -> web.Response:
        page = health_page(statuses())
        return web.json_response(page, status=200 if page["well"] else 503)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            raise ServicesError(
                f"Port {port} is in use; choose another UNDERSTUDY_SERVICES__STATUS_PORT, or 0 for none."
            ) from None
        yield
    finally:
        await runner.cleanup()
