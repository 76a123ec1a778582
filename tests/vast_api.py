"""A Vast.ai of one's own: the wire of its API with its rules, for the product, the official SDK and its program alike.

What it enforces is what the API is known to do: a key; one request of a kind per interval, else status 429; a daily
quota of searches; offers that are gone when they are rented; at most 4,048 characters of start-up text; no port number
twice; pages of 25 instances; states that go from nothing over `loading` to `running`; a log that is fetched from
another address and is not there at once. Hosts behave as their plan says, and `faults` lets requests fail, before or
after they had their effect.
"""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from tests.vast_search import holds, value_of

KEY = "0123456789abcdef" * 4
LONGEST_ONSTART = 4_048
MOST_PORTS = 64
HOURS_PER_MONTH = 730.0
DEFAULT_INTERVAL_S = 1.0

Fault = Literal["429", "500", "lost", "lost after", "not json"]
"""`lost`: the connection ends without an answer and nothing happened; `lost after`: it did happen."""


class Host(Protocol):
    """A machine that really runs what is ordered."""

    address: str

    def outside(self, inside: str) -> int: ...
    def begin(self, instance: int, key: str, order: Mapping[str, Any]) -> None: ...
    def log(self) -> str: ...
    def end(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How a host behaves; seconds after the rent."""

    schedule_s: float = 5.0
    image_s: float = 60.0
    """After the scheduling; None of it is in the host's cache."""
    log: tuple[tuple[float, str], ...] = ()
    """Lines of the container's log and when they are written, after it runs."""
    exits_s: float | None = None
    vanishes_s: float | None = None
    message: str = ""
    """What it says instead of the layers that it fetches."""
    opens_ports: bool = True
    lists_after_s: float = 0.0
    """When it appears in the list of instances."""
    host: Host | None = None
    """Runs it, in place of `log`."""


@dataclass
class Rented:
    """One instance."""

    id: int
    offer: Mapping[str, Any]
    order: Mapping[str, Any]
    plan: Plan
    began_s: float
    key: str
    state: str = "running"
    state_s: float = 0.0
    destroyed_s: float | None = None


@dataclass
class Answer:
    status: int
    body: Any
    text: str | None = None

    @property
    def content(self) -> bytes:
        return (json.dumps(self.body) if self.text is None else self.text).encode()


def offer(number: int, **changes: Any) -> dict[str, Any]:
    """A row as the API writes it: a good and cheap one unless it is changed."""
    row = {
        "id": number,
        "ask_contract_id": number,
        "machine_id": 5_000 + number,
        "host_id": 300,
        "num_gpus": 1,
        "gpu_name": "RTX 5090",
        "gpu_ram": 32_607,
        "compute_cap": 1_200,
        "cuda_max_good": 13.0,
        "cpu_ghz": 4.4,
        "cpu_cores_effective": 16.0,
        "cpu_ram": 64_000,
        "disk_space": 400.0,
        "disk_bw": 4_000.0,
        "inet_up": 800.0,
        "inet_down": 900.0,
        "inet_down_cost": 0.002,
        "direct_port_count": 200,
        "dph_base": 0.40 + number / 1_000,
        "storage_cost": 0.15,
        "rentable": True,
        "rented": False,
        "external": False,
        "verification": "verified",
        "verified": True,
        "hosting_type": 0,
        "reliability": 0.995,
        "geolocation": "Germany, DE",
        "static_ip": True,
        "duration": 864_000.0,
    }
    return row | changes


@dataclass
class FakeVast:
    """The service's state; vast_serving.py puts it on a port."""

    clock: Callable[[], float] = time.monotonic
    offers: list[dict[str, Any]] = field(default_factory=lambda: [offer(1), offer(2), offer(3)])
    plans: dict[int, Plan] = field(default_factory=dict)
    """Offer → how its host behaves."""
    gone: set[int] = field(default_factory=set)
    """Offers that are listed and cannot be rented any more."""
    intervals_s: dict[str, float] = field(default_factory=dict)
    """Kind of request → seconds between two of them."""
    quota: int = 1_000
    credit: float = 25.0
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    """Kind of request → what happens to the next ones."""
    log_polls: int = 1
    """So often a log's address answers that there is nothing yet."""
    url: str = ""
    requests: list[tuple[float, str, str]] = field(default_factory=list)
    """When, kind, path."""

    def __post_init__(self) -> None:
        self.instances: dict[int, Rented] = {}
        self._last_s: dict[tuple[str, str], float] = {}
        self._searches = 0
        self._polls: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def rented(self) -> list[int]:
        """What costs money now."""
        return [one.id for one in self.instances.values() if self._exists(one)]

    def fail(self, kind: str, *faults: Fault) -> None:
        self.faults.setdefault(kind, deque()).extend(faults)

    def usd(self) -> float:
        """What was spent on everything so far."""
        total = 0.0
        for one in self.instances.values():
            ended_s = one.destroyed_s if one.destroyed_s is not None else self.clock()
            if one.plan.vanishes_s is not None:
                ended_s = min(ended_s, one.began_s + one.plan.vanishes_s)
            total += self._price(one.offer, one.order["disk"]) * (ended_s - one.began_s) / 3_600
        return total

    def handle(self, method: str, target: str, key: str, body: Any) -> Answer | None:
        """The answer to one request, or None for none at all."""
        with self._lock:
            kind, call = self._route(method, urlsplit(target).path)
            self.requests.append((self.clock(), kind, target))
            if kind == "log":
                return call(target, body)
            if not self._is_known(key, kind, target):
                return Answer(401, {"success": False, "error": "auth_error", "msg": "Invalid user key"})
            fault = self.faults[kind].popleft() if self.faults.get(kind) else None
            if fault in ("429", "500") or self._is_too_soon(kind, key):
                return _failed(fault or "429")
            if fault == "lost":
                return None
            answer = call(target, body)
            if fault == "not json":
                return Answer(200, None, "<html>Bad gateway</html>")
            return None if fault == "lost after" else answer

    # Who may ask, and how often.

    def _is_known(self, key: str, kind: str, target: str) -> bool:
        if key == KEY:
            return True
        owner = next((one for one in self.instances.values() if one.key == key), None)
        return owner is not None and kind in ("destroy", "state") and f"/{owner.id}/" in target

    def _is_too_soon(self, kind: str, key: str) -> bool:
        now_s, last_s = self.clock(), self._last_s.get((kind, key))
        interval_s = self.intervals_s.get(kind, DEFAULT_INTERVAL_S)
        if last_s is not None and now_s - last_s < interval_s:
            return True
        self._last_s[kind, key] = now_s
        return False

    def _route(self, method: str, path: str) -> tuple[str, Callable[[str, Any], Answer]]:
        table: tuple[tuple[str, str, str, Callable[[str, Any], Answer]], ...] = (
            ("POST", r"/api/v0/bundles/", "search", self._search),
            ("PUT", r"/api/v0/asks/\d+/", "rent", self._rent),
            ("GET", r"/api/v1/instances/", "instances", self._list),
            ("GET", r"/api/v0/instances/\d+/", "instance", self._show),
            ("DELETE", r"/api/v0/instances/\d+/", "destroy", self._destroy),
            ("PUT", r"/api/v0/instances/\d+/", "state", self._set_state),
            ("PUT", r"/api/v0/instances/request_logs/\d+/", "request_logs", self._request_log),
            ("GET", r"/log/\d+/\d+", "log", self._log),
            ("GET", r"/api/v0/gpu_names/unique/", "gpu_names", self._gpu_names),
            ("GET", r"/api/v0/users/current/", "user", self._user),
        )
        for wanted, pattern, kind, call in table:
            if method == wanted and re.fullmatch(pattern, path):
                return kind, call
        return "unknown", lambda *_: Answer(404, {"success": False, "error": "not_found", "msg": f"no {path}"})

    # The calls.

    def _search(self, target: str, body: Any) -> Answer:
        self._searches += 1
        if self._searches > self.quota:
            return Answer(429, {"success": False, "error": "search_quota_exceeded", "msg": "Daily quota used up"})
        disk = float(body.get("allocated_storage", 5))
        rows = [row | {"dph_total": self._price(row, disk)} for row in self.offers]
        fields = {name: rule for name, rule in body.items() if isinstance(rule, dict)}
        found = [row for row in rows if all(holds(row, name, rule) for name, rule in fields.items())]
        for name, direction in reversed(body.get("order") or []):
            found.sort(key=partial(value_of, name), reverse=direction == "desc")
        return Answer(200, {"offers": found[: int(body.get("limit") or 64)]})

    def _rent(self, target: str, body: Any) -> Answer:
        number = _number(target)
        row = next((row for row in self.offers if row["id"] == number), None)
        taken = any(one.offer["id"] == number and self._exists(one) for one in self.instances.values())
        if row is None or number in self.gone or taken:
            return _refused(400, "no_such_ask", f"Instance type by id {number} is not available.")
        if self.credit <= 0:
            return _refused(400, "insufficient_credit", "Your account lacks credit; see the billing page.")
        if (why := _wrong_order(body)) is not None:
            return _refused(400, "invalid_args", why)
        instance = 70_000 + len(self.instances)
        plan = self.plans.get(number, Plan())
        now_s = self.clock()
        key = f"instance-key-{instance}"
        self.instances[instance] = Rented(instance, row, body, plan, now_s, key, state_s=now_s)
        if plan.host is not None:
            plan.host.begin(instance, key, body)
        return Answer(200, {"success": True, "new_contract": instance, "instance_api_key": key})

    def _list(self, target: str, body: Any) -> Answer:
        asked = parse_qs(urlsplit(target).query)
        limit = min(25, int(asked.get("limit", ["25"])[0]))
        after = int(unquote(asked.get("after_token", ["0"])[0]).strip('"') or 0)
        rows = [self._row(one) for one in self._listed() if one.id > after]
        page = rows[:limit]
        token = str(page[-1]["id"]) if len(rows) > limit else None
        return Answer(200, {"success": True, "instances": page, "next_token": token, "total_instances": len(rows)})

    def _show(self, target: str, body: Any) -> Answer:
        one = self.instances.get(_number(target))
        return Answer(200, {"instances": self._row(one) if one is not None and self._exists(one) else None})

    def _destroy(self, target: str, body: Any) -> Answer:
        one = self.instances.get(_number(target))
        if one is None or not self._exists(one):
            return _refused(404, "no_such_instance", "The instance does not exist.")
        one.destroyed_s = self.clock()
        if one.plan.host is not None:
            one.plan.host.end()
        return Answer(200, {"success": True})

    def _set_state(self, target: str, body: Any) -> Answer:
        one = self.instances.get(_number(target))
        if one is None or not self._exists(one):
            return _refused(404, "no_such_instance", "The instance does not exist.")
        if body.get("state") not in ("running", "stopped"):
            return _refused(400, "invalid_args", "state is running or stopped")
        one.state, one.state_s = body["state"], self.clock()
        return Answer(200, {"success": True})

    def _request_log(self, target: str, body: Any) -> Answer:
        number = _number(target)
        if number not in self.instances:
            return _refused(404, "no_such_instance", "The instance does not exist.")
        return Answer(200, {"success": True, "result_url": f"{self.url}/log/{number}/{int(body.get('tail') or 1000)}"})

    def _log(self, target: str, body: Any) -> Answer:
        polls = self._polls[target] = self._polls.get(target, 0) + 1
        if polls % (self.log_polls + 1) != 0:
            return Answer(404, None, "")
        number, tail = (int(part) for part in target.split("/")[-2:])
        one = self.instances[number]
        runs_s = self.clock() - one.began_s - one.plan.schedule_s - one.plan.image_s
        lines = [line for at_s, line in one.plan.log if at_s <= runs_s]
        if one.plan.host is not None:
            lines = one.plan.host.log().splitlines()
        return Answer(200, None, "\n".join(lines[-tail:]) + "\n")

    def _gpu_names(self, target: str, body: Any) -> Answer:
        return Answer(200, {"success": True, "gpu_names": sorted({row["gpu_name"] for row in self.offers})})

    def _user(self, target: str, body: Any) -> Answer:
        return Answer(200, {"id": 1, "username": "somebody", "email": "somebody@example.org", "credit": self.credit})

    # What it knows of instances.

    def _exists(self, one: Rented) -> bool:
        vanishes_s = one.plan.vanishes_s
        gone = vanishes_s is not None and self.clock() - one.began_s >= vanishes_s
        return one.destroyed_s is None and not gone

    def _listed(self) -> Iterable[Rented]:
        now_s = self.clock()
        for one in self.instances.values():
            if self._exists(one) and now_s - one.began_s >= one.plan.lists_after_s:
                yield one

    def _status(self, one: Rented) -> str | None:
        age_s = self.clock() - one.began_s
        plan = one.plan
        if one.state == "stopped":
            return "exited"
        if age_s < plan.schedule_s:
            return None
        if age_s < plan.schedule_s + plan.image_s:
            return "loading"
        return "exited" if plan.exits_s is not None and age_s >= plan.exits_s else "running"

    def _price(self, row: Mapping[str, Any], disk_gb: float) -> float:
        price: float = row["dph_base"] + disk_gb * row["storage_cost"] / HOURS_PER_MONTH
        return price

    def _row(self, one: Rented) -> dict[str, Any]:
        status = self._status(one)
        variables = one.order["env"]
        opened = status == "running" and one.plan.opens_ports
        host = one.plan.host
        ports = {}
        for count, inside in enumerate(_inside(variables)):
            outside = str(33_000 + count if host is None else host.outside(inside))
            places = [{"HostIp": ip, "HostPort": outside} for ip in ("0.0.0.0", "::")]
            ports[inside if "/" in inside else f"{inside}/tcp"] = places
        disk = one.order["disk"]
        return {
            "id": one.id,
            "machine_id": one.offer["machine_id"],
            "host_id": one.offer["host_id"],
            "actual_status": status,
            "intended_status": one.state,
            "cur_state": one.state,
            "next_state": one.state,
            "status_msg": one.plan.message or ("a3ed95caeb02: Pulling fs layer\n" if status == "loading" else None),
            "label": one.order["label"],
            "image_uuid": one.order["image"],
            "image_runtype": one.order.get("runtype"),
            "public_ipaddr": f" {host.address if host is not None else '203.0.113.7'}\n",
            "ports": ports if opened else None,
            "direct_port_start": 33_000 if one.plan.opens_ports else -1,
            "direct_port_end": 33_063 if one.plan.opens_ports else -1,
            "ssh_host": "ssh4.vast.ai",
            "ssh_port": 30_000 + one.id % 1_000,
            "gpu_name": one.offer["gpu_name"],
            "num_gpus": one.offer["num_gpus"],
            "dph_total": self._price(one.offer, disk),
            "storage_total_cost": disk * one.offer["storage_cost"] / HOURS_PER_MONTH,
            "geolocation": one.offer["geolocation"],
            "start_date": time.time() - (self.clock() - one.began_s),
            "extra_env": [[name, value] for name, value in variables.items()],
            "onstart": one.order["onstart"],
            "disk_space": disk,
        }


def _failed(fault: str) -> Answer:
    if fault == "429":
        message = "API requests too frequent endpoint threshold=1.0"
        return Answer(429, {"success": False, "error": "too_many_requests", "msg": message})
    return Answer(500, {"success": False, "error": "internal_error", "msg": "Something went wrong."})


def _refused(status: int, error: str, message: str) -> Answer:
    return Answer(status, {"success": False, "error": error, "msg": message})


def _wrong_order(body: Mapping[str, Any]) -> str | None:
    """Why the API does not take an order, or None."""
    if body.get("client_id") != "me" or not body.get("image"):
        return "client_id and image are needed"
    if len(body.get("onstart") or "") > LONGEST_ONSTART:
        return f"onstart is longer than {LONGEST_ONSTART} characters"
    if not isinstance(body.get("env"), dict):
        return "env must be an object"
    if any(not isinstance(value, str) for value in body["env"].values()):
        return "env's values must be text"
    numbers = [inside.partition("/")[0] for inside in _inside(body["env"])]
    if len(numbers) != len(set(numbers)):
        return "Duplicate Port Detected"
    if len(numbers) > MOST_PORTS:
        return f"more than {MOST_PORTS} ports"
    return None


def _inside(variables: Mapping[str, Any]) -> list[str]:
    """The ports of a container, such as 8000 and 3478/udp, out of `-p 8000:8000` and `-p 3478:3478/udp`."""
    return [name.rpartition(":")[2] for name in variables if name.startswith("-p ")]


def _number(target: str) -> int:
    return int(re.findall(r"\d+", urlsplit(target).path.removeprefix("/api/v0"))[0])
