"""The services of one machine, in the order of starting: those of the engines, and what joins them to their user."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from deploy.machine.environment import RENTAL
from deploy.machine.keys import ENGINE_KEYS
from deploy.machine.settings import MachineSettings
from peer_remote.services.local import local_services
from peer_remote.services.service import NAMES, Health, Service
from peer_remote.services.settings import MachineSettings as EngineMachineSettings

SIGNALING: Final = "signaling"
TURN: Final = "turn"
PERFORMER: Final = "performer"
WATCHDOG: Final = "watchdog"
ENGINES: Final = ("llm", "voice", "face")
"""Services that engines of the performer connect to."""


def machine_services(
    settings: MachineSettings, local: tuple[Service, ...], *, turn_configuration: Path | None, turn_address: str = ""
) -> tuple[Service, ...]:
    """All services of this machine; `local` are those that peer_remote describes, the performer among them."""
    signaling = Service(
        SIGNALING,
        (sys.executable, "-m", "signaling", "--room", settings.room),
        Health("http", f"https://127.0.0.1:{settings.signaling_port}/healthz"),
        start_s=30.0,
    )
    services = [signaling]
    if turn_configuration is not None:
        services.append(
            Service(
                TURN,
                ("turnserver", "-c", str(turn_configuration)),
                Health("tcp", f"tcp://{turn_address}:{settings.turn_port}", every_s=10.0),
                start_s=15.0,
            )
        )
    services += local
    # After the performer, and before it is well: a machine that never gets ready has to go off too.
    services.append(
        Service(WATCHDOG, (sys.executable, "-m", "deploy.machine", "watchdog"), Health("process"), stop_s=5.0)
    )
    return tuple(services)


def metrics_url(settings: MachineSettings) -> str:
    """Where the performer tells how it is."""
    return f"http://127.0.0.1:{settings.metrics_port}/metrics"


def engine_services() -> tuple[Service, ...]:
    """What `python -m peer_remote services` starts by the settings of this process's environment, the double last.

    Each is a program of its own: that command keeps it, and the secrets come from the environment. Raises SettingsError
    and ServicesError.
    """
    return tuple(
        replace(
            service,
            command=(sys.executable, "-m", "peer_remote", "services", "--only", service.name),
            environment={},
            secrets={},
            after=(*service.after, SIGNALING) if service.name == PERFORMER else service.after,
            stop_s=service.ended_within_s,
        )
        for service in local_services(EngineMachineSettings.load())
    )


def keeps_itself(service: Service) -> bool:
    """Whether the service's command asks for its health and starts it again by itself."""
    return service.name in NAMES


def environment_of(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What one service finds in its environment: each sees only the secrets that it uses."""
    hidden: tuple[str, ...] = () if name == WATCHDOG else RENTAL
    if name != SIGNALING:
        hidden += ("UNDERSTUDY_SIGNALING__SECRET", "UNDERSTUDY_SIGNALING__TURN_SECRET")
    if name in (SIGNALING, TURN, WATCHDOG):
        hidden += (*ENGINE_KEYS, "UNDERSTUDY_REMOTE__TOKEN")
    if name == TURN:  # it has its own file
        return {
            key: value for key, value in variables.items() if not key.startswith("UNDERSTUDY_") and key not in hidden
        }
    return {key: value for key, value in variables.items() if key not in hidden}
