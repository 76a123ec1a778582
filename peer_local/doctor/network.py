"""The way to the performer: the service, the token, the clock, ICE and UDP.

A token is tried by joining only when no operator is in the room, because a later operator takes the place of the one
before; otherwise it is read: room, role and expiry stand in it.
"""

import asyncio
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from peer_local.doctor.finding import Finding, Verdict, step
from peer_local.doctor.machine import Machine, Reply
from peer_local.settings import LocalSettings, Settings
from signaling.auth import TOKEN_VERSION
from signaling.errors import SignalingError, WrongCertificate
from signaling.protocol import IceServer

FAR_S = 0.25
CLOCK_TOLERANCE_S = 5.0
SOON_S = 3600.0
NO_TOKEN = (
    "Run `make local`, or set UNDERSTUDY_LOCAL__TOKEN to an operator's token "
    "(`python -m signaling token --role operator` on the machine of the service)."
)
NEW_TOKEN = (
    "python -m signaling token --role operator on the machine of the service, then UNDERSTUDY_LOCAL__TOKEN=… in .env"
)
_CLOCK_STEPS = {
    "linux": "sudo timedatectl set-ntp true",
    "win32": "Settings > Time & language > Date & time > Sync now",
    "darwin": "System Settings > General > Date & Time > Set time and date automatically",
}
_UDP_STEPS = {
    "linux": "Let UDP out: sudo ufw allow out proto udp to any; behind a company's firewall set a TURN server.",
    "win32": "Windows Security > Firewall & network protection > Allow an app: Python; or set a TURN server.",
    "darwin": "System Settings > Network > Firewall > Options: allow Python; or set a TURN server.",
}
_STUN_PORT, _TURN_PORT, _TLS_PORT = 3478, 3478, 5349

IDS = ("signaling", "token", "performer", "round_trip", "clock", "ice", "udp")
TITLES = {
    "signaling": "Signaling service", "token": "Operator's token", "performer": "Performer", "round_trip": "Round trip",
    "clock": "Clock", "ice": "STUN and TURN", "udp": "UDP",
}  # fmt: skip
_BY_THE_LAUNCHER = {
    "signaling": "started by `make local`", "token": "made by `make local`", "performer": "started by `make local`",
    "round_trip": "none, on this machine", "clock": "this machine's", "ice": "none; on one machine none is needed",
    "udp": "stays on this machine",
}  # fmt: skip
"""What is said when the settings name neither a service nor a token."""


@dataclass(slots=True)
class _Report:
    findings: list[Finding] = field(default_factory=list)

    def add(self, id: str, verdict: Verdict, found: str, next_step: str | None = None) -> None:
        self.findings.append(Finding(id, TITLES[id], verdict, found, next_step))


async def examine(machine: Machine, settings: Settings) -> list[Finding]:
    """All findings of IDS, in their order."""
    report = _Report()
    local = settings.local
    if local.token is None and local.signaling_url == LocalSettings().signaling_url:
        for id in IDS:
            report.add(id, "ok", _BY_THE_LAUNCHER[id])
        return report.findings
    url = base_url(local.signaling_url)
    if url is None:
        for id in IDS:
            report.add(
                id,
                "fail",
                f"{local.signaling_url} is no address",
                "UNDERSTUDY_LOCAL__SIGNALING_URL=http://HOST:8080 in .env",
            )
        return report.findings
    reply = await _service(machine, url, local.signaling_pin, report)
    room = _room(reply, local.room)
    token = local.token.get_secret_value() if local.token else ""
    servers = await _token(machine, local, token, report, reply=reply, room=room)
    if reply is None:
        for id in ("performer", "round_trip", "clock"):
            report.add(id, "warning", "not known without the service")
    else:
        _performer(room, local.room, report)
        _times(machine, reply, report)
    await _ice(machine, url, servers, report)
    return report.findings


def base_url(text: str) -> URL | None:
    """Where the service's pages are, given what SignalingClient takes."""
    try:
        url = URL(text)
    except ValueError:
        return None
    schemes = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
    return url.with_scheme(schemes[url.scheme]).origin() if url.scheme in schemes and url.host else None


async def _service(machine: Machine, url: URL, pin: str | None, report: _Report) -> Reply | None:
    start = "Run `make local`, or say where it is: UNDERSTUDY_LOCAL__SIGNALING_URL=http://HOST:8080 in .env"
    try:
        reply = await machine.get(str(url / "healthz"), pin)
    except WrongCertificate as error:
        report.add("signaling", "fail", str(error), "Take the connection string that its deployment printed last.")
        return None
    except (OSError, TimeoutError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else "not reached"
        report.add("signaling", "fail", f"{url}: {reason}", start)
        return None
    if reply.status != 200 or reply.body is None or reply.body.get("status") != "ok":
        report.add("signaling", "fail", f"{url} is another service (HTTP {reply.status})", start)
        return None
    report.add("signaling", "ok", f"{url}, version {reply.body.get('version', 'unknown')}")
    return reply


def _room(reply: Reply | None, name: str) -> dict[str, Any] | None:
    """What the service says about the room; None when nobody is in it."""
    rooms = reply.body.get("rooms") if reply and reply.body else None
    room = rooms.get(name) if isinstance(rooms, dict) else None
    return room if isinstance(room, dict) else None


async def _token(
    machine: Machine,
    local: LocalSettings,
    token: str,
    report: _Report,
    *,
    reply: Reply | None,
    room: dict[str, Any] | None,
) -> tuple[IceServer, ...] | None:
    """Check the token; the ICE servers if it could be tried."""
    now_s = reply.date_s if reply and reply.date_s is not None else machine.now_s()
    if not token:
        report.add("token", "fail", "none is set", NO_TOKEN)
        return None
    problem, left_s = read_token(token, local.room, now_s)
    if problem:
        report.add("token", "fail", problem, NEW_TOKEN)
        return None
    verdict: Verdict = "warning" if left_s < SOON_S else "ok"
    found = f"good for room {local.room}, {_duration(left_s)} more"
    next_step = NEW_TOKEN if verdict == "warning" else None
    if reply is None or (room or {}).get("operator"):
        why = "its service is not there" if reply is None else "an operator is there"
        report.add("token", verdict, f"{found}; not tried, as {why}", next_step)
        return None
    try:
        servers = await machine.ice_servers(local.signaling_url, local.room, token, local.signaling_pin)
    except SignalingError as error:
        report.add("token", "fail", str(error), NEW_TOKEN)
        return None
    except (OSError, TimeoutError, ValueError):
        report.add("token", "fail", "the service did not let us in", NEW_TOKEN)
        return None
    report.add("token", verdict, found, next_step)
    return servers


def read_token(token: str, room: str, now_s: float) -> tuple[str, float]:
    """What is wrong with a token as signaling.auth issues it ("" if nothing), and the seconds it is still good."""
    fields = token.split(".")
    if len(fields) != 5 or fields[0] != TOKEN_VERSION or not re.fullmatch(r"\d{1,12}", fields[3]):
        return "it is no token of this version", 0.0
    if fields[1] != room:
        return f"it is for room {fields[1][:64]}, not {room}", 0.0
    if fields[2] != "operator":
        return f"it is a {fields[2][:16]}'s, not an operator's", 0.0
    left_s = int(fields[3]) - now_s
    return ("", left_s) if left_s > 0 else (f"it expired {_duration(-left_s)} ago", 0.0)


def _performer(room: dict[str, Any] | None, name: str, report: _Report) -> None:
    if room and room.get("performer"):
        report.add("performer", "ok", f"in room {name}")
    else:
        report.add(
            "performer", "warning", f"nobody performs in room {name}", "Start it on the GPU: python -m peer_remote"
        )


def _times(machine: Machine, reply: Reply, report: _Report) -> None:
    found = f"{max(1.0, reply.round_trip_s * 1000):.0f} ms to the service"
    if reply.round_trip_s < FAR_S:
        report.add("round_trip", "ok", found)
    else:
        report.add("round_trip", "warning", found, "Rent a machine nearer by, or use a cable instead of Wi-Fi.")
    if reply.date_s is None:
        report.add("clock", "warning", "the service does not tell the time")
        return
    ahead_s = machine.now_s() - reply.date_s
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        report.add("clock", "ok", "as the service's")
        return
    way = "ahead of" if ahead_s > 0 else "behind"
    found = f"{_duration(abs(ahead_s))} {way} the service's; tokens end at the wrong time"
    report.add("clock", "warning", found, step(machine.platform, _CLOCK_STEPS))


async def _ice(machine: Machine, url: URL, servers: tuple[IceServer, ...] | None, report: _Report) -> None:
    near = _is_near(url.host or "")
    addresses = [address for server in servers or () for address in server.urls]
    if servers is None:
        report.add("ice", "warning", "not known before the token is tried")
    elif not addresses:
        if near:
            report.add("ice", "ok", "none; on one network none is needed")
        else:
            setting = "UNDERSTUDY_SIGNALING__ICE_SERVERS or __TURN_URLS where the service runs"
            report.add("ice", "warning", "the service names none", setting)
    answers = await asyncio.gather(*(_reach(machine, address) for address in addresses))
    if addresses:
        silent = [address for address, (_, took_s) in zip(addresses, answers, strict=True) if took_s is None]
        verdict: Verdict = "ok" if not silent else "warning" if len(silent) < len(addresses) else "fail"
        found = f"no answer from {', '.join(silent)}" if silent else f"{', '.join(addresses)} answer"
        report.add("ice", verdict, found, "Check these addresses, and that their ports are open." if silent else None)
    over_udp = [took_s for by_udp, took_s in answers if by_udp]
    if any(took_s is not None for took_s in over_udp):
        report.add("udp", "ok", "gets out and back")
    elif over_udp:
        report.add("udp", "fail", "nothing comes back", step(machine.platform, _UDP_STEPS))
    elif near:
        report.add("udp", "ok", "stays on this network")
    else:
        report.add("udp", "warning", "not tried: no STUN server to ask")


async def _reach(machine: Machine, address: str) -> tuple[bool, float | None]:
    """Whether UDP was used, and how long the answer took, None without one. RFC 7064 and 7065 give the form."""
    match = re.fullmatch(r"(stuns?|turns?):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(\w+))?", address)
    if match is None:
        return False, None
    scheme, host, port, transport = match.groups()
    by_udp = not scheme.endswith("s") and transport != "tcp"
    number = int(port) if port else _STUN_PORT if not scheme.endswith("s") else _TLS_PORT
    try:
        return by_udp, await (machine.stun if by_udp else machine.connects)(host.strip("[]"), number)
    except (OSError, TimeoutError):
        return by_udp, None


def _is_near(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".lan"))
    return address.is_private or address.is_loopback or address.is_link_local


def _duration(seconds: float) -> str:
    for unit, size_s in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size_s:
            count = round(seconds / size_s)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:.0f} s"
