"""The signaling service as an aiohttp application.

GET /ws       the WebSocket of protocol.py
GET /         the browser debug peer; its files are under /web/
GET /healthz  who is where, for a supervisor
GET /metrics  counters in Prometheus' text format
"""

import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from signaling.metrics import CONTENT_TYPE
from signaling.pages import add_pages
from signaling.service import Service
from signaling.settings import SettingsError, SignalingSettings


def create_app(
    settings: SignalingSettings,
    *,
    clock: Callable[[], float] = time.time,
    ticks: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Make the application. `clock` is Unix time in seconds and dates tokens; `ticks` is monotonic.

    Raises SettingsError without a secret.
    """
    if settings.secret is None:
        raise SettingsError("UNDERSTUDY_SIGNALING__SECRET is not set.")
    service = Service(settings, settings.secret.get_secret_value(), clock=clock, ticks=ticks)
    release = _release()

    async def health(_: web.Request) -> web.Response:
        rooms = {
            room: {
                "performer": count["performer"] > 0,
                "viewers": count["viewer"],
                "operator": count["operator"] > 0,
            }
            for room, count in service.rooms.census().items()
        }
        return web.json_response({"status": "ok", "version": release, "rooms": rooms})

    async def metrics(_: web.Request) -> web.Response:
        body = service.metrics.render(service.rooms.census())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def close_sockets(_: web.Application) -> None:
        await service.close()

    app = web.Application()
    app.router.add_get("/ws", service.handle)
    app.router.add_get("/healthz", health)
    app.router.add_get("/metrics", metrics)
    add_pages(app)
    app.on_shutdown.append(close_sockets)
    return app


def _release() -> str:
    try:
        return version("understudy")
    except PackageNotFoundError:
        return "unknown"
