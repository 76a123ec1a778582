"""A bad network between two peers, in user space: real UDP sockets on this machine, seeded loss, delay and jitter.

    left peer ──► [right's door] ── fate ──► [left's door] ──► right peer        and back the same way

Each address of a peer gets a door, a socket that stands for it; `describe` puts the doors' addresses into a session
description in place of the peer's own, so both peers send to doors only. Needs neither root nor kernel modules.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self, cast

Side = Literal["left", "right"]
Address = tuple[str, int]
OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What happens to every packet, in both directions.

    As in netem's `delay D J`, a packet takes `delay_ms` plus a time spread evenly over 0 to 2 * `jitter_ms`: jitter is
    the furthest from the mean, and RFC 3550's jitter of it is two thirds. Packets overtake each other unless
    `in_order`.
    """

    loss: float = 0.0
    """Share of the packets that never arrive, each on its own."""
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    in_order: bool = False
    cut: bool = False
    """Nothing arrives at all."""


class Fate:
    """Decides about the packets of one direction; the n-th decision depends on the seed alone."""

    def __init__(self, seed: str) -> None:
        self._loss = random.Random(f"{seed} loss")
        self._jitter = random.Random(f"{seed} jitter")
        self._latest_s = 0.0

    def arrival_s(self, now_s: float, conditions: Conditions) -> float | None:
        """When a packet sent at `now_s` arrives; None when it does not."""
        lost = self._loss.random() < conditions.loss
        jitter_ms = self._jitter.random() * 2 * conditions.jitter_ms
        if lost or conditions.cut:
            return None
        at_s = now_s + (conditions.delay_ms + jitter_ms) / 1_000
        if conditions.in_order:
            at_s = self._latest_s = max(at_s, self._latest_s)
        return at_s


class Network:
    """Use as an async context manager; closes its sockets and forgets packets under way on exit."""

    def __init__(self, *, seed: int = 1, conditions: Conditions | None = None) -> None:
        self._conditions = conditions or Conditions()
        self._fates: dict[Side, Fate] = {side: Fate(f"{seed} {side}") for side in OTHER}
        self._doors: dict[Side, dict[Address, _Door]] = {"left": {}, "right": {}}
        self._under_way: set[asyncio.TimerHandle] = set()
        self._closed = False
        self.passed = 0
        self.lost = 0
        self.strangers = 0
        """Packets from an address that no description named yet; these are dropped."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for handle in self._under_way:
            handle.cancel()
        self._under_way.clear()
        for doors in self._doors.values():
            for door in doors.values():
                door.transport.close()
        await asyncio.sleep(0)  # the transports close in the next round of the loop

    @property
    def conditions(self) -> Conditions:
        return self._conditions

    def set(self, **changes: float | bool) -> None:
        """Change some of the Conditions from now on; packets that are under way keep their fate."""
        self._conditions = replace(self._conditions, **changes)  # type: ignore[arg-type]

    async def describe(self, sdp: str, *, of: Side) -> str:
        """The session description of one side as the other side is to see it: only IPv4 over UDP, through doors."""
        lines = []
        for line in sdp.splitlines():
            if line.startswith("a=candidate:"):
                candidate = await self.candidate(line.removeprefix("a="), of=of)
                if candidate is None:
                    continue
                line = f"a={candidate}"
            lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    async def candidate(self, text: str, *, of: Side) -> str | None:
        """One candidate (RFC 8839, 5.1) of a side as the other side is to see it; None when it cannot be used."""
        fields = text.split(" ")
        transport, host, port = fields[2].lower(), fields[4], int(fields[5])
        if transport != "udp" or ":" in host or fields[7] != "host":
            return None
        fields[4], fields[5] = (str(part) for part in await self._door(of, (host, port)))
        return " ".join(fields)

    async def _door(self, side: Side, address: Address) -> Address:
        doors = self._doors[side]
        if address not in doors:
            loop = asyncio.get_running_loop()
            _, doors[address] = await loop.create_datagram_endpoint(
                lambda: _Door(address, lambda data, sender: self._carry(data, OTHER[side], sender, doors[address])),
                local_addr=(address[0], 0),
            )
        host, port = doors[address].transport.get_extra_info("sockname")[:2]
        return host, port

    def _carry(self, data: bytes, side: Side, sender: Address, entered: "_Door") -> None:
        """Take a packet that `sender` of `side` sent to the door `entered` to whom that door stands for."""
        own_door = self._doors[side].get(sender)
        if own_door is None:
            self.strangers += 1
            return
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        at_s = self._fates[side].arrival_s(now_s, self._conditions)
        if at_s is None:
            self.lost += 1
            return
        self.passed += 1
        if at_s <= now_s:
            own_door.transport.sendto(data, entered.stands_for)
            return

        def deliver() -> None:
            self._under_way.discard(handle)
            own_door.transport.sendto(data, entered.stands_for)

        handle = loop.call_at(at_s, deliver)
        self._under_way.add(handle)


class _Door(asyncio.DatagramProtocol):
    """The socket that stands for one address of one peer."""

    transport: asyncio.DatagramTransport

    def __init__(self, stands_for: Address, entered: Callable[[bytes, Address], None]) -> None:
        self.stands_for = stands_for
        self._entered = entered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._entered(data, addr)

    def error_received(self, error: Exception) -> None:
        """A peer that is gone refuses packets; the others go on."""
