"""`python -m peer_remote services`: start what this machine runs, and keep it running."""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from peer_remote.services import running, tables
from peer_remote.services.budget import CARDS, Refusal, plan
from peer_remote.services.errors import ServicesError
from peer_remote.services.gpus import Gpu, seen_gpus
from peer_remote.services.guard import GRACE_S
from peer_remote.services.local import TOKEN, needed, wanted_services
from peer_remote.services.needs import Need
from peer_remote.services.probes import is_well
from peer_remote.services.service import NAMES, Health, Service
from peer_remote.services.settings import MachineSettings, ServicesSettings
from signaling import logs
from signaling.settings import SettingsError

logger = logging.getLogger(__name__)

TAKEN_S: Final = GRACE_S + 1.0
"""So long an address may still be taken by the services of a supervisor that was killed: its guard ends them."""
_ANSWERS_WITHIN_S: Final = 1.0
_ASK_AGAIN_S: Final = 0.2


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit status is 1 when it cannot start, 2 when the settings are wrong, 0 when told to end."""
    options = _parser().parse_args(arguments)
    try:
        settings = MachineSettings.load()
        if options.budget:
            _show_budget(settings)
            return 0
        services = wanted_services(settings, only=options.only)
        if options.json:
            print(tables.services_json(services))
            return 0
        if options.list:
            tables.show(tables.services_table(services), tables.commands(services))
            return 0
        return _start(settings, services, options.only)
    except SettingsError as error:
        return _refuse(error, 2)
    except ServicesError as error:
        return _refuse(error, 1)


def _show_budget(settings: MachineSettings) -> None:
    needs, gpus = needed(settings), seen_gpus()
    if not needs:
        tables.show("None of what the settings start on this machine works on a GPU.")
        return
    machines = {**CARDS, **tables.this_machine(gpus)}
    table = tables.budget_table(needs, machines, reserve=settings.services.vram_reserve)
    tables.show(tables.needs_table(needs), table)
    if not gpus:
        tables.show("This machine has no NVIDIA GPU, or none that its driver tells of.")


def _start(settings: MachineSettings, services: tuple[Service, ...], only: str | None) -> int:
    started = [service for service in services if service.command]
    if not started:
        raise ServicesError("Nothing is to be started here; UNDERSTUDY_SERVICES__START names nothing that is wanted.")
    if settings.remote.token is None and any(service.name == "performer" for service in started):
        raise SettingsError(f"{TOKEN} is not set; make one with `python -m signaling token --role performer`.")
    logs.setup(settings.remote.log_level)
    needs, gpus = needed(settings), seen_gpus()
    if needs and gpus:
        table = tables.budget_table(needs, tables.this_machine(gpus), reserve=settings.services.vram_reserve)
        tables.show(tables.needs_table(needs), table)
    services = placed(services, needs, gpus, settings.services)
    asyncio.run(_require_free(started))
    return running.run(services, settings.services, status_port=status_port(settings.services.status_port, only))


def status_port(port: int, only: str | None) -> int:
    """Where the status is served: programs that are started one by one from the same settings do not share a port."""
    return port + NAMES.index(only) if port and only else port


def placed(
    services: tuple[Service, ...], needs: Sequence[Need], gpus: Sequence[Gpu], settings: ServicesSettings
) -> tuple[Service, ...]:
    """The services, each with its GPU where there are several. Raises ServicesError when they do not fit.

    The plan is made from what the cards have, not from what is free at the moment, so that programs that are started
    one by one (--only) agree on it.
    """
    if not gpus:
        if needs:
            logger.info("no_gpu", extra={"engines": [need.what for need in needs]})
        return services
    found = plan(needs, gpus, reserve=settings.vram_reserve)
    if isinstance(found, Refusal):
        if settings.vram_check:
            reason = found.reason.removesuffix(".")
            raise ServicesError(f"{reason}; UNDERSTUDY_SERVICES__VRAM_CHECK=false starts them nevertheless.")
        logger.warning("gpu_memory_short", extra={"reason": found.reason})
        return services
    logger.info("gpu_memory", extra={"free_gib": [round(gib, 1) for gib in found.free_gib], "gpu": dict(found.gpu)})
    if len(gpus) == 1:
        return services
    return tuple(
        replace(service, environment={**service.environment, "CUDA_VISIBLE_DEVICES": gpus[found.gpu[service.name]].id})
        if service.command and service.name in found.gpu
        else service
        for service in services
    )


async def _require_free(services: Sequence[Service]) -> None:
    """Raises ServicesError for an address at which somebody listens, who is not about to end."""
    for service in services:
        if not service.address:
            continue
        until_s = time.monotonic() + TAKEN_S
        while await is_well(Health("tcp", service.health.url, timeout_s=_ANSWERS_WITHIN_S)):
            if time.monotonic() >= until_s:
                raise ServicesError(
                    f"Something listens at {service.address} already; stop it, or leave {service.name} out of "
                    "UNDERSTUDY_SERVICES__START if it is what you want."
                )
            await asyncio.sleep(_ASK_AGAIN_S)


def _refuse(reason: object, status: int) -> int:
    print(f"peer_remote: {reason}", file=sys.stderr, flush=True)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m peer_remote services",
        description="Start what this machine runs (the servers of the language model, the voice and the face where the "
        "settings want them on loopback, then the performer), and start again what fails. Ctrl-C ends all.",
        epilog="All settings are environment variables UNDERSTUDY_<SECTION>__<KEY>, or lines of a file named .env.",
    )
    parser.add_argument("--only", choices=NAMES, metavar="NAME", help=f"start one of them: {', '.join(NAMES)}")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show what would be started, and start nothing")
    what.add_argument("--json", action="store_true", help="the same for programs")
    what.add_argument("--budget", action="store_true", help="show what fits on which GPUs, and start nothing")
    return parser
