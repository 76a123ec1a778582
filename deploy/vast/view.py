"""What a person sees while a rental goes on: finished parts with their times, the present one with its news."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

from rich.console import Console, ConsoleRenderable, RichCast
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from deploy.vast.estimate import expected_start, in_minutes, traffic_usd
from deploy.vast.needs import Needs
from deploy.vast.offers import Offer
from deploy.vast.rental import Rental

DIM = "grey54"
GOOD, WAITING, WARNING = "#4ade80", "#38bdf8", "bold #facc15"
REFRESHES_PER_S = 4
PLAIN_S = 30.0
"""Without a terminal, the present part is said again after so long."""
SHOWN_OFFERS = 8
LONGEST_NOTE = 90

WORDS = {
    "renting": "rent",
    "settling": "see whether it was rented",
    "scheduling": "wait for the host",
    "image": "image",
    "starting": "start the container",
    "network": "network",
    "packages": "system packages",
    "source": "clone",
    "environment": "Python packages",
    "weights": "weights",
    "compile": "language model and voice",
    "warm-up": "warm-up",
    "ready": "ready",
    "checking": "test call",
    "closing": "see that nothing else is rented",
    "removing": "destroy it, and prove it",
    "ended": "end",
}


def offers_table(offers: Sequence[Offer], needs: Needs) -> Table:
    """It fits into 80 columns: the GPU's name and the place take a second line before anything is cut."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style=DIM)
    for name in ("", "GPU", "memory", "$/h", "traffic $", "ready in", "where", "GHz", "Mb/s", "reliable"):
        words = name in ("GPU", "where")
        table.add_column(name, justify="left" if words else "right", no_wrap=not words and name != "traffic $")
    for number, offer in enumerate(offers[:SHOWN_OFFERS], start=1):
        table.add_row(
            str(number),
            escape(offer.gpu),
            f"{offer.vram_gib:.0f} GiB",
            f"{offer.usd_per_hour:.2f}",
            f"{traffic_usd(offer, needs):.2f}",
            in_minutes(expected_start(offer, needs).total_s),
            escape(offer.place or "unknown"),
            f"{offer.cpu_ghz:.1f}",
            f"{offer.inet_down_mbps:.0f}",
            f"{offer.reliability * 100:.1f} %",
            style="" if number == 1 else DIM,
        )
    return table


def elapsed(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def host_line(rental: Rental) -> str:
    """The offer that is being tried."""
    offer = rental.offer
    if offer is None:
        return ""
    number = f", instance {rental.instance.id}" if rental.instance else ""
    return f"{offer.gpu}, {offer.place or 'somewhere'}, ${offer.usd_per_hour:.2f} per hour{number}"


def present_line(rental: Rental, stopping: bool) -> str:
    """What goes on at the moment."""
    words = WORDS.get(rental.phase, rental.phase)
    if rental.stage == "removing" and rental.tries:
        words = f"{words} ({rental.tries[-1].reason})"
    note = " ".join(rental.note.split())[:LONGEST_NOTE]
    ending = ", then this ends" if stopping and rental.stage != "removing" else ""
    return f"{words}{f': {note}' if note else ''}{ending}"


def past_lines(rental: Rental) -> list[str]:
    """The parts that are done, with their times, of the host that is tried now."""
    begins = [
        index
        for index, ((phase, _), (following, _)) in enumerate(pairwise(rental.timeline))
        if phase == "renting" and following != "ended"
    ]
    steps = rental.timeline[begins[-1] if begins else 0 :]
    return [
        f"{WORDS.get(phase, phase):<30}{elapsed(ended_s - began_s):>7}"
        for (phase, began_s), (_, ended_s) in pairwise(steps)
        if phase not in ("renting", "ended") and ended_s - began_s >= 1.0
    ]


def lost_lines(rental: Rental) -> list[str]:
    """The hosts that were given up, and why."""
    return [f"{tried.offer.gpu}, {tried.offer.place or 'somewhere'}: {tried.reason}" for tried in rental.tries]


class View:
    """A live picture in a terminal, and lines elsewhere."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._spinner = Spinner("dots", style=WAITING)
        self._said: tuple[str, float] = ("", 0.0)
        self.rental: Rental | None = None
        self.stopping: Callable[[], bool] = lambda: False

    def shown(self, rental: Rental) -> AbstractContextManager[object]:
        """While this is entered, the rental is shown."""
        self.rental = rental
        if not self._console.is_terminal:
            return nullcontext()
        return Live(
            get_renderable=self._picture, console=self._console, refresh_per_second=REFRESHES_PER_S, transient=True
        )

    def update(self) -> None:
        """Something may have changed; says so where there is no terminal."""
        rental = self.rental
        if rental is None or self._console.is_terminal or rental.stage == "ended":
            return
        now_s = self._clock()
        phase, said_s = self._said
        if rental.phase != phase or now_s - said_s >= PLAIN_S:
            if rental.stage == "waiting" and phase in ("", "renting", "settling"):
                self._console.print(host_line(rental), markup=False)
            self._said = (rental.phase, now_s)
            since = elapsed(now_s - rental.timeline[0][1])
            self._console.print(f"  {since:>5}  {present_line(rental, self.stopping())}", markup=False, soft_wrap=True)

    def _picture(self) -> ConsoleRenderable | RichCast | str:
        rental = self.rental
        if rental is None or rental.offer is None:
            return ""
        now_s = self._clock()
        grid = Table.grid(padding=(0, 1))
        for line in lost_lines(rental):
            grid.add_row(Text("✗", style=WARNING), Text(line, style=DIM))
        grid.add_row("", Text(host_line(rental), style="bold"))
        for line in past_lines(rental):
            grid.add_row(Text("✓", style=GOOD), Text(line, style=DIM))
        if rental.stage == "ended":
            return grid
        present = Text(present_line(rental, self.stopping()), no_wrap=True, overflow="ellipsis")
        present.append(f"  {elapsed(now_s - rental.since_s)}", style=DIM)
        if self.stopping():
            present.stylize(WARNING)
        grid.add_row(self._spinner, present)
        return grid
