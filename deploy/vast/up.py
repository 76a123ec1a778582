"""`python -m deploy up`: from a key to a double that answers, or to nothing rented."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

from deploy.console import SetupError
from deploy.settings import DeploySettings
from deploy.vast.checking import Checking
from deploy.vast.client import patiently
from deploy.vast.desk import Desk, open_desk
from deploy.vast.driver import Stops, drive
from deploy.vast.fleet import forget_the_gone, how_to_destroy, noted, ours
from deploy.vast.hands import Hands
from deploy.vast.ledger import SECONDS_PER_HOUR, too_dear
from deploy.vast.listening import Listening
from deploy.vast.needs import LANGUAGE_MODEL, Needs, needs_of
from deploy.vast.offers import Offer, Wishes, choose, countries_of, nothing_found, query
from deploy.vast.order import PORTS_NEEDED, SIGNALING_PORT, Order, machine_environment, onstart, wishes_of
from deploy.vast.record import Record
from deploy.vast.rental import Limits, Outcome, Rental
from deploy.vast.source import Source, SourceError, find_source, git_in
from deploy.vast.view import View, host_line, lost_lines, offers_table, past_lines
from models.errors import WeightsError
from models.weights.exclusive import exclusive

ANSWERS_YES = frozenset(("y", "yes", "j", "ja", "т", "так"))
LATE_S = 15.0 * 60
"""What the machine's own end can be late, with its start before it counts."""


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
    desk = open_desk()
    source = find(desk)
    with alone(desk):
        refuse_second(desk)
        market = look_around(desk)
        show_market(desk, market)
        if not options.yes:
            if not agreed(market.offers[0], desk.settings):
                desk.console.print("Nothing was rented.")
                return 1
            refuse_second(desk)  # the question may have waited for long
        with Stops() as stops:
            record = desk.records.make(desk.settings.label, desk.settings.room, desk.settings.max_hours)
            rental = rent(desk, market, source, record, stops, keep=options.keep)
            return tell(desk, rental, record)


def find(desk: Desk) -> Source:
    """What is cloned there. Raises SetupError, also for wishes that no machine can take."""
    settings = desk.settings
    for name, value in wishes_of(desk.variables).items():
        if any(character in value for character in "\n\r\0"):
            raise SetupError(f"{name} has more than one line, which a rented machine cannot take; write it in one.")
    try:
        source = find_source(git_in(desk.root), repository=settings.repository, commit=settings.commit)
        onstart(source)
    except SourceError as error:
        raise SetupError(str(error)) from None
    return source


@contextmanager
def alone(desk: Desk) -> Iterator[None]:
    """Two that rent at the same moment would not see each other. Raises SetupError."""

    def refuse() -> None:
        raise SetupError(
            "Another `python -m deploy up` is under way on this computer; wait for it or stop it with Ctrl-C."
        )

    with ExitStack() as held:
        try:
            held.enter_context(exclusive(desk.settings.dir / "up.lock", on_wait=refuse))
        except OSError as error:
            raise SetupError(f"{desk.settings.dir} cannot be written: {error.strerror}.") from None
        yield


def refuse_second(desk: Desk) -> None:
    """One double at a time: a second one is nearly always a forgotten first one. Raises SetupError, WireError."""
    found = ours(desk)
    desk.ledger.reconcile(found)
    if found:
        raise SetupError(
            f"Instance {found[0].id} ({found[0].label}) is rented already; `python -m deploy status` shows it and "
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


def look_around(desk: Desk) -> Market:
    """The offers that suit, cheapest first, of those that the month's cap allows. Raises SetupError, WireError."""
    settings = desk.settings
    model = desk.variables.get("UNDERSTUDY_LLM__MODEL") or LANGUAGE_MODEL
    # Without the hub's key the machine speaks with the embedded voice for good, which needs no GPU.
    computed = [name for name in settings.services if name != "voice" or hub_token(desk)]
    try:
        needs = needs_of(computed, language_model=model, vram_gib=settings.vram_gib)
    except WeightsError as error:
        raise SetupError(str(error)) from None
    wanted = wishes(settings, needs)
    rows = patiently(lambda: desk.vast.search(query(wanted)), sleep=desk.sleep)
    suitable = choose(rows, wanted)
    if not suitable:
        raise SetupError(nothing_found(rows, wanted))
    spent_usd = desk.ledger.spent_this_month_usd()
    refusals = [
        too_dear(spent_usd, offer.usd_per_hour, settings.max_hours, settings.max_usd_per_month) for offer in suitable
    ]
    paid = [offer for offer, refusal in zip(suitable, refusals, strict=True) if refusal is None]
    if not paid:
        raise SetupError(refusals[0] or "")
    return Market(paid, needs, spent_usd)


def show_market(desk: Desk, market: Market) -> None:
    settings = desk.settings
    count = len(market.offers)
    desk.console.print(f"{count} offers suit; the cheapest:" if count > 1 else "One offer suits:")
    desk.console.print(offers_table(market.offers, market.needs))
    for note in notes(desk):
        desk.console.print(note, style="grey54", soft_wrap=True)
    idle = f", or {settings.idle_minutes:g} min without anybody" if settings.idle_minutes else ""
    desk.console.print(
        f"This month ${market.spent_usd:.2f} of ${settings.max_usd_per_month:.2f} are spent. "
        f"The machine destroys itself after {settings.max_hours:g} h{idle}.",
        style="grey54",
    )


def notes(desk: Desk) -> list[str]:
    """What the user should know before it is paid for."""
    said = []
    if "voice" in desk.settings.services:
        needs = (
            "" if hub_token(desk) else "; it needs HF_TOKEN, too, of somebody who accepted openaudio-s1-mini's terms"
        )
        said.append(f"The embedded voice will speak until `python -m deploy send --voice` brings a recording{needs}.")
    if "face" in desk.settings.services:
        said.append("The illustrated host will perform until `python -m deploy send --avatar` brings an avatar.")
    return said


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


def rent(desk: Desk, market: Market, source: Source, record: Record, stops: Stops, *, keep: bool = False) -> Rental:
    """Drive one rental to its end."""
    settings = desk.settings
    order = Order(
        label=record.label,
        image=settings.image,
        disk_gib=settings.disk_gib,
        source=source,
        environment=wishes_of(desk.variables)
        | machine_environment(
            label=record.label,
            services=settings.services,
            room=settings.room,
            max_hours=settings.max_hours,
            idle_minutes=settings.idle_minutes,
            warn_minutes=settings.warn_minutes,
        ),
        secrets=record.secrets() | hub_token(desk),
    )
    limits = limits_of(settings)
    rental = Rental(market.offers, desk.clock(), signaling_port=SIGNALING_PORT, limits=limits, keep=keep)
    watch(desk, rental, record, stops, order=order)
    return rental


def watch(
    desk: Desk,
    rental: Rental,
    record: Record,
    stops: Stops,
    *,
    order: Order | None = None,
    since: datetime | None = None,
) -> None:
    """Drive a rental and show it; what took how long stays on the screen. `since`: see Listening."""

    def tell_note(line: str) -> None:
        rental.note = line

    settings = desk.settings
    hands = Hands(
        desk.vast,
        desk.ledger,
        lambda instance: instance.label == record.label,
        order=order,
        longest_s=settings.max_hours * SECONDS_PER_HOUR + LATE_S,
        listen=Listening(desk.vast, record, desk.health, since=since),
        check=Checking(
            record,
            desk.root,
            limit_s=settings.check_s,
            stopped=lambda: stops.count > 0,
            tell=tell_note,
            command=desk.check_command,
        ),
        sleep=desk.sleep,
    )
    view = View(desk.console, desk.clock)
    view.stopping = lambda: stops.count > 0
    with view.shown(rental):
        drive(rental, hands.do, stops=stops, clock=desk.clock, pause=desk.pause, show=view.update)
    if desk.console.is_terminal:
        for line in lost_lines(rental):
            desk.console.print(f"  given up: {line}", style="grey54", markup=False)
        desk.console.print(host_line(rental), style="bold", markup=False)
        for line in past_lines(rental):
            desk.console.print(f"  {line}", style="grey54", markup=False)


def limits_of(settings: DeploySettings) -> Limits:
    return Limits(
        tries=settings.tries,
        schedule_s=settings.schedule_s,
        loading_s=settings.loading_s,
        silent_s=settings.silent_s,
        setup_s=settings.setup_s,
        max_usd_per_hour=settings.max_usd_per_hour,
    )


def hub_token(desk: Desk) -> dict[str, str]:
    """For weights whose terms were accepted."""
    of_settings = desk.settings.hf_token
    token = of_settings.get_secret_value() if of_settings else desk.variables.get("HF_TOKEN")
    return {"HF_TOKEN": token} if token else {}


def tell(desk: Desk, rental: Rental, record: Record) -> int:
    """Say how it ended; the exit status."""
    outcome = rental.outcome
    assert outcome is not None
    noted(lambda: desk.ledger.settle(record.label, _may_live(outcome)))
    if outcome.left is not None:
        desk.console.print(
            how_to_destroy(outcome.left, record.label), style="bold #facc15", markup=False, soft_wrap=True
        )
    if outcome.kind != "ready":
        if outcome.left is None:
            forget_the_gone(desk, ())
            desk.records.forget(record.label)
            sentence = f"{outcome.reason} Nothing is rented: no instance carries the label {record.label}."
        else:
            sentence = outcome.reason
        desk.console.print(sentence, markup=False, soft_wrap=True)
        return 130 if outcome.kind == "interrupted" else 1
    assert outcome.instance is not None
    desk.console.print(
        f"\nThe double is ready on instance {outcome.instance.id}, ${outcome.instance.usd_per_hour:.2f} per hour.\n\n"
        f"  make local          be in a call as your double\n"
        f"  make undeploy-gpu   end it, and all costs\n"
    )
    connection = record.connection(outcome.instance)
    print(f"Whoever has this line is let in; keep it to yourself:\n\n{connection}\n", file=desk.console.file)
    return 0


def _may_live(outcome: Outcome) -> frozenset[int] | None:
    """The instances that may go on costing money; None when it is not known which."""
    left = outcome.left
    if left is not None and not left.certain:
        return None
    kept = frozenset(left.instances if left else ())
    return kept | {outcome.instance.id} if outcome.instance else kept
