"""The TURN server for viewers whose network lets no UDP through: coturn, whose configuration is written here.

    viewer ══ TCP ══► turnserver ── UDP, inside the machine ──► peer_remote

`python -m deploy.turn FILE` writes it; `turnserver -c FILE` serves it. It runs beside the performer and relays to the
performer's address only, so that nobody can use it for anything else. Credentials are those of signaling/auth.py.
"""

import argparse
import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, field_validator

from signaling.network import main_address
from signaling.settings import Section, SettingsError, SignalingSettings, StrictSettings

REALM = "understudy"
EVERYBODY = ("0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
USER = "turnserver"
"""What Debian's package runs it as."""


class RelaySettings(Section):
    """Where the TURN server listens; the secret is UNDERSTUDY_SIGNALING__TURN_SECRET."""

    port: int = Field(default=3479, ge=1, le=65_535)
    """TCP; UDP too with `udp`."""
    address: str | None = None
    """The performer's address, on which it listens and to which alone it relays; by default the main interface's."""
    udp: bool = False
    """Also take viewers over UDP."""
    lowest_port: int = Field(default=49_152, ge=1024, le=65_535)
    highest_port: int = Field(default=65_535, ge=1024, le=65_535)
    """UDP ports of its own for relaying; they are reached from inside the machine only."""
    max_viewers: int = Field(default=8, ge=1, le=64)
    """A connection takes one allocation, which outlives it by up to ten minutes when the network breaks."""
    max_kbps: int = Field(default=4_000, ge=200)
    """Of one allocation, in each direction; a performer caps itself on relay far below."""

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        return str(ipaddress.ip_address(address.strip())) if address else None


class _Settings(StrictSettings):
    signaling: SignalingSettings = SignalingSettings()
    relay: RelaySettings = RelaySettings()


def configuration(relay: RelaySettings, secret: str, *, address: str, user: str | None = None) -> str:
    """The text of turnserver.conf; `address` is the performer's, `user` whom the server becomes if it starts as root.

    Raises ValueError for a secret that would not stay on its line.
    """
    if not all("!" <= character <= "~" for character in secret):
        raise ValueError("the TURN server's secret must be made of ASCII letters, digits and signs")
    bytes_per_s = relay.max_kbps * 1_000 // 8
    lines = [
        "# Written by deploy/turn.py; it holds a secret.",
        f"listening-ip={address}",
        f"relay-ip={address}",
        f"listening-port={relay.port}",
        f"min-port={relay.lowest_port}",
        f"max-port={relay.highest_port}",
        "",
        "# Time-limited credentials of the signaling service (signaling/auth.py).",
        "use-auth-secret",
        f"static-auth-secret={secret}",
        f"realm={REALM}",
        "fingerprint",
        "stale-nonce=600",
        "",
        "# It relays to the performer beside it and to nobody else, so it is of no use to strangers.",
        f"allowed-peer-ip={address}",
        *(f"denied-peer-ip={addresses}" for addresses in EVERYBODY),
        "no-multicast-peers",
        "no-tcp-relay",
        f"total-quota={4 * relay.max_viewers}",
        f"max-bps={bytes_per_s}",
        "",
        "# Nothing else listens. What it carries is encrypted from end to end (DTLS-SRTP), so TLS would add nothing.",
        *([] if relay.udp else ["no-udp"]),
        "no-tls",
        "no-dtls",
        "no-cli",
        "no-stun",
        "no-software-attribute",
        "",
        "log-file=stdout",
        "simple-log",
        *([f"proc-user={user}", f"proc-group={user}"] if user else []),
    ]
    return "\n".join(lines) + "\n"


def write_configuration(file: Path, relay: RelaySettings, secret: str) -> None:
    """Write turnserver.conf, readable by whom runs the server only. Raises OSError, ValueError."""
    user = USER if os.geteuid() == 0 and _exists(USER) else None
    text = configuration(relay, secret, address=relay.address or main_address(), user=user)
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as output:
        output.write(text)
    beside.replace(file)


def _exists(user: str) -> bool:
    import pwd  # not on Windows

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.turn",
        description="Write the configuration of the TURN server beside the performer, for `turnserver -c FILE`. "
        "Settings are UNDERSTUDY_RELAY__<KEY> and UNDERSTUDY_SIGNALING__TURN_SECRET.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="turnserver.conf")
    options = parser.parse_args(arguments)
    try:
        settings = _Settings.load()
        if settings.signaling.turn_secret is None:
            raise SettingsError("UNDERSTUDY_SIGNALING__TURN_SECRET is not set; the signaling service needs the same.")
        write_configuration(options.file, settings.relay, settings.signaling.turn_secret.get_secret_value())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"The TURN server's configuration cannot be written: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
