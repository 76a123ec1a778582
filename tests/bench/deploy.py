"""How long `make deploy-gpu` takes and what it costs: time lines of hosts that do well, badly or not at all.

Time is the fake Vast.ai's, so that an hour passes in a moment; the program is the real one. Hosts and lines of progress
are scripted, so the figures say what our polling, limits, second tries and proofs add, never how fast a host is.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from deploy.vast import commands
from tests.rental_world import GOOD, GOOD_LOG, World, progress, world
from tests.vast_api import Plan

READY_S = GOOD.schedule_s + GOOD.image_s + GOOD_LOG[-1][0]
"""When a good host says that it is ready."""
CACHED = Plan(schedule_s=4, image_s=3, log=progress((1, "network began"), (3, "weights done"), (45, "ready done")))
"""A host that has the image and a volume that has the weights."""


STOP_S = 200.0
"""When Ctrl-C is pressed."""


@dataclass(frozen=True)
class Case:
    """One story, and what is done to its world before it begins."""

    name: str
    prepare: Callable[[World], None]


def _hosts(**plans: Plan) -> Callable[[World], None]:
    def prepare(it: World) -> None:
        it.fake.plans |= {int(name[1:]): plan for name, plan in plans.items()}

    return prepare


def _busy(it: World) -> None:
    it.fake.fail("instances", *(("429", "500") * 10))
    it.fake.fail("request_logs", *(("429",) * 5))


def _lost(it: World) -> None:
    it.fake.fail("rent", "lost after")


def _lost_before(it: World) -> None:
    it.fake.fail("rent", "lost")


def _stopped(it: World) -> None:
    it.stop_at_s = [STOP_S]


def _stopped_when_busy(it: World) -> None:
    it.stop_at_s = [STOP_S]
    it.fake.fail("destroy", "429", "500", "lost")


CASES = (
    Case("good", lambda it: None),
    Case("cached", _hosts(o1=CACHED)),
    Case("busy_api", _busy),
    Case("lost_answer", _lost),
    Case("lost_request", _lost_before),
    Case("never_scheduled", _hosts(o1=Plan(schedule_s=1e9))),
    Case("image_hangs", _hosts(o1=Plan(image_s=1e9))),
    Case("start_fails", _hosts(o1=Plan(log=progress((40, "weights failed: The hub does not answer."))))),
    Case("no_ports", _hosts(o1=Plan(opens_ports=False))),
    Case("vanishes", _hosts(o1=Plan(vanishes_s=120))),
    Case("ctrl_c", _stopped),
    Case("ctrl_c_busy_api", _stopped_when_busy),
)
STOPPED = frozenset(("ctrl_c", "ctrl_c_busy_api"))


async def measure() -> dict[str, float]:
    figures: dict[str, float] = {}
    left = 0
    print(f"{'case':<17}{'ends after s':>13}{'paid $':>9}{'requests':>10}  parts")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            it = world(Path(folder))
            case.prepare(it)
            status, rental, _ = it.up()
            ready = status == 0
            assert ready != (case.name in STOPPED), (case.name, it.said)
            left += len(it.fake.rented) - int(ready)
            took_s = it.clock.now_s
            ends_s = took_s - STOP_S if case.name in STOPPED else took_s
            requests = len(it.fake.requests)
            parts = ", ".join(f"{phase} {at_s:.0f}" for phase, at_s in rental.timeline)
            print(f"{case.name:<17}{ends_s:>13.0f}{it.fake.usd():>9.3f}{requests:>10}  {parts}")
            if case.name == "good":
                figures["added_to_a_good_host_s"] = round(took_s - READY_S, 1)
                figures["requests_per_minute"] = round(requests / took_s * 60, 1)
                _down(it, figures)
                left += len(it.fake.rented)
            figures[f"{case.name}_s"] = round(ends_s, 1)
    return {**figures, "left_rented": left}


def _down(it: World, figures: dict[str, float]) -> None:
    """Give it back."""
    began_s = it.clock.now_s
    with patch.object(commands, "open_desk", lambda: it.desk):
        assert commands.down([]) == 0
    figures["down_s"] = round(it.clock.now_s - began_s, 1)
