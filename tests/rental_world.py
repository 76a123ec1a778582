"""A rental whose Vast.ai, hosts, time and test call are ours: what tests and the bench drive."""

import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from deploy.settings import DeploySettings
from deploy.vast.client import Vast
from deploy.vast.desk import Desk
from deploy.vast.driver import Stops
from deploy.vast.instance import Instance
from deploy.vast.ledger import Ledger
from deploy.vast.record import Record, Records
from deploy.vast.rental import Rental
from deploy.vast.source import Source
from deploy.vast.up import look_around, rent, tell
from deploy.vast.wire import Wire
from tests.vast_api import KEY, FakeVast, Plan, offer
from tests.vast_serving import opened

SOURCE = Source("https://example.org/somebody/understudy", "0123456789" * 4)
WELL = (sys.executable, "-c", "print('heard and seen')")
UNWELL = (sys.executable, "-c", "import sys; sys.exit('No sound came back within 20 s.')")
EPOCH_S = 1_764_000_000.0


@dataclass
class Clock:
    """Time that passes when somebody sleeps, and a little with every look at it."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class World:
    """One user's desk before one fake Vast.ai."""

    fake: FakeVast
    clock: Clock
    desk: Desk
    stops: Stops = field(default_factory=Stops)
    stop_at_s: list[float] = field(default_factory=list)
    """When Ctrl-C is pressed."""

    def pause(self, seconds: float) -> None:
        """Time goes on until the end of the pause, or until somebody presses Ctrl-C."""
        until_s = self.clock.now_s + seconds
        if self.stop_at_s and self.stop_at_s[0] <= until_s:
            self.clock.now_s = max(self.clock.now_s, self.stop_at_s.pop(0))
            self.stops.ask()
        else:
            self.clock.now_s = until_s

    def up(self, *, keep: bool = False) -> tuple[int, Rental, Record]:
        """What `up --yes` does once it knows what to clone; its exit status."""
        market = look_around(self.desk)
        settings = self.desk.settings
        record = self.desk.records.make(settings.label, settings.room, settings.max_hours)
        rental = rent(self.desk, market, SOURCE, record, self.stops, keep=keep)
        return tell(self.desk, rental, record), rental, record

    @property
    def said(self) -> str:
        """All that was printed."""
        output = self.desk.console.file
        assert isinstance(output, io.StringIO)
        return output.getvalue()


def progress(*events: tuple[float, str]) -> tuple[tuple[float, str], ...]:
    """A container's log: seconds after it runs → `PHASE STATE: TEXT`."""
    return tuple(
        (at_s, f"==> 2026-11-25T{int(at_s) // 3600:02d}:{int(at_s) // 60 % 60:02d}:{int(at_s) % 60:02d}Z {event}")
        for at_s, event in events
    )


GOOD_LOG = progress(
    (1, "network began"),
    (3, "network done"),
    (4, "packages began"),
    (30, "packages done"),
    (31, "environment began"),
    (150, "environment done"),
    (151, "weights began"),
    (300, "weights note: 7 of 13 GB"),
    (420, "weights done"),
    (421, "compile began"),
    (540, "warm-up began"),
    (620, "ready done: the double is on stage"),
)
GOOD = Plan(schedule_s=6, image_s=75, log=GOOD_LOG)


def world(
    folder: Path,
    *,
    plans: dict[int, Plan] | None = None,
    offers: int = 3,
    check: Sequence[str] = WELL,
    variables: Mapping[str, str | None] | None = None,
    **settings: object,
) -> World:
    """Offers 1, 2, 3 …, the first the cheapest; every host is a good one unless `plans` says otherwise."""
    clock = Clock()
    fake = FakeVast(clock, offers=[offer(number) for number in range(1, offers + 1)])
    fake.plans = dict.fromkeys(range(1, offers + 1), GOOD) | (plans or {})
    deploy = DeploySettings(dir=folder / "rental", **settings)  # type: ignore[arg-type]
    wire = Wire(KEY, server="https://vast.example", opened=opened(fake))
    made = World(
        fake,
        clock,
        Desk(
            deploy,
            Vast(wire, clock=clock, sleep=clock.sleep),
            Ledger(deploy.dir, lambda: EPOCH_S + clock()),
            Records(deploy.dir),
            console=Console(file=io.StringIO(), width=200, highlight=False),
            root=folder,
            clock=clock,
            sleep=clock.sleep,
            health=_silent,
            check_command=check,
            variables=variables or {},
        ),
    )
    made.desk = replace(made.desk, pause=made.pause)
    return made


def _silent(instance: Instance, record: Record) -> None:
    """Nobody answers at an address of the documentation."""
