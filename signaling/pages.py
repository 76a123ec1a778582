"""The files of the browser debug peer, and the headers that every reply carries."""

from pathlib import Path

from aiohttp import web

WEB_DIR = Path(__file__).parent / "web"

SECURITY_HEADERS = {
    # connect-src 'self' covers the WebSocket of the same host (CSP Level 3, 6.7.2.8).
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_pages(app: web.Application, directory: Path = WEB_DIR) -> None:
    """Serve `directory`/index.html at / and every file of `directory` under /web/."""

    async def index(_: web.Request) -> web.StreamResponse:
        page = directory / "index.html"
        if not page.is_file():
            raise web.HTTPNotFound(text="This service was installed without its page.")
        return web.FileResponse(page, headers={"Cache-Control": "no-store"})

    async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-cache")

    app.router.add_get("/", index)
    app.router.add_static("/web/", directory)
    app.on_response_prepare.append(add_headers)
