"""The signaling service as its peers see it: how they meet, and what happens to those who make a mistake."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest
from pydantic import SecretStr

from signaling.app import create_app
from signaling.auth import turn_credentials
from signaling.protocol import (
    MAX_MESSAGE_BYTES,
    Answer,
    Bye,
    Candidate,
    IceServer,
    Join,
    Offer,
    Peer,
    PeerJoined,
    PeerLeft,
)
from signaling.settings import SettingsError, SignalingSettings
from tests.component.signaling_peers import NOW_S, PATIENCE_S, RawPeer, Service, serving, token


async def assert_still_serves(performer: RawPeer, viewer: RawPeer) -> None:
    """Those who did nothing wrong can negotiate as if nothing had happened."""
    await viewer.send(Offer(to=performer.id, sdp="v=0"))
    offer = await performer.receive()
    while not isinstance(offer, Offer):
        offer = await performer.receive()
    assert offer == Offer(to=performer.id, sender=viewer.id, sdp="v=0")
    await performer.send(Answer(to=viewer.id, sdp="v=0"))
    assert await viewer.receive() == Answer(to=viewer.id, sender=performer.id, sdp="v=0")


async def couple(service: Service) -> tuple[RawPeer, RawPeer]:
    performer = await service.joined("performer")
    viewer = await service.joined("viewer")
    assert await performer.receive() == PeerJoined(peer=Peer(peer_id=viewer.id, role="viewer"))
    return performer, viewer


async def test_two_peers_meet_negotiate_and_part() -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        await assert_still_serves(performer, viewer)
        candidate = Candidate(to=performer.id, candidate="candidate:1 1 udp 1 192.0.2.1 9 typ host", sdp_mid="0")
        await viewer.send(candidate)
        assert await performer.receive() == candidate.model_copy(update={"sender": viewer.id})
        await viewer.send(Bye(to=performer.id))
        assert await performer.receive() == Bye(to=performer.id, sender=viewer.id)
        await viewer.socket.close()
        assert await performer.receive() == PeerLeft(peer_id=viewer.id)


async def test_everybody_is_told_how_to_reach_the_others() -> None:
    turn_urls = ("turn:turn.example.org:3478?transport=udp", "turn:turn.example.org:3478?transport=tcp")
    async with serving(
        ice_servers=("stun:stun.example.org:3478",),
        turn_urls=turn_urls,
        turn_secret=SecretStr("north"),
        turn_lifetime_s=600,
    ) as service:
        peer = await service.connect()
        welcome = await peer.join("viewer")
    turn = turn_credentials("north", turn_urls, lifetime_s=600, now_s=NOW_S)
    assert welcome.ice_servers == (IceServer(urls=("stun:stun.example.org:3478",)), turn)


@pytest.mark.parametrize(
    ("wrong", "code", "reason"),
    [
        (token("viewer", secret="another secret here"), "bad_token", "not valid"),
        (token("viewer", lifetime_s=-1), "bad_token", "expired"),
        (token("viewer", room="attic"), "bad_token", "another room"),
    ],
)
async def test_a_wrong_token_is_refused_and_the_others_go_on(wrong: str, code: str, reason: str) -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        stranger = await service.connect()
        await stranger.send(Join(version=1, room="main", token=wrong))
        error = await stranger.error()
        assert (error.code, error.fatal) == (code, True)
        assert reason in error.message
        assert await stranger.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION
        await assert_still_serves(performer, viewer)


async def test_one_viewer_too_many_is_refused_and_the_others_go_on() -> None:
    async with serving(max_viewers=1) as service:
        performer, viewer = await couple(service)
        late = await service.connect()
        await late.send(Join(version=1, room="main", token=token("viewer")))
        error = await late.error()
        assert (error.code, error.fatal) == ("room_full", True)
        assert error.message == "Room main is full: it already has 1 viewers."
        assert await late.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION
        await assert_still_serves(performer, viewer)


@pytest.mark.parametrize(
    "join",
    [
        {"type": "join", "version": 2, "room": "main", "token": "t"},
        {"type": "join", "version": 99, "rooms": ["main"], "passport": {}},
    ],
)
async def test_a_peer_of_another_version_is_told_so_even_if_its_join_looks_different(join: dict[str, object]) -> None:
    async with serving() as service:
        peer = await service.connect()
        await peer.send(json.dumps(join))
        error = await peer.error()
        assert (error.code, error.fatal) == ("unsupported_version", True)
        assert error.message == f"Protocol version {join['version']} is not supported; it is 1 here."
        assert await peer.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION


@pytest.mark.parametrize(
    "nonsense", ['{"type": "dance"}', "not even JSON", '{"type": "join", "version": 1, "room": "main", "token": "t"}']
)
async def test_an_unknown_message_is_answered_and_the_connection_lives(nonsense: str) -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        await viewer.send(nonsense)
        error = await viewer.error()
        assert (error.code, error.fatal) == ("bad_message", False)
        await assert_still_serves(performer, viewer)


async def test_a_peer_may_stumble_before_it_joins() -> None:
    async with serving() as service:
        peer = await service.connect()
        await peer.send('{"type": "dance"}')
        assert not (await peer.error()).fatal
        await peer.send(Bye(to="a" * 16))
        assert (await peer.error()).message == "The first message must be a join."
        await peer.join("viewer")


async def test_a_message_that_is_too_long_is_answered_and_the_connection_lives() -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        await viewer.send("x" * (MAX_MESSAGE_BYTES + 1))
        error = await viewer.error()
        assert (error.code, error.fatal) == ("bad_message", False)
        assert error.message == "The message is longer than 98304 bytes."
        await assert_still_serves(performer, viewer)


async def test_a_message_that_is_far_too_long_ends_only_its_own_connection() -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        giant = await service.joined("operator")
        await performer.receive()
        with suppress(ConnectionError):
            await giant.send("x" * (5 * MAX_MESSAGE_BYTES))
        assert await giant.closed() in (aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)
        assert await performer.receive() == PeerLeft(peer_id=giant.id)
        await assert_still_serves(performer, viewer)
        assert 'dropped_connections_total{reason="unreadable_frame"} 1.0' in await service.text("/metrics")


async def test_a_message_to_somebody_who_left_is_answered_and_the_connection_lives() -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        await viewer.send(Offer(to="a" * 16, sdp="v=0"))
        error = await viewer.error()
        assert (error.code, error.fatal) == ("unknown_peer", False)
        await assert_still_serves(performer, viewer)


async def test_who_does_not_join_in_time_is_sent_away() -> None:
    async with serving(join_timeout_s=0.05) as service:
        peer = await service.connect()
        error = await peer.error()
        assert (error.code, error.fatal) == ("join_timeout", True)
        assert await peer.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_who_joined_may_stay_silent() -> None:
    async with serving(join_timeout_s=0.4) as service:
        performer, viewer = await couple(service)
        silent = await service.connect()
        await silent.error()
        await assert_still_serves(performer, viewer)


async def test_a_peer_that_talks_too_fast_is_sent_away_and_the_others_go_on() -> None:
    async with serving(messages_per_s=0.001, burst_messages=4) as service:
        performer, viewer = await couple(service)
        hasty = await service.joined("operator")
        for _ in range(4):
            await hasty.send(Bye(to=performer.id))
        error = await hasty.error()
        assert (error.code, error.fatal) == ("rate_limited", True)
        await hasty.closed()
        await assert_still_serves(performer, viewer)


async def test_a_performer_that_comes_back_takes_its_place_and_viewers_negotiate_again() -> None:
    async with serving() as service:
        dead, viewer = await couple(service)
        performer = await service.joined("performer")
        error = await dead.error()
        assert (error.code, error.fatal) == ("replaced", True)
        assert await dead.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert await viewer.receive() == PeerLeft(peer_id=dead.id)
        assert await viewer.receive() == PeerJoined(peer=Peer(peer_id=performer.id, role="performer"))
        await assert_still_serves(performer, viewer)
        assert await service.rooms() == {"main": {"performer": True, "viewers": 1, "operator": False}}


async def test_a_peer_that_does_not_read_is_cut_off_and_the_others_go_on() -> None:
    async with serving(queue_messages=8, messages_per_s=1e9, burst_messages=10**9) as service:
        performer, viewer = await couple(service)
        sleeper = await service.joined("viewer")
        await performer.receive()

        async def flood() -> None:
            while True:
                await performer.send(Answer(to=sleeper.id, sdp="x" * 60_000))

        flooding = asyncio.create_task(flood())
        assert await performer.receive() == PeerLeft(peer_id=sleeper.id)
        flooding.cancel()
        await asyncio.wait((flooding,))
        assert await sleeper.closed() == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        await assert_still_serves(performer, viewer)
        assert 'dropped_connections_total{reason="slow_reader"} 1.0' in await service.text("/metrics")


async def test_candidates_that_come_all_at_once_are_no_reason_to_cut_a_reader_off() -> None:
    async with serving(queue_messages=8) as service:
        performer, viewer = await couple(service)
        lines = [f"candidate:{number}" for number in range(100)]
        for line in lines:
            await viewer.send(Candidate(to=performer.id, candidate=line))
        received = [await performer.receive() for _ in lines]
        assert [message.candidate for message in received if isinstance(message, Candidate)] == lines


async def test_a_peer_whose_network_died_is_gone_after_a_heartbeat() -> None:
    async with serving(heartbeat_s=0.4) as service:
        performer = await service.joined("performer")
        dead = await service.joined("viewer", autoping=False)
        await performer.receive()
        async with asyncio.timeout(PATIENCE_S):
            assert await performer.receive() == PeerLeft(peer_id=dead.id)


async def test_a_page_of_another_host_may_not_connect() -> None:
    async with serving() as service:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await service.connect(origin="https://elsewhere.example.org")
        assert caught.value.status == 403
        own = f"http://{service.server.host}:{service.server.port}"
        assert (await (await service.connect(origin=own)).join("viewer")).role == "viewer"


async def test_one_connection_too_many_is_told_to_come_later() -> None:
    async with serving(max_connections=1) as service:
        await service.connect()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await service.connect()
        assert caught.value.status == 503


async def test_a_service_that_stops_says_so_to_everybody() -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving())
        peers = [*await couple(service), await service.connect()]
        codes, _ = await asyncio.gather(
            asyncio.gather(*(peer.closed() for peer in peers)),
            service.server.close(),
        )
        assert codes == [aiohttp.WSCloseCode.GOING_AWAY] * 3


async def test_health_and_metrics_say_who_is_where_but_not_who_they_are() -> None:
    async with serving() as service:
        performer, viewer = await couple(service)
        health = json.loads(await service.text("/healthz"))
        assert health["status"] == "ok"
        assert health["rooms"] == {"main": {"performer": True, "viewers": 1, "operator": False}}
        metrics = await service.text("/metrics")
        assert 'understudy_signaling_peers{kind="viewer"} 1.0' in metrics
        assert "understudy_signaling_rooms 1.0" in metrics
        assert 'understudy_signaling_joins_total{kind="performer"} 1.0' in metrics
        assert performer.id not in metrics and viewer.id not in metrics


async def test_two_services_of_one_process_count_apart() -> None:
    async with serving() as one, serving() as other:
        await one.joined("viewer")
        assert 'peers{kind="viewer"} 1.0' in await one.text("/metrics")
        assert 'peers{kind="viewer"} 0.0' in await other.text("/metrics")


async def test_pages_come_with_headers_that_keep_them_to_themselves() -> None:
    async with serving() as service:
        for path in ("/", "/healthz", "/web/no-such-file.js"):
            async with service.session.get(service.server.make_url(path)) as reply:
                assert "default-src 'self'" in reply.headers["Content-Security-Policy"]
                assert reply.headers["X-Content-Type-Options"] == "nosniff"
                assert "microphone=(self)" in reply.headers["Permissions-Policy"]
        async with service.session.get(service.server.make_url("/")) as reply:
            assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
        for path in ("/web/../app.py", "/web/%2e%2e/app.py", "/web/"):
            async with service.session.get(service.url.rstrip("/") + path) as reply:
                assert reply.status in (403, 404)


def test_a_service_without_a_secret_does_not_start() -> None:
    with pytest.raises(SettingsError, match="UNDERSTUDY_SIGNALING__SECRET is not set"):
        create_app(SignalingSettings())
