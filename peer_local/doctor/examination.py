"""All checks at once, each within its time; one that crashes or hangs is a finding like the others."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from peer_local.doctor import devices, network, system
from peer_local.doctor.finding import Finding
from peer_local.doctor.machine import Machine
from peer_local.settings import Settings

T = TypeVar("T")

Check = Callable[[Machine, Settings], Finding]


@dataclass(frozen=True, slots=True)
class Planned:
    """A check, what its finding is called, and how long it may take."""

    id: str
    title: str
    check: Check
    limit_s: float = 4.0


CHECKS: tuple[Planned, ...] = (
    Planned("python", "Python", system.python),
    Planned("processor", "Processor", system.processor),
    Planned("memory", "Memory", system.memory),
    Planned("gpu", "GPU for the ears", system.gpu, 8.0),
    Planned("weights", "Weights", system.weights, 9.0),
    Planned("virtual_camera", "Virtual camera", devices.virtual_camera, 6.0),
    Planned("webcam", "Your webcam", devices.webcam, 9.0),
    Planned("virtual_microphone", "Virtual microphone", devices.virtual_microphone, 9.0),
    Planned("real_microphone", "Your microphone", devices.real_microphone, 9.0),
    Planned("call_sound", "What the double hears", devices.call_sound, 9.0),
)
NETWORK_LIMIT_S = 9.5
IDS = (*(planned.id for planned in CHECKS), *network.IDS)
"""Every finding's id, in the order of the report."""

SOUND = ("virtual_microphone", "real_microphone", "call_sound")
"""PortAudio is one per process: these run one after the other."""


async def examine(
    machine: Machine,
    settings: Settings,
    *,
    checks: Sequence[Planned] = CHECKS,
    network_limit_s: float = NETWORK_LIMIT_S,
) -> list[Finding]:
    """Run all checks; takes as long as the slowest, some 10 s at most."""
    sound = threading.Lock()

    def ask(planned: Planned) -> Finding:
        if planned.id in SOUND:
            with sound:
                return planned.check(machine, settings)
        return planned.check(machine, settings)

    async def one(planned: Planned) -> list[Finding]:
        try:
            async with asyncio.timeout(planned.limit_s):
                return [await on_thread(lambda: ask(planned), name=f"doctor-{planned.id}")]
        except Exception as error:
            return [_crashed(planned.id, planned.title, error, planned.limit_s)]

    async def all_network() -> list[Finding]:
        try:
            async with asyncio.timeout(network_limit_s):
                return await network.examine(machine, settings)
        except Exception as error:
            return [_crashed(id, network.TITLES[id], error, network_limit_s) for id in network.IDS]

    async with asyncio.TaskGroup() as group:
        jobs: list[Awaitable[list[Finding]]] = [
            *(group.create_task(one(planned), name=f"doctor-{planned.id}") for planned in checks),
            group.create_task(all_network(), name="doctor-network"),
        ]
    return [finding for job in jobs for finding in await job]


async def on_thread(work: Callable[[], T], *, name: str) -> T:
    """`work`'s result from a thread that dies with the program: a driver that hangs must not keep it alive."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def finish(value: T | None, error: Exception | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # T may be None

    def run() -> None:
        value, error = None, None
        try:
            value = work()
        except Exception as caught:
            error = caught
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, value, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await result


def _crashed(id: str, title: str, error: Exception, limit_s: float) -> Finding:
    if isinstance(error, TimeoutError):
        return Finding(id, title, "fail", f"no answer within {limit_s:g} s", "Unplug or restart the device; try again.")
    reason = " ".join(str(error).split())[:120]
    found = f"the check itself failed: {type(error).__name__}{f', {reason}' if reason else ''}"
    return Finding(id, title, "fail", found, "Please report this line.")
