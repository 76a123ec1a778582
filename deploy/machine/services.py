"""The services of one machine, in the order of starting: those of the engines, and what joins them to their user."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.machine.environment import RENTAL
from deploy.machine.settings import MachineSettings
from peer_remote.services.service import Health, Service

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


def performer_alone(settings: MachineSettings) -> Service:
    """The double with engines of its own."""
    return Service(
        PERFORMER,
        (sys.executable, "-m", "peer_remote"),
        Health("http", metrics_url(settings), timeout_s=5.0, every_s=10.0, failures=6),
        after=(SIGNALING,),
        start_s=300.0,
        stop_s=10.0,
    )


def environment_of(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """What one service finds in its environment: each sees only the secrets that it uses."""
    hidden: tuple[str, ...] = () if name == WATCHDOG else RENTAL
    if name != SIGNALING:
        hidden += ("UNDERSTUDY_SIGNALING__SECRET",)
    if name in (SIGNALING, TURN, WATCHDOG):
        hidden += ("UNDERSTUDY_LLM__KEY", "UNDERSTUDY_TTS__FISH_SPEECH__KEY", "UNDERSTUDY_REMOTE__TOKEN")
    if name == TURN:  # it has its own file
        return {
            key: value for key, value in variables.items() if not key.startswith("UNDERSTUDY_") and key not in hidden
        }
    return {key: value for key, value in variables.items() if key not in hidden}
