"""The calls of Vast.ai's API that a rental needs, as typed functions. None is repeated here but where it says so."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from deploy.vast.instance import Instance
from deploy.vast.wire import TOO_MANY, Wire, WireError

T = TypeVar("T")

SPACING_S = 1.2
"""Between two calls of one kind; the API refuses what comes sooner."""
PAGE = 25
PAGES = 40
REPEATS = 4
BACK_OFF_S = 2.0
LONGEST_WAIT_S = 60.0
LOG_POLLS, LOG_POLL_S = 20, 0.5
QUOTA = "search_quota_exceeded"
UNREADABLE = "Vast.ai lists an instance that cannot be read."
"""What cannot be read may be ours, so that it is not taken for gone."""


class Vast:
    """One account."""

    def __init__(
        self, wire: Wire, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._wire = wire
        self._clock = clock
        self._sleep = sleep
        self._last_s: dict[str, float] = {}

    def search(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Offers as the API writes them. Raises WireError."""
        return _rows(self._call("POST", "/api/v0/bundles/", query, kind="search"), "offers")

    def rent(self, offer: int, order: Mapping[str, Any]) -> int:
        """Rent an offer and return the instance's number. Raises WireError, whose `lost` says that it may be rented."""
        answer = self._call("PUT", f"/api/v0/asks/{offer}/", order, kind="rent")
        number = answer.get("new_contract")
        if not isinstance(number, int):
            raise WireError("Vast.ai did not say which instance was rented.", status=200, lost=True)
        return number

    def instances(self) -> list[Instance]:
        """All of the account, whatever their label. Raises WireError."""
        found: list[Instance] = []
        asked: dict[str, Any] = {
            "select_filters": {},
            "order_by": [{"col": "id", "dir": "asc"}],
            "limit": PAGE,
        }
        for _ in range(PAGES):
            answer = self._call("GET", "/api/v1/instances/", query=asked, kind="instances")
            for row in _rows(answer, "instances", whole=True):
                if (instance := Instance.read(row)) is None:
                    raise WireError(UNREADABLE, status=200)
                found.append(instance)
            token = answer.get("next_token")
            if not token:
                return found
            asked["after_token"] = token
        raise WireError(f"The account has more than {PAGE * PAGES} instances.")

    def destroy(self, instance: int) -> None:
        """Raises WireError; its status 404 says that there is none."""
        self._call("DELETE", f"/api/v0/instances/{instance}/", {}, kind="destroy")

    def stop(self, instance: int) -> None:
        self._call("PUT", f"/api/v0/instances/{instance}/", {"state": "stopped"}, kind="state")

    def start(self, instance: int) -> None:
        self._call("PUT", f"/api/v0/instances/{instance}/", {"state": "running"}, kind="state")

    def logs(self, instance: int, *, lines: int) -> str:
        """The end of the container's log, empty while there is none; waits up to ten seconds. Raises WireError."""
        answer = self._call(
            "PUT", f"/api/v0/instances/request_logs/{instance}/", {"tail": str(lines)}, kind="request_logs"
        )
        place = answer.get("result_url")
        if not isinstance(place, str):
            return ""
        for _ in range(LOG_POLLS):
            if (text := self._wire.text(place)) is not None:
                return text
            self._sleep(LOG_POLL_S)
        return ""

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        kind: str,
    ) -> dict[str, Any]:
        last_s = self._last_s.get(kind)
        if last_s is not None and (early_s := last_s + SPACING_S - self._clock()) > 0:
            self._sleep(early_s)
        try:
            return self._wire.call(method, path, body, query=query)
        finally:
            self._last_s[kind] = self._clock()


def patiently(call: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """The result of a call that may be repeated: again when the API is busy or did not answer. Raises WireError."""
    for count in range(1, REPEATS):
        try:
            return call()
        except WireError as error:
            if not may_pass(error):
                raise
            sleep(min(LONGEST_WAIT_S, max(error.retry_after_s or 0.0, BACK_OFF_S * 2 ** (count - 1))))
    return call()


def may_pass(error: WireError) -> bool:
    """Whether the same request may succeed a little later."""
    if error.status == TOO_MANY:
        return error.code != QUOTA
    return error.status is None or error.status >= 500


def _rows(answer: Mapping[str, Any], name: str, *, whole: bool = False) -> list[dict[str, Any]]:
    rows = answer.get(name)
    if not isinstance(rows, list):
        raise WireError(f"Vast.ai's answer has no list of {name}.", status=200)
    found = [row for row in rows if isinstance(row, dict)]
    if whole and len(found) != len(rows):
        raise WireError(UNREADABLE, status=200)
    return found
