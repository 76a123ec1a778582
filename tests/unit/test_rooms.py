from itertools import count

import pytest

from signaling.errors import BadMessage, RoomFull, UnknownPeer
from signaling.protocol import Answer, Bye, Candidate, Error, IceServer, Offer, Peer, PeerJoined, PeerLeft, Welcome
from signaling.rooms import Rooms, new_peer_id


def rooms(*, max_viewers: int = 2, max_rooms: int = 2) -> Rooms:
    """Rooms whose peers are called peer0001, peer0002, … in the order of their arrival."""
    numbers = count(1)
    return Rooms(max_viewers=max_viewers, max_rooms=max_rooms, new_id=lambda: f"peer{next(numbers):04}")


def test_the_first_peer_is_welcomed_into_an_empty_room() -> None:
    server = IceServer(urls=("stun:stun.example.org",))
    joined = rooms().join("main", "viewer", (server,))
    assert joined.deliveries == [
        ("peer0001", Welcome(peer_id="peer0001", role="viewer", peers=(), ice_servers=(server,)))
    ]


def test_performer_and_viewer_learn_of_each_other() -> None:
    here = rooms()
    here.join("main", "performer")
    joined = here.join("main", "viewer")
    performer = Peer(peer_id="peer0001", role="performer")
    viewer = Peer(peer_id="peer0002", role="viewer")
    assert joined.deliveries == [
        ("peer0002", Welcome(peer_id="peer0002", role="viewer", peers=(performer,), ice_servers=())),
        ("peer0001", PeerJoined(peer=viewer)),
    ]
    assert here.leave("peer0002") == [("peer0001", PeerLeft(peer_id="peer0002"))]


def test_viewers_and_the_operator_do_not_see_each_other() -> None:
    here = rooms()
    here.join("main", "viewer")
    operator = here.join("main", "operator")
    assert [peer_id for peer_id, _ in operator.deliveries] == [operator.peer_id]
    assert here.leave(operator.peer_id) == []


def test_negotiation_passes_between_viewer_and_performer_with_its_sender() -> None:
    here = rooms()
    performer = here.join("main", "performer").peer_id
    viewer = here.join("main", "viewer").peer_id
    offer = Offer(to=performer, sdp="v=0")
    assert here.route(viewer, offer) == [(performer, Offer(to=performer, sender=viewer, sdp="v=0"))]
    answer = Answer(to=viewer, sdp="v=0")
    assert here.route(performer, answer) == [(viewer, Answer(to=viewer, sender=performer, sdp="v=0"))]
    for message in (Candidate(to=performer, candidate=""), Bye(to=performer)):
        [(addressee, passed)] = here.route(viewer, message)
        assert addressee == performer
        assert isinstance(passed, Candidate | Bye)
        assert passed.sender == viewer


def test_a_sender_cannot_pretend_to_be_another() -> None:
    here = rooms()
    performer = here.join("main", "performer").peer_id
    viewer = here.join("main", "viewer").peer_id
    [(_, passed)] = here.route(viewer, Bye(to=performer, sender="somebodyelse"))
    assert isinstance(passed, Bye)
    assert passed.sender == viewer


def test_a_viewer_cannot_reach_a_viewer() -> None:
    here = rooms()
    one, other = here.join("main", "viewer").peer_id, here.join("main", "viewer").peer_id
    with pytest.raises(UnknownPeer):
        here.route(one, Offer(to=other, sdp="v=0"))


def test_a_peer_of_another_room_cannot_be_reached() -> None:
    here = rooms()
    performer = here.join("main", "performer").peer_id
    viewer = here.join("other", "viewer").peer_id
    with pytest.raises(UnknownPeer):
        here.route(viewer, Offer(to=performer, sdp="v=0"))


def test_offers_and_answers_have_one_direction() -> None:
    here = rooms()
    performer = here.join("main", "performer").peer_id
    viewer = here.join("main", "viewer").peer_id
    with pytest.raises(BadMessage):
        here.route(performer, Offer(to=viewer, sdp="v=0"))
    with pytest.raises(BadMessage):
        here.route(viewer, Answer(to=performer, sdp="v=0"))


def test_one_viewer_too_many_is_refused_and_a_place_that_is_left_is_free_again() -> None:
    here = rooms(max_viewers=2)
    first = here.join("main", "viewer").peer_id
    here.join("main", "viewer")
    with pytest.raises(RoomFull, match="Room main is full: it already has 2 viewers"):
        here.join("main", "viewer")
    here.join("main", "performer")
    here.leave(first)
    here.join("main", "viewer")
    assert here.census() == {"main": {"performer": 1, "operator": 0, "viewer": 2}}


def test_one_room_too_many_is_refused_until_another_is_empty() -> None:
    here = rooms(max_rooms=1)
    only = here.join("main", "viewer").peer_id
    with pytest.raises(RoomFull, match="already has 1 rooms"):
        here.join("other", "viewer")
    here.leave(only)
    here.join("other", "viewer")
    assert set(here.census()) == {"other"}


def test_a_performer_that_comes_back_replaces_its_dead_self_and_viewers_negotiate_again() -> None:
    here = rooms()
    dead = here.join("main", "performer").peer_id
    viewer = here.join("main", "viewer").peer_id
    joined = here.join("main", "performer")
    assert [(peer_id, type(message)) for peer_id, message in joined.deliveries] == [
        (dead, Error),
        (viewer, PeerLeft),
        (joined.peer_id, Welcome),
        (viewer, PeerJoined),
    ]
    error = joined.deliveries[0][1]
    assert isinstance(error, Error)
    assert (error.code, error.fatal) == ("replaced", True)
    assert here.leave(dead) == []
    with pytest.raises(UnknownPeer):
        here.route(dead, Answer(to=viewer, sdp="v=0"))


def test_a_lone_performer_is_replaced_even_when_no_room_may_be_added() -> None:
    here = rooms(max_rooms=1)
    here.join("main", "performer")
    here.join("main", "performer")
    assert here.census() == {"main": {"performer": 1, "operator": 0, "viewer": 0}}


def test_an_operator_is_replaced_by_a_later_one() -> None:
    here = rooms()
    first = here.join("main", "operator").peer_id
    assert here.join("main", "operator").deliveries[0][0] == first
    assert here.census()["main"]["operator"] == 1


def test_peer_ids_are_ones_that_the_protocol_accepts() -> None:
    assert Peer(peer_id=new_peer_id(), role="viewer").peer_id != new_peer_id()
