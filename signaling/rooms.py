"""Who is in a room and in which role, and what everybody must be told about it.

A plain synchronous rule book: each decision returns the messages to send, in order, as (peer id, message); a fatal
Error among them means that this peer's connection is to be closed after it. Peers see and reach only those they can
have a WebRTC connection with: the performer on one side, viewers and the operator on the other.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from signaling.errors import BadMessage, RoomFull, UnknownPeer
from signaling.protocol import (
    Answer,
    Bye,
    Candidate,
    Error,
    FromService,
    IceServer,
    Offer,
    Peer,
    PeerJoined,
    PeerLeft,
    Role,
    Welcome,
)

Relayed = Offer | Answer | Candidate | Bye
Deliveries = list[tuple[str, FromService]]

REPLACED = "replaced"
"""Code of the fatal error for a performer or operator whose place was taken by a later one."""


def new_peer_id() -> str:
    """An id that nobody can guess: 16 hexadecimal digits."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Joined:
    peer_id: str
    deliveries: Deliveries


class Rooms:
    """Every room of one service: at most one performer, one operator and `max_viewers` viewers in each.

    A room exists while somebody is in it. Performer and operator are replaced by a later one with a valid token,
    because a peer whose network died stays registered until the heartbeat finds out.
    """

    def __init__(self, *, max_viewers: int, max_rooms: int, new_id: Callable[[], str] = new_peer_id) -> None:
        self._max_viewers = max_viewers
        self._max_rooms = max_rooms
        self._new_id = new_id
        self._rooms: dict[str, dict[str, Peer]] = {}
        self._room_of: dict[str, str] = {}

    def join(self, room: str, role: Role, ice_servers: tuple[IceServer, ...] = ()) -> Joined:
        """Let a peer in and introduce it to those it can reach. Raises RoomFull."""
        if room not in self._rooms and len(self._rooms) >= self._max_rooms:
            raise RoomFull(f"The service already has {self._max_rooms} rooms and opens no other one.")
        present = self._rooms.get(room, {}).values()
        deliveries: Deliveries = []
        if role == "viewer":
            if sum(peer.role == "viewer" for peer in present) >= self._max_viewers:
                raise RoomFull(f"Room {room} is full: it already has {self._max_viewers} viewers.")
        else:
            for earlier in [peer for peer in present if peer.role == role]:
                text = f"Another {role} with a valid token took this place in room {room}."
                deliveries.append((earlier.peer_id, Error(code=REPLACED, message=text, fatal=True)))
                deliveries += self.leave(earlier.peer_id)
        newcomer = Peer(peer_id=self._new_id(), role=role)
        reachable = tuple(peer for peer in self._rooms.get(room, {}).values() if _can_reach(newcomer, peer))
        self._rooms.setdefault(room, {})[newcomer.peer_id] = newcomer
        self._room_of[newcomer.peer_id] = room
        welcome = Welcome(peer_id=newcomer.peer_id, role=role, peers=reachable, ice_servers=ice_servers)
        deliveries.append((newcomer.peer_id, welcome))
        deliveries += [(peer.peer_id, PeerJoined(peer=newcomer)) for peer in reachable]
        return Joined(newcomer.peer_id, deliveries)

    def leave(self, peer_id: str) -> Deliveries:
        """Take a peer out and tell those who could reach it; for one that has already left nothing happens."""
        room = self._room_of.pop(peer_id, None)
        if room is None:
            return []
        peers = self._rooms[room]
        gone = peers.pop(peer_id)
        if not peers:
            del self._rooms[room]
        return [(peer.peer_id, PeerLeft(peer_id=peer_id)) for peer in peers.values() if _can_reach(gone, peer)]

    def route(self, sender_id: str, message: Relayed) -> Deliveries:
        """Pass a message on. Raises UnknownPeer, or BadMessage for an offer or answer in the wrong direction."""
        room = self._room_of.get(sender_id)
        if room is None:
            raise UnknownPeer("The sender is not in a room any more.")
        sender = self._rooms[room][sender_id]
        addressee = self._rooms[room].get(message.to)
        if addressee is None or not _can_reach(sender, addressee):
            raise UnknownPeer(f"A {sender.role} of this room cannot reach a peer {message.to}.")
        if isinstance(message, Offer) and sender.role == "performer":
            raise BadMessage("An offer goes to the performer, which only answers.")
        if isinstance(message, Answer) and sender.role != "performer":
            raise BadMessage("An answer comes from the performer.")
        return [(addressee.peer_id, message.model_copy(update={"sender": sender_id}))]

    def census(self) -> dict[str, dict[Role, int]]:
        """How many peers of each role are in each room."""
        return {
            room: {
                "performer": sum(peer.role == "performer" for peer in peers.values()),
                "operator": sum(peer.role == "operator" for peer in peers.values()),
                "viewer": sum(peer.role == "viewer" for peer in peers.values()),
            }
            for room, peers in self._rooms.items()
        }


def _can_reach(one: Peer, other: Peer) -> bool:
    return (one.role == "performer") != (other.role == "performer")
