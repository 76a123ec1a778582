"""What the services of one machine find in their environment: what the user set, and what follows from the machine."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.certificate import Certificate, ensure
from deploy.machine.keys import write_private
from deploy.machine.settings import MachineSettings
from signaling import auth
from signaling.connection_string import ConnectionString
from signaling.settings import PREFIX, SettingsError

TOKEN_STEP_S: Final = 30 * 24 * 3600.0
TOKEN_LIFETIME_S: Final = 180 * 24 * 3600.0
RENTAL: Final = ("CONTAINER_ID", "CONTAINER_API_KEY", "VAST_URL")
"""What ends the rental; only the watchdog gets it."""
INHERITED: Final = (
    "HF_",
    "VAST_TCP_PORT_",
    "VAST_UDP_PORT_",
    "PUBLIC_IPADDR",
    "CUDA_",
    "NVIDIA_",
    "LD_LIBRARY_PATH",
    "OMP_",
    "OPENBLAS_",
    "MKL_",
)
INHERITED_TOO: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "NUMEXPR_NUM_THREADS",
)


@dataclass(frozen=True, slots=True)
class Reach:
    """How others reach this machine: address, and the outside number of each port."""

    address: str
    signaling_port: int
    turn_port: int
    public_ports: tuple[int, ...]


def reach(settings: MachineSettings, environment: Mapping[str, str], own_address: str) -> Reach:
    """From the settings and from what a rented container is told of its port mapping."""

    def outside(protocol: str, port: int) -> int:
        mapped = environment.get(f"VAST_{protocol}_PORT_{port}", "")
        return int(mapped) if mapped.isdecimal() else port

    public = settings.public_address or environment.get("PUBLIC_IPADDR", "").strip() or own_address
    return Reach(
        public,
        outside("TCP", settings.signaling_port),
        outside("TCP", settings.turn_port),
        tuple(outside("UDP", port) for port in settings.media_ports),
    )


def notice_file(directory: Path) -> Path:
    """Where the watchdog writes what the performer tells everybody."""
    return directory / "notice"


def certificate_of(settings: MachineSettings, folder: Path, addresses: tuple[str, ...]) -> Certificate:
    """The certificate that was sent along, else the one that was made here at the first start. Raises SettingsError."""
    if settings.tls_certificate is not None and settings.tls_key is not None:
        for name, secret in (("certificate.pem", settings.tls_certificate), ("key.pem", settings.tls_key)):
            try:
                text = base64.b64decode(secret.get_secret_value(), validate=True).decode("ascii")
            except (binascii.Error, UnicodeDecodeError):
                raise SettingsError(
                    "UNDERSTUDY_MACHINE__TLS_CERTIFICATE and TLS_KEY are PEM files in base64."
                ) from None
            write_private(folder / name, text)
    return ensure(folder, addresses)


def service_environment(
    settings: MachineSettings,
    outside: Mapping[str, str],
    defaults: Mapping[str, str],
    keys: Mapping[str, str],
    *,
    certificate: Certificate,
    where: Reach,
    own_address: str,
    relays: bool,
    now_s: float,
) -> dict[str, str]:
    """All variables of the services; `own_address` is the machine's, where its TURN server listens if it `relays`."""
    kept = {name: value for name, value in outside.items() if _is_kept(name)}
    secret = keys[f"{PREFIX}SIGNALING__SECRET"]
    token = auth.issue(
        secret,
        room=settings.room,
        role="performer",
        lifetime_s=TOKEN_LIFETIME_S,
        now_s=_steady(now_s),
    )
    derived = {
        "SIGNALING__HOST": "0.0.0.0",
        "SIGNALING__PORT": str(settings.signaling_port),
        "SIGNALING__TLS_CERTIFICATE": str(certificate.certificate),
        "SIGNALING__TLS_KEY": str(certificate.key),
        "REMOTE__SIGNALING_URL": f"wss://127.0.0.1:{settings.signaling_port}/ws",
        "REMOTE__SIGNALING_PIN": certificate.pin,
        "REMOTE__ROOM": settings.room,
        "REMOTE__TOKEN": token,
        "REMOTE__METRICS_PORT": str(settings.metrics_port),
        "SERVICES__LOG_DIR": str(settings.dir.expanduser().absolute() / "log" / "services"),
        "REMOTE__NOTICE_FILE": str(notice_file(settings.dir.expanduser().absolute())),
    }
    if settings.media_ports:
        derived["REMOTE__MEDIA_PORTS"] = ",".join(map(str, settings.media_ports))
        if where.address != own_address or where.public_ports != settings.media_ports:
            derived["REMOTE__PUBLIC_ADDRESS"] = where.address
            derived["REMOTE__PUBLIC_PORTS"] = ",".join(map(str, where.public_ports))
    made = dict(keys)
    if relays:
        derived["SIGNALING__TURN_URLS"] = f"turn:{where.address}:{where.turn_port}?transport=tcp"
        derived["RELAY__PORT"] = str(settings.turn_port)
        derived["RELAY__ADDRESS"] = own_address
    else:
        made.pop(f"{PREFIX}SIGNALING__TURN_SECRET")
        kept.pop(f"{PREFIX}SIGNALING__TURN_SECRET", None)
    return {**defaults, **kept, **made, **{PREFIX + name: value for name, value in derived.items()}}


def connection(settings: MachineSettings, secret: str, where: Reach, pin: str, *, now_s: float) -> ConnectionString:
    """What lets the operator in."""
    token = auth.issue(secret, room=settings.room, role="operator", lifetime_s=TOKEN_LIFETIME_S, now_s=_steady(now_s))
    return ConnectionString(where.address, where.signaling_port, settings.room, token, tls=True, pin=pin)


def _steady(now_s: float) -> float:
    """The same moment for weeks, so that a second start makes the same tokens and nothing has to be started again."""
    return now_s // TOKEN_STEP_S * TOKEN_STEP_S


def _is_kept(name: str) -> bool:
    if name.startswith((f"{PREFIX}MACHINE__TLS", f"{PREFIX}DEPLOY__")) or name == "HF_TOKEN":
        return False  # used before the services are started or where machines are rented, and by none of them
    return name.startswith((PREFIX, *INHERITED)) or name in INHERITED_TOO or name in RENTAL
