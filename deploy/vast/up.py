"""`python -m deploy up`: from a key to a double that answers, or to nothing rented."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from rich.console import Console

from deploy.console import SetupError
from deploy.settings import DeploySettings, Settings
from deploy.vast.account import is_ours, open_account
from deploy.vast.checking import Checking
from deploy.vast.client import Vast, patiently
from deploy.vast.driver import Stops, drive
from deploy.vast.fleet import how_to_destroy
from deploy.vast.hands import Hands
from deploy.vast.ledger import SECONDS_PER_HOUR, Ledger, too_dear
from deploy.vast.listening import Listening
from deploy.vast.needs import LANGUAGE_MODEL, Needs, needs_of
from deploy.vast.offers import Offer, Wishes, choose, countries_of, nothing_found, query
from deploy.vast.order import PORTS_NEEDED, SIGNALING_PORT, Order, machine_environment, onstart, wishes_of
from deploy.vast.record import Record, Records
from deploy.vast.rental import Limits, Outcome, Rental
from deploy.vast.source import Source, SourceError, find_source, git_in
from deploy.vast.view import View, host_line, offers_table, past_lines
from models.errors import WeightsError

ROOT = Path(__file__).resolve().parents[2]
ANSWERS_YES = frozenset(("y", "yes", "j", "ja", "т", "так"))
WATCHED_S = 15.0 * 60
"""How often the machine's own watchdog is late at most; what is counted in advance for the caps."""


@dataclass(frozen=True, slots=True)
class Market:
    """What is on offer and may be paid."""

    offers: Sequence[Offer]
    needs: Needs
    spent_usd: float


def up(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy up", description="Rent a GPU and put the double on it.")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask before renting")
    parser.add_argument("--keep", action="store_true", help="keep what was rented also when it fails or is stopped")
    options = parser.parse_args(arguments)
    settings = Settings.load().deploy
    console = Console(highlight=False)
    vast = open_account(settings)
    source = find(settings)
    ledger = Ledger(settings.dir)
    refuse_second(vast, settings, ledger)
    market = look_around(vast, settings, ledger)
    show_market(console, market, settings)
    if not options.yes and not agreed(market.offers[0], settings):
        console.print("Nothing was rented.")
        return 1
    record = Records(settings.dir).make(settings.label, settings.room, settings.max_hours)
    with Stops() as stops:
        outcome = rent(console, vast, settings, ledger, market, source, record, stops, keep=options.keep)
    return tell(console, outcome, record, settings)


def find(settings: DeploySettings) -> Source:
    """What is cloned there. Raises SetupError."""
    try:
        source = find_source(git_in(ROOT), repository=settings.repository, commit=settings.commit)
        onstart(source)
    except SourceError as error:
        raise SetupError(str(error)) from None
    return source


def refuse_second(vast: Vast, settings: DeploySettings, ledger: Ledger) -> None:
    """One double at a time: a second one is nearly always a forgotten first one. Raises SetupError, WireError."""
    ours = [instance for instance in patiently(vast.instances) if is_ours(instance, settings.label)]
    ledger.reconcile(ours)
    if ours:
        raise SetupError(
            f"Instance {ours[0].id} ({ours[0].label}) is rented already; `python -m deploy status` shows it and "
            "`python -m deploy down` ends it."
        )


def wishes(settings: DeploySettings, needs: Needs) -> Wishes:
    """Raises SetupError."""
    try:
        countries = countries_of(settings.regions)
    except ValueError as error:
        raise SetupError(f"UNDERSTUDY_DEPLOY__REGIONS: {error}.") from None
    return Wishes(
        vram_gib=needs.vram_gib,
        disk_gib=settings.disk_gib,
        ports=PORTS_NEEDED,
        max_usd_per_hour=settings.max_usd_per_hour,
        gpus=settings.gpus,
        countries=countries,
        min_reliability=settings.min_reliability,
        min_cpu_ghz=settings.min_cpu_ghz,
        min_inet_down_mbps=settings.min_inet_down_mbps,
        min_inet_up_mbps=settings.min_inet_up_mbps,
        min_disk_mbps=settings.min_disk_mbps,
        min_cuda=settings.min_cuda,
        verified_only=settings.verified_only,
    )


def look_around(vast: Vast, settings: DeploySettings, ledger: Ledger) -> Market:
    """The offers that suit, cheapest first, of those that the month's cap allows. Raises SetupError, WireError."""
    model = variables().get("UNDERSTUDY_LLM__MODEL") or LANGUAGE_MODEL
    try:
        needs = needs_of(settings.services, language_model=model, vram_gib=settings.vram_gib)
    except WeightsError as error:
        raise SetupError(str(error)) from None
    wanted = wishes(settings, needs)
    rows = patiently(lambda: vast.search(query(wanted)))
    suitable = choose(rows, wanted)
    if not suitable:
        raise SetupError(nothing_found(rows, wanted))
    spent_usd = ledger.spent_this_month_usd()
    refusals = [
        too_dear(spent_usd, offer.usd_per_hour, settings.max_hours, settings.max_usd_per_month) for offer in suitable
    ]
    paid = [offer for offer, refusal in zip(suitable, refusals, strict=True) if refusal is None]
    if not paid:
        raise SetupError(refusals[0] or "")
    return Market(paid, needs, spent_usd)


def show_market(console: Console, market: Market, settings: DeploySettings) -> None:
    console.print(f"{len(market.offers)} offers suit; the cheapest:")
    console.print(offers_table(market.offers, market.needs))
    console.print(
        f"This month ${market.spent_usd:.2f} of ${settings.max_usd_per_month:.2f} are spent. "
        f"The machine destroys itself after {settings.max_hours:g} h"
        + (f", or {settings.idle_minutes:g} min without anybody." if settings.idle_minutes else "."),
        style="grey54",
    )


def agreed(offer: Offer, settings: DeploySettings, ask: Callable[[str], str] = input) -> bool:
    """Whether the user wants to rent. Raises SetupError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise SetupError("Nobody can be asked here; `python -m deploy up --yes` rents without a question.")
    at_most = offer.usd_per_hour * settings.max_hours
    try:
        answer = ask(
            f"Rent the first for ${offer.usd_per_hour:.2f} per hour, ${at_most:.2f} at most? "
            "If it does not start, the next one follows. [y/N] "
        )
    except (EOFError, KeyboardInterrupt):
        print()
        return False
    return answer.strip().lower() in ANSWERS_YES


def rent(
    console: Console,
    vast: Vast,
    settings: DeploySettings,
    ledger: Ledger,
    market: Market,
    source: Source,
    record: Record,
    stops: Stops,
    *,
    keep: bool,
) -> Outcome:
    """Drive one rental to its end."""
    order = Order(
        label=record.label,
        image=settings.image,
        disk_gib=settings.disk_gib,
        source=source,
        environment=wishes_of(variables())
        | machine_environment(
            label=record.label,
            services=settings.services,
            room=settings.room,
            max_hours=settings.max_hours,
            idle_minutes=settings.idle_minutes,
            warn_minutes=settings.warn_minutes,
        ),
        secrets=record.secrets() | hub_token(settings),
    )
    limits = limits_of(settings)
    rental = Rental(market.offers, time.monotonic(), signaling_port=SIGNALING_PORT, limits=limits, keep=keep)
    longest_s = settings.max_hours * SECONDS_PER_HOUR + WATCHED_S
    hands = hands_for(vast, ledger, settings, record, rental, stops, order=order, longest_s=longest_s)
    watch(console, rental, hands, stops)
    assert rental.outcome is not None
    return rental.outcome


def hands_for(
    vast: Vast,
    ledger: Ledger,
    settings: DeploySettings,
    record: Record,
    rental: Rental,
    stops: Stops,
    *,
    order: Order | None = None,
    longest_s: float = 0.0,
) -> Hands:
    """What does the steps of a rental whose record this is."""

    def tell_note(line: str) -> None:
        rental.note = line

    return Hands(
        vast,
        ledger,
        lambda instance: instance.label == record.label,
        order=order,
        longest_s=longest_s,
        listen=Listening(vast, record),
        check=Checking(record, ROOT, limit_s=settings.check_s, stopped=lambda: stops.count > 0, tell=tell_note),
    )


def watch(console: Console, rental: Rental, hands: Hands, stops: Stops) -> None:
    """Drive a rental and show it; what took how long stays on the screen."""
    view = View(console)
    view.stopping = lambda: stops.count > 0
    with view.shown(rental):
        drive(rental, hands.do, stops=stops, show=view.update)
    console.print(host_line(rental), style="bold")
    for line in past_lines(rental):
        console.print(f"  {line}", style="grey54")


def limits_of(settings: DeploySettings) -> Limits:
    return Limits(
        tries=settings.tries,
        schedule_s=settings.schedule_s,
        loading_s=settings.loading_s,
        silent_s=settings.silent_s,
        setup_s=settings.setup_s,
    )


def hub_token(settings: DeploySettings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    token = settings.hf_token.get_secret_value() if settings.hf_token else environ.get("HF_TOKEN", "")
    return {"HF_TOKEN": token} if token else {}


def variables() -> dict[str, str | None]:
    """What this checkout's .env and the environment set; the environment wins."""
    return {**dotenv_values(ROOT / ".env"), **os.environ}


def tell(console: Console, outcome: Outcome, record: Record, settings: DeploySettings) -> int:
    """Say how it ended; the exit status."""
    if outcome.left is not None:
        console.print(how_to_destroy(outcome.left, record.label), style="bold #facc15")
    if outcome.kind != "ready":
        if outcome.left is None:
            Records(settings.dir).forget(record.label)
            console.print(f"{outcome.reason} Nothing is rented: no instance carries the label {record.label}.")
        else:
            console.print(outcome.reason)
        return 130 if outcome.kind == "interrupted" else 1
    assert outcome.instance is not None
    connection = record.connection(outcome.instance)
    console.print(
        f"\nThe double is ready on instance {outcome.instance.id}, ${outcome.instance.usd_per_hour:.2f} per hour.\n\n"
        f"  make local          be in a call as your double\n"
        f"  make undeploy-gpu   end it, and all costs\n"
    )
    console.print(f"Whoever has this line is let in; keep it to yourself:\n\n{connection}\n", soft_wrap=True)
    return 0
