"""Whatever peers do, in whatever order, a room keeps its limits and everybody's picture of it is true."""

from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from signaling.errors import RoomFull
from signaling.protocol import Error, PeerJoined, PeerLeft, Role, Welcome
from signaling.rooms import Deliveries, Rooms

MAX_VIEWERS = 2
MAX_ROOMS = 2


class RoomsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        numbers = count(1)
        self.rooms = Rooms(max_viewers=MAX_VIEWERS, max_rooms=MAX_ROOMS, new_id=lambda: f"peer{next(numbers):04}")
        self.place: dict[str, tuple[str, Role]] = {}
        self.sees: dict[str, set[str]] = {}

    def apply(self, deliveries: Deliveries) -> None:
        for peer_id, message in deliveries:
            if isinstance(message, Welcome):
                self.sees[peer_id] = {peer.peer_id for peer in message.peers}
            elif isinstance(message, PeerJoined):
                self.sees[peer_id].add(message.peer.peer_id)
            elif isinstance(message, PeerLeft):
                self.sees[peer_id].remove(message.peer_id)
            elif isinstance(message, Error):
                del self.place[peer_id], self.sees[peer_id]

    @rule(room=st.sampled_from(["a", "b", "c"]), role=st.sampled_from(["performer", "operator", "viewer"]))
    def join(self, room: str, role: Role) -> None:
        try:
            joined = self.rooms.join(room, role)
        except RoomFull:
            return
        self.place[joined.peer_id] = (room, role)
        self.apply(joined.deliveries)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.place:
            peer_id = data.draw(st.sampled_from(sorted(self.place)))
            del self.place[peer_id], self.sees[peer_id]
            self.apply(self.rooms.leave(peer_id))

    @invariant()
    def limits_hold(self) -> None:
        census = self.rooms.census()
        assert len(census) <= MAX_ROOMS
        for roles in census.values():
            assert roles["performer"] <= 1
            assert roles["operator"] <= 1
            assert 0 < sum(roles.values())
            assert roles["viewer"] <= MAX_VIEWERS

    @invariant()
    def everybody_sees_exactly_whom_they_can_reach(self) -> None:
        for peer_id, (room, role) in self.place.items():
            reachable = {
                other
                for other, (other_room, other_role) in self.place.items()
                if other_room == room and (role == "performer") != (other_role == "performer")
            }
            assert self.sees[peer_id] == reachable


TestRooms = RoomsMachine.TestCase
TestRooms.settings = settings(max_examples=50, stateful_step_count=25, deadline=None, database=None)
