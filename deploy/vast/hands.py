"""A rental's steps, done for real: one call of the API each, and the ledger beside it."""

import logging
from collections.abc import Callable
from functools import partial

from deploy.vast.client import Vast, may_pass, patiently
from deploy.vast.instance import Instance
from deploy.vast.ledger import Ledger, LedgerError
from deploy.vast.offers import Offer
from deploy.vast.order import Order
from deploy.vast.steps import (
    Check,
    Destroy,
    Destroyed,
    Event,
    Heard,
    Listen,
    Look,
    NotDestroyed,
    NotPassed,
    Passed,
    Refused,
    Rent,
    Rented,
    Seen,
    Step,
    Unanswered,
    Unseen,
)
from deploy.vast.wire import GONE, TOO_MANY, WireError

log = logging.getLogger(__name__)

NO_OTHER_EITHER = frozenset((401, 402, 403))
"""With these no offer is rented: the key is not accepted, or the account has no money."""
CREDIT = "credit"


class Hands:
    """What the rules of one label can have done."""

    def __init__(
        self,
        vast: Vast,
        ledger: Ledger,
        carries: Callable[[Instance], bool],
        *,
        order: Order | None = None,
        longest_s: float = 0.0,
        listen: Callable[[Instance], Heard] = lambda _: Heard(),
        check: Callable[[Instance], str | None] = lambda _: None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """`carries`: whether an instance is one of those that this is about. `check` returns why it did not pass."""
        self._vast = vast
        self._ledger = ledger
        self._carries = carries
        self._order = order
        self._longest_s = longest_s
        self._listen = listen
        self._check = check
        self._sleep = sleep
        self._rented: set[int] = set()

    def do(self, step: Step) -> Event:
        match step:
            case Rent(offer):
                return self._rent(offer)
            case Look():
                return self._look()
            case Listen(instance):
                return self._listen(instance)
            case Check(instance):
                reason = self._check(instance)
                return Passed() if reason is None else NotPassed(reason)
            case Destroy(number):
                return self._destroy(number)
            case _:
                raise AssertionError(f"{step} is nothing to be done")

    def _rent(self, offer: Offer) -> Event:
        order = self._order
        assert order is not None
        try:
            self._ledger.begin(order.label, offer.gpu, offer.usd_per_hour, self._longest_s)
        except LedgerError as error:
            return Refused(str(error), final=True)
        try:
            number = self._unhurried(lambda: self._vast.rent(offer.id, order.as_json()))
        except WireError as error:
            if error.lost:
                return Unanswered(str(error))
            self._write_down(lambda: self._ledger.end_unrented(order.label))
            return Refused(str(error), final=error.status in NO_OTHER_EITHER or CREDIT in error.code)
        self._rented.add(number)
        self._write_down(lambda: self._ledger.bind(order.label, number))
        return Rented(number)

    def _unhurried(self, rent: Callable[[], int]) -> int:
        """Only what was refused for its haste is sent again: that had no effect for certain."""

        def once() -> int | WireError:
            try:
                return rent()
            except WireError as error:
                if error.status == TOO_MANY and may_pass(error):
                    raise
                return error

        result = patiently(once, **({} if self._sleep is None else {"sleep": self._sleep}))
        if isinstance(result, WireError):
            raise result
        return result

    def _look(self) -> Event:
        try:
            listed = self._vast.instances()
        except WireError as error:
            return Unseen(str(error))
        mine = tuple(instance for instance in listed if self._carries(instance) or instance.id in self._rented)
        for instance in mine:
            self._write_down(partial(self._ledger.bind, instance.label, instance.id))
        return Seen(mine)

    def _destroy(self, number: int) -> Event:
        try:
            self._vast.destroy(number)
        except WireError as error:
            if error.status != GONE:
                return NotDestroyed(number, str(error))
        self._write_down(lambda: self._ledger.end(number))
        return Destroyed(number)

    def _write_down(self, entry: Callable[[], None]) -> None:
        """Whether it can be written or not: what is rented must be followed and destroyed all the same."""
        try:
            entry()
        except LedgerError as error:
            log.warning("ledger_not_written", extra={"reason": str(error)})
