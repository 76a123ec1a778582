"""What is shown of services and of memory before anything is started."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from peer_remote.services.budget import Plan, Refusal, plan
from peer_remote.services.gpus import Gpu
from peer_remote.services.needs import Need
from peer_remote.services.service import Service

_WIDTH = 120


def show(*parts: Table | str) -> None:
    """Print to standard output, without cutting anything off where that is no terminal."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for part in parts:
        if isinstance(part, str):
            print(part, flush=True)
        else:
            console.print(part)


def services_table(services: Iterable[Service]) -> Table:
    table = Table("service", "runs", "address", "after", "GPU memory")
    for service in services:
        table.add_row(
            service.name,
            "here" if service.command else "elsewhere",
            service.address or "-",
            ", ".join(service.after) or "-",
            f"{service.vram_gib:.1f} GiB" if service.vram_gib else "-",
        )
    return table


def services_json(services: Iterable[Service]) -> str:
    """The same for programs, with commands and times; keys are named, never shown."""
    listed: list[dict[str, Any]] = [
        {
            "name": service.name,
            "here": bool(service.command),
            "command": list(service.command),
            "environment": dict(service.environment),
            "secrets": sorted(service.secrets),
            "health": {"kind": service.health.kind, "url": service.health.url},
            "after": list(service.after),
            "start_s": service.start_s,
            "stop_s": service.stop_s,
            "ended_within_s": service.ended_within_s,
            "vram_gib": round(service.vram_gib, 1),
        }
        for service in services
    ]
    return json.dumps(listed, indent=2)


def commands(services: Iterable[Service]) -> str:
    return "\n".join(f"{service.name}: {shlex.join(service.command)}" for service in services if service.command)


def needs_table(needs: Iterable[Need]) -> Table:
    table = Table("service", "engine", "GPU memory", "the figure is")
    for need in needs:
        table.add_row(need.service, need.what, f"{need.gib:.1f} GiB", need.basis)
    return table


def budget_table(needs: Sequence[Need], machines: Mapping[str, Sequence[Gpu]], *, reserve: float) -> Table:
    """What fits where."""
    table = Table("GPUs", "what goes where", "left of each, GiB")
    for name, gpus in machines.items():
        table.add_row(name, *_cells(plan(needs, gpus, reserve=reserve), gpus))
    return table


def this_machine(gpus: Sequence[Gpu]) -> Mapping[str, Sequence[Gpu]]:
    """The row of this machine, if it has a GPU."""
    if not gpus:
        return {}
    cards = ", ".join(f"{gpu.name} {gpu.gib:.1f} GiB, {gpu.used_gib:.1f} in use now" for gpu in gpus)
    return {f"here: {cards}": gpus}


def _cells(found: Plan | Refusal, gpus: Sequence[Gpu]) -> tuple[str, str]:
    if isinstance(found, Refusal):
        return f"refused: {found.reason}", "-"
    by_gpu: Mapping[int, list[str]] = {
        number: [name for name, place in found.gpu.items() if place == number] for number in range(len(gpus))
    }
    parts = [f"GPU {number}: {' + '.join(names) or 'nothing'}" for number, names in by_gpu.items()]
    return "; ".join(parts), ", ".join(f"{free:.1f}" for free in found.free_gib)
