"""Fixed media ports, the address they are announced under, and the way that media takes. The one file here that touches
private names of aioice and aiortc's ICE; tests/unit/test_ice.py fails when they change.

On a rented machine the performer sits behind a port mapping: a container that is reached at the public address through
a few UDP ports that were mapped when it was rented. aioice alone would bind every interface at any port and announce
what nobody can reach. Here one connection takes one of these ports on the main interface, and announces

    host PUBLIC_ADDRESS:PUBLIC_PORT     for everybody
    host CONTAINER:PORT                 below it, for the TURN server in the same container

With fixed ports a performer asks no STUN or TURN server: it is reached, and viewers come through theirs.
"""

import asyncio
import copy
import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aioice.turn import UDP_SOCKET_BUFFER_SIZE
from aiortc import RTCIceCandidate, RTCPeerConnection

from peer_remote.ports import Ports
from peer_remote.settings import RemoteSettings
from signaling.errors import SignalingError
from signaling.network import main_address

PATIENCE_S = 1.0
"""How long a newcomer waits for a port: a viewer who rebuilds its connection is about to give back the one before."""
RETRY_S = 0.1
FIRST_PREFERENCE = 65_535
"""Local preferences of candidates (RFC 8445, 5.1.2.1): the higher is tried first."""
COMPONENT = 1


class NoFreePort(SignalingError):
    """Every media port is taken."""

    code = "no_free_port"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the performer is on the network."""

    address: str
    """Of the main interface, on which alone media ports are bound."""
    ports: Ports
    public_address: str | None = None
    public_ports: Ports = ()

    def announced(self, port: int) -> list[tuple[str, int]]:
        """The addresses under which a bound port is announced, the best first."""
        inside = (self.address, port)
        if self.public_address is None:
            return [inside]
        outside = (self.public_address, self.public_ports[self.ports.index(port)] if self.public_ports else port)
        return list(dict.fromkeys((outside, inside)))


class MediaPorts:
    """Gives each connection a port of its own. The ports take turns: on one that was just given back, the packets of
    its last viewer may still arrive."""

    def __init__(self, place: Place, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.place = place
        self._sleep = sleep
        self._next = 0

    async def bind(self, protocol: Callable[[], StunProtocol]) -> StunProtocol:
        """A socket on a free port. Raises NoFreePort, OSError when not even the address can be used."""
        for attempt in range(round(PATIENCE_S / RETRY_S) + 1):
            if attempt:
                await self._sleep(RETRY_S)
            for _ in self.place.ports:
                port = self.place.ports[self._next]
                self._next = (self._next + 1) % len(self.place.ports)
                try:
                    return await self._bind(port, protocol)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
        count = len(self.place.ports)
        ports = "The only media port of the double is" if count == 1 else f"All {count} media ports of the double are"
        raise NoFreePort(f"{ports} in use, so nobody else can watch; wait until somebody has left.")

    async def _bind(self, port: int, protocol: Callable[[], StunProtocol]) -> StunProtocol:
        loop = asyncio.get_running_loop()
        transport, bound = await loop.create_datagram_endpoint(protocol, local_addr=(self.place.address, port))
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
        return bound


def media_ports(remote: RemoteSettings) -> MediaPorts | None:
    """The ports of the settings, or None for any free ones. Raises OSError on a machine without a network."""
    if not remote.media_ports:
        return None
    try:
        address = main_address()
    except OSError as error:
        raise OSError(f"UNDERSTUDY_REMOTE__MEDIA_PORTS cannot be used: {error}.") from None
    return MediaPorts(Place(address, remote.media_ports, remote.public_address, remote.public_ports))


def fix_ports(connection: RTCPeerConnection, ports: MediaPorts) -> None:
    """Let `connection` take one of `ports` and announce it; call it after the first track was added, before any offer.

    It must be made with MAX_BUNDLE, by which all media share one port. Raises RuntimeError when aioice has changed.
    """
    gatherer = _ice_transport(connection).iceGatherer
    agent = gatherer._connection
    for name in ("get_component_candidates", "_protocols", "_nominated"):
        if not hasattr(agent, name):
            raise RuntimeError(f"aioice's connection has no {name} any more: adapt peer_remote/ice.py to it.")

    async def get_component_candidates(component: int, **_: Any) -> list[Candidate]:
        bound = await ports.bind(lambda: StunProtocol(agent))
        host, port = bound.transport.get_extra_info("sockname")[:2]
        bound.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        agent._protocols.append(bound)
        return [bound.local_candidate]

    own_candidates = gatherer.getLocalCandidates

    def get_local_candidates() -> list[RTCIceCandidate]:
        return [told for candidate in own_candidates() for told in _announced(candidate, ports.place)]

    agent.get_component_candidates = get_component_candidates
    gatherer.getLocalCandidates = get_local_candidates


def is_relayed(connection: RTCPeerConnection, ports: MediaPorts | None = None) -> bool:
    """Whether the packets of `connection` go through a TURN server now; a browser may change that during a call.

    What comes to one of the fixed `ports` from this machine itself comes from the TURN server beside the performer,
    also before the viewer has said so.
    """
    pair = _ice_transport(connection)._connection._nominated.get(COMPONENT)
    if pair is None:
        return False
    beside = ports is not None and pair.remote_addr[0] == ports.place.address
    return beside or "relay" in (pair.local_candidate.type, pair.remote_candidate.type)


def _announced(candidate: RTCIceCandidate, place: Place) -> list[RTCIceCandidate]:
    """What is told of a bound port; the agent itself goes on with the address that it knows."""
    told = []
    for rank, (address, port) in enumerate(place.announced(candidate.port)):
        other = copy.copy(candidate)
        other.ip, other.port = address, port
        other.foundation = candidate_foundation("host", "udp", address)
        other.priority = candidate_priority(COMPONENT, "host", FIRST_PREFERENCE - rank)
        told.append(other)
    return told


def _ice_transport(connection: RTCPeerConnection) -> Any:
    """The one transport of a connection with MAX_BUNDLE."""
    return connection.getTransceivers()[0].sender.transport.transport
