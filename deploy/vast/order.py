"""What is ordered with a rent: image, ports, a short start-up text without secrets, and the container's environment."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.vast.source import Source, SourceError
from signaling.settings import PREFIX

SIGNALING_PORT = 8443
TURN_PORT = 3478
MEDIA_PORTS = (40_000, 40_001, 40_002)
"""In the container: signaling and TURN over TCP, media over UDP. The API refuses one number for both."""
PORTS_NEEDED = 2 + len(MEDIA_PORTS) + 1
"""With the one of SSH."""
LONGEST_ONSTART = 750
"""The API refuses more than 4,048 characters; a text that is easily read is enough."""
CHECKOUT = "/workspace/source"

PASSED_ON = frozenset(("llm", "tts", "face", "persona", "remote", "vad", "turn", "asr"))
"""Sections whose settings are the user's wishes for the double, wherever it runs."""
OF_THIS_MACHINE = frozenset(
    (
        "url key lora photo avatar recording file notice_file dir cache_dir match_dir notes_dir checkout python "
        "checkpoint signaling_url signaling_pin token room media_ports public_address public_ports metrics_port "
        "log_level threads device"
    ).split()
)
"""Keys that mean something on this machine only."""


@dataclass(frozen=True, slots=True)
class Order:
    """What every host is asked for; the same for each try."""

    label: str
    image: str
    disk_gib: float
    source: Source
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """As the API takes it. The environment is the only place in which secrets are."""
        return {
            "client_id": "me",
            "image": self.image,
            "env": {**self.environment, **self.secrets, **ports()},
            "price": None,  # on demand; a price would be a bid, which anybody can outbid
            "disk": self.disk_gib,
            "label": self.label,
            "onstart": onstart(self.source),
            # SSH's runtype runs the start-up text as a script, and `deploy ssh` gets in.
            "runtype": "ssh_direc ssh_proxy",
            "cancel_unavail": True,  # rather none than one that waits, stopped and paid for
            "force": False,
        }


def ports() -> dict[str, str]:
    """The published ports, as the API has them in its environment."""
    tcp = {f"-p {port}:{port}": "1" for port in (SIGNALING_PORT, TURN_PORT)}
    return tcp | {f"-p {port}:{port}/udp": "1" for port in MEDIA_PORTS}


def onstart(source: Source) -> str:
    """The script that the container runs at each start; whoever sees the instance can read it. Raises SourceError.

    All that it says goes where the container's first process writes, because that is what the API gives as the log.
    """
    text = f"""#!/bin/bash
[ -w /proc/1/fd/1 ] && exec >>/proc/1/fd/1 2>&1
R={shlex.quote(source.repository)} C={shlex.quote(source.commit)}
die() {{ echo "==> $(date -u +%FT%TZ) source failed: $1"; exit 1; }}
command -v git || {{ apt-get -q update && apt-get -qy install git ca-certificates; }} || die "git cannot be installed."
mkdir -p {CHECKOUT} && cd {CHECKOUT} && git init -q || die "The disk cannot be written."
git cat-file -e $C || git fetch -q --depth 1 "$R" $C || git fetch -q "$R" || die "The repository cannot be cloned."
git checkout -qf --detach $C || die "The repository lacks the commit."
exec bash deploy/onstart.sh
"""
    if len(text) > LONGEST_ONSTART:
        raise SourceError("The repository's address is too long for a start-up text; use a shorter one.")
    return text


def wishes_of(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The settings that go to the machine, out of the variables of this one."""
    passed: dict[str, str] = {}
    for name, value in variables.items():
        section, *keys = name.upper().removeprefix(PREFIX).lower().split("__")
        if not name.upper().startswith(PREFIX) or not keys or value is None:
            continue
        if section in PASSED_ON and keys[-1] not in OF_THIS_MACHINE:
            passed[name.upper()] = value
    return passed


def machine_environment(
    *,
    label: str,
    services: Iterable[str],
    room: str,
    max_hours: float,
    idle_minutes: float,
    warn_minutes: float,
) -> dict[str, str]:
    """How the machine behaves; none of it is secret."""
    settings: dict[str, str] = {
        "services": ",".join(services),
        "signaling_port": str(SIGNALING_PORT),
        "turn_port": str(TURN_PORT),
        "media_ports": ",".join(map(str, MEDIA_PORTS)),
        "room": room,
        "max_hours": f"{max_hours:g}",
        "idle_minutes": f"{idle_minutes:g}",
        "warn_minutes": f"{warn_minutes:g}",
        "at_end": "destroy",
    }
    return {"RENTAL_LABEL": label} | {f"{PREFIX}MACHINE__{key.upper()}": value for key, value in settings.items()}
