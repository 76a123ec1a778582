"""The signaling service as a program: `python -m signaling --help`."""

import signal
import sys

if __name__ == "__main__":
    # Ctrl-C during the imports below, which take a second, ends the program without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import errno
import logging
import os
import secrets
import ssl
import time
from collections.abc import Sequence
from typing import Any, get_args

from aiohttp import web
from pydantic import SecretStr

from signaling import auth, logs
from signaling.app import create_app
from signaling.connection_string import ConnectionString
from signaling.pin import as_browsers_show_it, pin_of, serving
from signaling.protocol import Role
from signaling.settings import ServiceSettings, SettingsError, SignalingSettings

START_TOKEN_LIFETIME_S = 30 * 24 * 3600
"""Tokens that are printed at start; they end with the process anyway, since its secret does."""

MAX_TOKEN_HOURS = 10 * 366 * 24

log = logging.getLogger("signaling")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status: 1 when it cannot work, 2 when it is told something wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "token":
            return _print_token(options)
        if options.command == "connection":
            return _print_connection(options)
        if options.command == "pin":
            return _print_pin()
        logs.setup(options.log_level, as_json=options.log_json)
        auth.require_room(options.room)
        told = {name: getattr(options, name) for name in ("host", "port") if getattr(options, name) is not None}
        settings = ServiceSettings.load(**({"signaling": told} if told else {})).signaling
        return asyncio.run(_serve(settings, options.room))
    except (SettingsError, ValueError) as error:
        return _fail(2, str(error))
    except OSError as error:
        return _fail(1, f"The service cannot listen: {error.strerror or error}.")
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m signaling",
        description="Where the peers of a call meet: rooms, tokens, offers and answers, and the browser debug page.",
        epilog="Settings come from UNDERSTUDY_SIGNALING__<KEY> in the environment or in .env; see signaling/README.md.",
    )
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for any free one (default: 8080)")
    parser.add_argument("--room", default="main", help="room of the link that is printed at start (default: main)")
    parser.add_argument("--log-level", choices=logs.LEVELS, default="info")
    parser.add_argument("--log-json", action="store_true", help="log JSON objects instead of lines")
    commands = parser.add_subparsers(dest="command", metavar="token|connection|pin")
    token = commands.add_parser("token", help="print a room token made with the configured secret, and end")
    connection = commands.add_parser(
        "connection", help="print the line that UNDERSTUDY_LOCAL__CONNECTION takes, and end"
    )
    connection.add_argument("--host", required=True, help="name or address by which the operator reaches the service")
    connection.add_argument(
        "--port", type=int, help="port by which the operator reaches it (default: the service's own)"
    )
    for command, role in ((token, "viewer"), (connection, "operator")):
        command.add_argument("--room", default="main", help="room that it opens (default: main)")
        command.add_argument("--role", choices=get_args(Role), default=role, help=f"default: {role}")
        command.add_argument("--hours", type=float, default=12.0, help="how long it is good (default: 12)")
    commands.add_parser("pin", help="print the SHA-256 by which peers know the configured certificate, and end")
    return parser


def _print_token(options: argparse.Namespace) -> int:
    print(_token(ServiceSettings.load().signaling, options))
    return 0


def _print_connection(options: argparse.Namespace) -> int:
    settings = ServiceSettings.load().signaling
    certificate = settings.tls_certificate
    connection = ConnectionString(
        options.host,
        options.port or settings.port,
        options.room,
        _token(settings, options),
        tls=certificate is not None,
        pin=None if certificate is None else pin_of(certificate),
    )
    print(ConnectionString.parse(str(connection)))
    return 0


def _print_pin() -> int:
    certificate = ServiceSettings.load().signaling.tls_certificate
    if certificate is None:
        raise SettingsError("UNDERSTUDY_SIGNALING__TLS_CERTIFICATE is not set; without a certificate there is no pin.")
    pin = pin_of(certificate)
    print(pin)
    print(f"Browsers show it as {as_browsers_show_it(pin)}", file=sys.stderr)
    return 0


def _token(settings: SignalingSettings, options: argparse.Namespace) -> str:
    if settings.secret is None:
        raise SettingsError("UNDERSTUDY_SIGNALING__SECRET is not set; a token needs the secret that the service has.")
    if not 0 < options.hours <= MAX_TOKEN_HOURS:
        raise SettingsError(f"--hours must be more than 0 and at most {MAX_TOKEN_HOURS}.")
    return auth.issue(
        settings.secret.get_secret_value(),
        room=options.room,
        role=options.role,
        lifetime_s=options.hours * 3600,
        now_s=time.time(),
    )


def _trust(settings: SignalingSettings) -> ssl.SSLContext | None:
    """What the service shows to clients; None without TLS. Raises SettingsError."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    try:
        return serving(settings.tls_certificate, settings.tls_key)
    except OSError as error:  # ssl.SSLError too
        reason = error.strerror or "they are not a certificate and its key in PEM form"
        raise SettingsError(
            f"The certificate {settings.tls_certificate} with the key {settings.tls_key} cannot be used: {reason}."
        ) from None


async def _serve(settings: SignalingSettings, room: str) -> int:
    trust = _trust(settings)
    made_secret = settings.secret is None
    if made_secret:
        settings = settings.model_copy(update={"secret": SecretStr(secrets.token_urlsafe(32))})
    runner = web.AppRunner(create_app(settings), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=trust)
        try:
            await site.start()
        except OSError as error:
            return _fail(1, f"Cannot listen on {settings.host} port {settings.port}: {_why(error)}.")
        address = _address("https" if trust else "http", settings.host, runner.addresses[0])
        log.info("signaling_ready", extra={"address": address})
        print(f"Signaling is ready at {address}", flush=True)
        if made_secret:
            _print_links(settings, address, room)
        await _until_told_to_stop()
        log.info("signaling_stops")
    finally:
        await runner.cleanup()
    return 0


def _print_links(settings: SignalingSettings, address: str, room: str) -> None:
    assert settings.secret is not None
    secret = settings.secret.get_secret_value()
    now_s = time.time()
    roles: tuple[Role, Role] = ("viewer", "performer")
    viewer, performer = (
        auth.issue(secret, room=room, role=role, lifetime_s=START_TOKEN_LIFETIME_S, now_s=now_s) for role in roles
    )
    print(f"Open in a browser: {address}/#room={room}&token={viewer}")
    print(f"Performer's token: {performer}", flush=True)


async def _until_told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":  # there Ctrl-C arrives as KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is already in use"
    if error.errno is None or error.errno < 0:  # name resolution has numbers of its own, below zero
        return (error.strerror or str(error)).lower()
    return os.strerror(error.errno).lower()


def _address(scheme: str, host: str, bound: Any) -> str:
    """What to type into a browser on this machine; a service on every interface is reached through loopback."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"{scheme}://[{shown}]:{bound[1]}" if ":" in shown else f"{scheme}://{shown}:{bound[1]}"


def _fail(status: int, sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
