"""The whole product on one machine: `python -m deploy.local [operator ARGS]`.

    launcher ─┬─► signaling     port 8080, or the next free one
              ├─► peer_remote   joins the room as its performer
              └─► peer_local    with `operator` only: camera, microphone and ears, in this terminal
    browser  ───► http://127.0.0.1:PORT/#room=…&token=…

With `operator` and a signaling service that is named (UNDERSTUDY_LOCAL__CONNECTION or __SIGNALING_URL, a flag, or the
file that a deployment left), the double performs elsewhere and only peer_local is started.

The secret and the tokens are made anew at each start and passed in the environment only. Both children end with the
launcher, however it ends; when one of them ends by itself, the launcher says so and stops the other.
"""

import argparse
import http.client
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import BinaryIO
from urllib.parse import urlsplit

from platformdirs import user_log_path
from pydantic import BaseModel

from deploy.ports import PortError, choose_port
from peer_local.flags import load, parse
from peer_local.settings import DEPLOYED
from peer_local.settings import Settings as OperatorSettings
from signaling import auth
from signaling.pin import pin_of, trusting
from signaling.protocol import Role, Room
from signaling.settings import SettingsError, SignalingSettings, StrictSettings

ROOT = Path(__file__).resolve().parents[1]
TOKEN_LIFETIME_S = 30 * 24 * 3600.0
SIGNALING_START_S = 20.0
PERFORMER_START_S = 300.0
"""Reading 1.4 GB of weights from a slow disk."""
STOP_S = 5.0
OPERATOR_STOP_S = 4.0
"""In which peer_local takes its virtual microphone and its key away before it is ended by force."""
KILL_RESERVE = 0.9
"""Part of that time in which the children may end by themselves."""
HEALTH_TIMEOUT_S = 2.0
POLL_S = 0.2
SLOW_REPORT_S = 15.0
NEW_PROCESS_GROUP = 0x200
"""Windows' CREATE_NEW_PROCESS_GROUP."""


STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))
"""Ctrl-C, a supervisor, and the terminal's window that closes: SIGHUP, on Windows SIGBREAK."""


class Told(KeyboardInterrupt):
    """A signal that, other than Ctrl-C in a terminal, reached the launcher alone."""


class LaunchError(Exception):
    """The product cannot be started or go on; the message is one sentence."""


class _RoomSettings(BaseModel):
    room: Room = "main"


class LocalSettings(StrictSettings):
    """What the launcher itself has to know; the children read the rest."""

    signaling: SignalingSettings = SignalingSettings()
    remote: _RoomSettings = _RoomSettings()


@dataclass(frozen=True)
class Product:
    """Signaling and the performer, running."""

    base_url: str
    room: str
    secret: str = field(repr=False)
    pin: str | None = None
    """Of the service's certificate, when it has one."""

    def token(self, role: Role) -> str:
        """What lets a peer of this role into the room."""
        return auth.issue(self.secret, room=self.room, role=role, lifetime_s=TOKEN_LIFETIME_S, now_s=time.time())

    @property
    def socket_url(self) -> str:
        return f"ws{self.base_url.removeprefix('http')}/ws"

    def operator_environment(self) -> dict[str, str]:
        """What peer_local needs to know to join."""
        return {
            "UNDERSTUDY_LOCAL__SIGNALING_URL": self.socket_url,
            "UNDERSTUDY_LOCAL__SIGNALING_PIN": self.pin or "",
            "UNDERSTUDY_LOCAL__ROOM": self.room,
            "UNDERSTUDY_LOCAL__TOKEN": self.token("operator"),
        }

    @property
    def viewer_address(self) -> str:
        """To be opened in a browser."""
        return f"{self.base_url}/#room={self.room}&token={self.token('viewer')}"


@dataclass
class Children:
    """The processes that were started, in this order; they are stopped in the opposite one."""

    started: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    log: BinaryIO | None = None
    """Where their log goes instead of into this terminal, which then belongs to the operator's screen."""

    def start(self, module: str, *, env: dict[str, str]) -> None:
        # A group of its own, so that Ctrl-C reaches the launcher alone and the children stop in order.
        windows = sys.platform == "win32"
        self.started[module] = subprocess.Popen(
            [sys.executable, "-m", "deploy.child", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            env=env,
            process_group=None if windows else 0,
            creationflags=NEW_PROCESS_GROUP if windows else 0,
        )

    def require_alive(self) -> None:
        """Raise LaunchError when one of them has ended."""
        for module, process in self.started.items():
            if (status := process.poll()) is not None:
                how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
                raise LaunchError(f"{module} ended {how}, {self._where()} why; everything is stopped.")

    def _where(self) -> str:
        if self.log is None:
            return "the lines above say"
        return f"the end of {self.log.name} says"

    def stop(self, within_s: float = STOP_S) -> None:
        """End them one after the other, by closing their standard input, and by force what is left in its time."""
        began_s = time.monotonic()
        for position, process in enumerate(reversed(self.started.values()), start=1):
            if process.stdin is not None:
                process.stdin.close()
            until_s = began_s + KILL_RESERVE * within_s * position / len(self.started)
            try:
                process.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def performer_is_there(health: dict[str, object] | None, room: str) -> bool:
    """Whether the answer of /healthz says that the room has its performer."""
    rooms = health.get("rooms") if health else None
    entry = rooms.get(room) if isinstance(rooms, dict) else None
    return isinstance(entry, dict) and entry.get("performer") is True


def read_health(base_url: str, trust: ssl.SSLContext | None = None) -> dict[str, object] | None:
    """The answer of /healthz, or None as long as there is none; `trust` is for a service with TLS."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(f"{base_url}/healthz", timeout=HEALTH_TIMEOUT_S) as response:
            answer = json.load(response)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return answer if isinstance(answer, dict) else None


def wait_until(
    ready: Callable[[], bool],
    children: Children,
    *,
    what: str,
    limit_s: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait for `ready`, as long as the children live. Raises LaunchError when one dies or after `limit_s`."""
    began_s = reported_s = clock()
    while not ready():
        children.require_alive()
        now_s = clock()
        if now_s - began_s > limit_s:
            raise LaunchError(f"{what} has not come within {limit_s:.0f} s; everything is stopped.")
        if now_s - reported_s >= SLOW_REPORT_S:
            reported_s = now_s
            say(f"  {now_s - began_s:.0f} s")
        sleep(POLL_S)


def launch(settings: LocalSettings, children: Children, say: Callable[[str], None]) -> Product:
    """Start signaling and the performer; returns once the performer is on stage. Raises LaunchError and PortError."""
    signaling = settings.signaling
    secret = signaling.secret.get_secret_value() if signaling.secret else secrets.token_urlsafe(32)
    port = choose_port(signaling.host, signaling.port, fixed="port" in signaling.model_fields_set, say=say)
    trust, pin = _trust(signaling.tls_certificate)
    base_url = f"{'https' if pin else 'http'}://{_reachable_host(signaling.host)}:{port}"
    product = Product(base_url, settings.remote.room, secret, pin)

    environment = {**os.environ, "UNDERSTUDY_SIGNALING__PORT": str(port), "UNDERSTUDY_SIGNALING__SECRET": secret}
    children.start("signaling", env=environment)
    wait_until(
        lambda: read_health(product.base_url, trust) is not None,
        children,
        what="The signaling service",
        limit_s=SIGNALING_START_S,
        say=say,
    )
    say("Loading the models, some seconds …")
    performer = {
        **os.environ,
        "UNDERSTUDY_REMOTE__SIGNALING_URL": product.socket_url,
        "UNDERSTUDY_REMOTE__SIGNALING_PIN": product.pin or "",
        "UNDERSTUDY_REMOTE__ROOM": product.room,
        "UNDERSTUDY_REMOTE__TOKEN": product.token("performer"),
    }
    children.start("peer_remote", env=performer)
    wait_until(
        lambda: performer_is_there(read_health(product.base_url, trust), product.room),
        children,
        what="The double",
        limit_s=PERFORMER_START_S,
        say=say,
    )
    return product


def _trust(certificate: Path | None) -> tuple[ssl.SSLContext | None, str | None]:
    """How the service's certificate is trusted here, and its pin. Raises LaunchError."""
    if certificate is None:
        return None, None
    try:
        return trusting(certificate), pin_of(certificate)
    except (OSError, ValueError):
        raise LaunchError(
            f"UNDERSTUDY_SIGNALING__TLS_CERTIFICATE, {certificate}, is no certificate in PEM form."
        ) from None


def performs_elsewhere(arguments: Sequence[str]) -> str | None:
    """Where the operator says that the double performs, as host:port; None for this machine.

    Raises SettingsError for what peer_local would refuse.
    """
    flags = parse(OperatorSettings, arguments)
    if flags.words not in ((), ("run",)):
        raise SettingsError(f"{flags.words[-1]} is not a flag; flags begin with two hyphens, --help shows them.")
    local = load(OperatorSettings, flags).local
    if not local.signaling_url or "signaling_url" not in local.model_fields_set:
        return None
    return urlsplit(local.signaling_url).netloc.rpartition("@")[2] or local.signaling_url


def _say_where(address: str) -> None:
    """Name the file of a deployment where it decides: that the double performs elsewhere must surprise nobody."""
    with suppress(OSError):
        if f"@{address}/" in Path(DEPLOYED).read_text(encoding="utf-8", errors="replace"):
            _say(
                f"The double performs at {address}, as {DEPLOYED} says; without that file it performs on this machine."
            )


def operate(environment: Mapping[str, str], arguments: Sequence[str], stop_s: float = OPERATOR_STOP_S) -> int:
    """Run peer_local in this terminal until it ends, and return its exit status; 0 when it was told to end."""
    process = subprocess.Popen([sys.executable, "-m", "peer_local", *arguments], env={**os.environ, **environment})
    while True:
        try:
            status = process.wait()
            return status if status >= 0 else 128 - status
        except Told:
            _ignore_signals()
            process.terminate()
            try:
                process.wait(stop_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            return 0
        except KeyboardInterrupt:  # Ctrl-C reached peer_local too, which takes its leave
            continue


def _reachable_host(host: str) -> str:
    """An address of this machine for a host to listen on; loopback for the wildcards."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit status is 0 then, 1 when something ended by itself, 2 for wrong settings."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    operator = arguments[:1] == ["operator"]
    if not operator:
        argparse.ArgumentParser(
            prog="python -m deploy.local",
            description="Start signaling and the remote peer on this machine and print the address to open in a "
            "browser; with `operator`, be the operator in this terminal too. Settings are environment variables "
            "UNDERSTUDY_<SECTION>__<KEY>, or lines of a file named .env.",
        ).parse_args(arguments)
    with ExitStack() as stack:
        return _run(arguments, operator, stack)


def _open_log() -> BinaryIO:
    file = user_log_path("understudy", appauthor=False, ensure_exists=True) / "double.log"
    try:
        return file.open("wb")
    except OSError as error:
        raise LaunchError(f"The log {file} cannot be written: {error.strerror}.") from None


def _run(arguments: Sequence[str], operator: bool, stack: ExitStack) -> int:
    children = Children()
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    try:
        settings = LocalSettings.load()
        if operator and (address := performs_elsewhere(arguments[1:])):
            _say_where(address)
            return operate({}, arguments[1:])
        if operator:
            children.log = stack.enter_context(_open_log())
            _say(f"The log of the double is {children.log.name}.")
        product = launch(settings, children, _say)
        if operator:
            _say(f"\nThe double is ready. To watch it in a browser on this machine:\n\n  {product.viewer_address}\n")
            return operate(product.operator_environment(), arguments[1:])
        _say(
            "\nThe double is ready. Open this in a browser on this machine (Ctrl-C stops everything):\n\n"
            f"  {product.viewer_address}\n"
        )
        while True:
            children.require_alive()
            time.sleep(POLL_S)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (LaunchError, PortError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("Stopping …")
        return 0
    finally:
        _ignore_signals()
        children.stop()


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal is gone
        print(line, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Told


def _ignore_signals() -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
