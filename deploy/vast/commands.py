"""`python -m deploy offers|status|logs|stop|start|down|ssh|cost`: for what is rented, or could be."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rich.markup import escape
from rich.table import Table

from deploy import connection_file
from deploy.console import SetupError
from deploy.vast.client import patiently
from deploy.vast.desk import Desk, open_desk
from deploy.vast.driver import Stops, drive
from deploy.vast.fleet import NO_SSH, age_h, belongs, forget_the_gone, how_to_destroy, noted, ours, ssh_command, the_one
from deploy.vast.hands import Hands
from deploy.vast.instance import Instance
from deploy.vast.ledger import SECONDS_PER_HOUR, too_dear
from deploy.vast.offers import Offer
from deploy.vast.order import SIGNALING_PORT
from deploy.vast.removal import Removal
from deploy.vast.rental import Rental
from deploy.vast.steps import Rent, Rented
from deploy.vast.up import alone, limits_of, look_around, show_market, watch
from deploy.vast.wire import WireError

FOLLOW_S = 5.0
LOG_LINES = 200
KEY_REFUSED = (401, 403)
"""Asking again with the same key is of no use."""
CLOCKS_DIFFER = timedelta(minutes=1)
"""A host's clock and ours."""
HEADINGS = {"gpu": "GPU", "usd_per_hour": "$/h", "usd": "$ so far"}
WHOLE = ("instance", "usd_per_hour", "hours", "address")
"""Columns whose values a narrow terminal never breaks."""
STOPPED_LONGEST_S = 30 * 24 * 3_600.0
"""How long a stopped machine's disk is counted when nobody looks."""


def offers(arguments: Sequence[str]) -> int:
    _parser("offers", "Show what could be rented now; rents nothing.").parse_args(arguments)
    desk = open_desk()
    show_market(desk, look_around(desk))
    return 0


def status(arguments: Sequence[str]) -> int:
    parser = _parser("status", "Show what is rented and how it is.")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    options = parser.parse_args(arguments)
    desk = open_desk()
    found = ours(desk)
    noted(lambda: desk.ledger.reconcile(found))
    gone = forget_the_gone(desk, found)
    rows = [_state(instance, desk) for instance in found]
    if options.json:
        print(json.dumps({"instances": rows}))
        return 0
    if not rows:
        print(
            f"Nothing is rented.{' The double that `make local` knew is gone; it performs here again.' if gone else ''}"
        )
        return 0
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="grey54")
    shown = [name for name in rows[0] if name != "label"]
    for name in shown:
        table.add_column(HEADINGS.get(name, name), no_wrap=name in WHOLE)
    for row in rows:
        table.add_row(*(escape(str(row[name])) for name in shown))
    desk.console.print(table)
    return 0


def _state(instance: Instance, desk: Desk) -> dict[str, object]:
    record = desk.records.find(instance.label)
    health = desk.health(instance, record) if record is not None and instance.status == "running" else None
    hours = age_h(instance, time.time)
    return {
        "instance": instance.id,
        "label": instance.label,
        "gpu": instance.gpu,
        "state": instance.status or "scheduled",
        "signaling": "answers" if health else "does not answer" if record else "unknown here",
        "usd_per_hour": round(instance.usd_per_hour, 3),
        "hours": round(hours, 2),
        "usd": round(hours * instance.usd_per_hour, 2),
        "address": instance.address or "none yet",
    }


def logs(arguments: Sequence[str]) -> int:
    parser = _parser("logs", "Print the container's log.")
    parser.add_argument("instance", type=int, nargs="?")
    parser.add_argument("--tail", type=int, default=LOG_LINES, metavar="LINES")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
    options = parser.parse_args(arguments)
    desk = open_desk()
    instance = the_one(ours(desk), options.instance)
    said: list[str] = []
    while True:
        lines = patiently(lambda: desk.vast.logs(instance.id, lines=options.tail)).splitlines()
        for line in _news(said, lines):
            print(line, flush=True)
        said = lines or said
        if not options.follow:
            return 0
        time.sleep(FOLLOW_S)


def _news(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The lines that were added to the end of a log of which only the end is seen."""
    for overlap in range(min(len(before), len(now)), 0, -1):
        if before[-overlap:] == now[:overlap]:
            return now[overlap:]
    return now


def stop(arguments: Sequence[str]) -> int:
    parser = _parser("stop", "Stop the machine and keep its disk, which goes on costing money.")
    parser.add_argument("instance", type=int, nargs="?")
    options = parser.parse_args(arguments)
    desk = open_desk()
    instance = the_one(ours(desk), options.instance)
    patiently(lambda: desk.vast.stop(instance.id), sleep=desk.sleep)
    noted(lambda: _goes_on(desk, instance, instance.disk_usd_per_hour, STOPPED_LONGEST_S))
    price = f"${instance.disk_usd_per_hour * 24:.2f} per day" if instance.disk_usd_per_hour else "money"
    print(
        f"Instance {instance.id} stops. Its disk still costs {price}, and its GPU may be rented to somebody else "
        "meanwhile, so that it does not start again; only `python -m deploy down` ends all costs."
    )
    return 0


def start(arguments: Sequence[str]) -> int:
    parser = _parser("start", "Start a stopped machine again; its second start is faster.")
    parser.add_argument("instance", type=int, nargs="?")
    options = parser.parse_args(arguments)
    desk = open_desk()
    instance = the_one(ours(desk), options.instance)
    record = desk.records.find(instance.label)
    if record is None:
        raise SetupError(f"{instance.label} was rented from another machine, which alone has its key; start it there.")
    settings = desk.settings
    spent_usd = desk.ledger.spent_this_month_usd()
    refusal = too_dear(spent_usd, instance.usd_per_hour, settings.max_hours, settings.max_usd_per_month)
    if refusal is not None:
        raise SetupError(refusal)
    asked = datetime.now(UTC)
    patiently(lambda: desk.vast.start(instance.id), sleep=desk.sleep)
    longest_s = settings.max_hours * SECONDS_PER_HOUR
    noted(lambda: _goes_on(desk, instance, instance.usd_per_hour, longest_s))
    limits = replace(
        limits_of(desk.settings), hopeless_s=desk.settings.schedule_s
    )  # it is still called stopped for a while
    rental = Rental([_as_offer(instance)], desk.clock(), signaling_port=SIGNALING_PORT, limits=limits, keep=True)
    assert isinstance(rental.next(desk.clock()), Rent)
    rental.on(Rented(instance.id), desk.clock())
    with Stops() as stops:
        watch(desk, rental, record, stops, since=asked - CLOCKS_DIFFER)
        outcome = rental.outcome
        assert outcome is not None
        if outcome.kind == "ready":
            desk.console.print("The double is ready; `make local` knows where.")
            return 0
        said = f"{outcome.reason} Instance {instance.id} is still rented; `python -m deploy down` ends it."
        desk.console.print(said, markup=False, soft_wrap=True)
        return 1


def _goes_on(desk: Desk, instance: Instance, usd_per_hour: float, longest_s: float) -> None:
    """Count an instance at another price from now on. Raises LedgerError."""
    desk.ledger.end(instance.id)
    desk.ledger.begin(instance.label, instance.gpu, usd_per_hour, longest_s, instance.id)


def _as_offer(instance: Instance) -> Offer:
    """What is rented already, as something to wait for."""
    row = {
        "id": instance.id,
        "dph_total": instance.usd_per_hour,
        "gpu_name": instance.gpu,
        "machine_id": instance.machine,
    }
    offer = Offer.read({**row, "geolocation": instance.place})
    assert offer is not None
    return offer


def down(arguments: Sequence[str]) -> int:
    """Destroy everything of ours, and say only then that nothing is left when two listings in a row show nothing."""
    _parser("down", "Destroy everything that is rented, and prove that nothing is left.").parse_args(arguments)
    desk = open_desk()
    removal = Removal((), desk.clock())
    labels: set[str] = set()

    def carries(instance: Instance) -> bool:
        if not belongs(instance, desk):
            return False
        if instance.label not in labels:
            labels.add(instance.label)
            desk.console.print(f"Destroying instance {instance.id} ({instance.label}, {instance.gpu}) …", markup=False)
        return True

    with Stops() as stops:
        try:
            desk.vast.instances()
        except WireError as error:
            if error.status in KEY_REFUSED:
                removal.give_up(str(error))
            else:
                desk.console.print(
                    f"{error} Trying again for up to ten minutes; Ctrl-C twice gives up.", soft_wrap=True
                )
        drive(removal, Hands(desk.vast, desk.ledger, carries).do, stops=stops, clock=desk.clock, pause=desk.pause)
        if removal.left is not None:
            print(how_to_destroy(removal.left, f"{desk.settings.label}-…"), file=sys.stderr)
            return 1
        for label in labels:
            desk.records.forget(label)
        connection_file.remove(desk.root)
        desk.console.print(f"Nothing is rented: no instance carries the label {desk.settings.label}-….")
        noted(lambda: _tell_spent(desk))
        return _nothing_new(desk)


def _nothing_new(desk: Desk) -> int:
    """Whether it stays so: 1, and a sentence, when an `up` goes on that may rent the next host."""
    try:
        with alone(desk):
            return 0
    except SetupError as error:
        print(f"{error} It may rent again.", file=sys.stderr)
        return 1


def _tell_spent(desk: Desk) -> None:
    """Close the books of what was destroyed. Raises LedgerError."""
    desk.ledger.reconcile(())
    desk.console.print(f"This month ${desk.ledger.spent_this_month_usd():.2f} were spent.")


def ssh(arguments: Sequence[str]) -> int:
    parser = _parser("ssh", "Open a shell on the machine; Vast.ai must know your public key.")
    parser.add_argument("instance", type=int, nargs="?")
    parser.add_argument("--print", action="store_true", help="print the command and do not run it")
    options, rest = parser.parse_known_args(arguments)
    desk = open_desk()
    instance = the_one(ours(desk), options.instance)
    command = [*ssh_command(instance), *rest]
    if options.print:
        print(" ".join(command))
        return 0
    try:
        if sys.platform == "win32":
            return subprocess.call(command)
        os.execvp(command[0], command)
    except FileNotFoundError:
        raise SetupError(NO_SSH) from None


def cost(arguments: Sequence[str]) -> int:
    _parser("cost", "Show what was spent this month and what runs.").parse_args(arguments)
    desk = open_desk()
    running = ours(desk)
    desk.ledger.reconcile(running)
    for entry in desk.ledger.entries()[-10:]:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.began_s))
        hours = entry.seconds(0.0, time.time()) / SECONDS_PER_HOUR
        going = "  running" if entry.ended_s is None else ""
        usd = entry.usd(0.0, time.time())
        print(f"{when}  {entry.gpu or 'GPU':<16} {hours:6.2f} h  ${usd:7.2f}  {entry.label}{going}")
    rate = sum(instance.usd_per_hour for instance in running)
    print(
        f"This month ${desk.ledger.spent_this_month_usd():.2f} of ${desk.settings.max_usd_per_month:.2f}; "
        f"at the moment ${rate:.2f} per hour. Vast.ai's own bill counts, with the traffic in it."
    )
    return 0


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"python -m deploy {name}", description=description)
