"""The client that both peers use: it stays in the room as long as there is hope."""

import asyncio
import logging
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from signaling.client import SignalingClient
from signaling.errors import BadToken, ConnectionLost, RoomFull, SignalingError, UnsupportedVersion
from signaling.protocol import Answer, Error, FromService, Offer, Peer, PeerJoined, PeerLeft, Role, Welcome, dump
from tests.component.signaling_peers import NOW_S, PATIENCE_S, serving, token


class Naps:
    """The client's sleep: remembers the delays and ends a nap when `waking` is set, as it is from the start."""

    def __init__(self) -> None:
        self.delays_s: list[float] = []
        self.begun = asyncio.Event()
        self.waking = asyncio.Event()
        self.waking.set()

    async def __call__(self, delay_s: float) -> None:
        self.delays_s.append(delay_s)
        self.begun.set()
        await self.waking.wait()
        await asyncio.sleep(0)


def client(url: str, role: Role, naps: Naps | None = None) -> SignalingClient:
    return SignalingClient(url, "main", token(role), sleep=naps or Naps(), chance=lambda: 0.5)


async def following(peer: SignalingClient) -> FromService:
    async with asyncio.timeout(PATIENCE_S):
        return await anext(peer)


async def welcome(peer: SignalingClient) -> Welcome:
    message = await following(peer)
    assert isinstance(message, Welcome), message
    return message


async def test_two_clients_meet_and_negotiate() -> None:
    async with (
        serving() as service,
        client(service.url, "performer") as performer,
        client(service.url, "viewer") as viewer,
    ):
        performer_id = (await welcome(performer)).peer_id
        viewer_id = (await welcome(viewer)).peer_id
        assert await following(performer) == PeerJoined(peer=Peer(peer_id=viewer_id, role="viewer"))
        await viewer.send(Offer(to=performer_id, sdp="v=0"))
        assert await following(performer) == Offer(to=performer_id, sender=viewer_id, sdp="v=0")
        await performer.send(Answer(to=viewer_id, sdp="v=0"))
        assert await following(viewer) == Answer(to=viewer_id, sender=performer_id, sdp="v=0")


async def test_leaving_is_noticed_at_once() -> None:
    async with serving() as service, client(service.url, "performer") as performer:
        await welcome(performer)
        async with client(service.url, "viewer") as viewer:
            left = PeerLeft(peer_id=(await welcome(viewer)).peer_id)
            await following(performer)
        assert await following(performer) == left


async def test_a_client_comes_back_when_the_service_was_restarted() -> None:
    """First nobody is there, then a service, then nobody, then another service."""
    port = unused_port()
    naps = Naps()
    naps.waking.clear()
    async with asyncio.timeout(PATIENCE_S), client(f"http://127.0.0.1:{port}", "performer", naps) as performer:
        await naps.begun.wait()
        async with serving(port=port):
            naps.waking.set()
            first = await welcome(performer)
            naps.waking.clear()
            naps.begun.clear()
        await naps.begun.wait()
        with pytest.raises(ConnectionLost):
            await performer.send(Answer(to="a" * 16, sdp="v=0"))
        async with serving(port=port) as restarted:
            naps.waking.set()
            second = await welcome(performer)
            assert second.peer_id != first.peer_id
            assert (await restarted.rooms())["main"]["performer"]
            assert [round(delay_s, 2) for delay_s in naps.delays_s] == [0.3, 0.3]


async def test_attempts_become_rare_while_nobody_is_there() -> None:
    enough = asyncio.Event()
    naps = Naps()

    async def nap(delay_s: float) -> None:
        await naps(delay_s)
        if len(naps.delays_s) == 7:
            enough.set()
            await asyncio.Event().wait()

    url = f"http://127.0.0.1:{unused_port()}"
    async with SignalingClient(url, "main", "t", sleep=nap, chance=lambda: 1.0), asyncio.timeout(PATIENCE_S):
        await enough.wait()
    assert [round(delay_s, 2) for delay_s in naps.delays_s] == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


async def test_a_service_that_stays_away_is_told_of_until_the_room_is_joined() -> None:
    port = unused_port()
    missed = asyncio.Event()
    coming = asyncio.Event()
    told: list[str | None] = []

    async def nap(_: float) -> None:
        told.append(peer.trouble)
        if len(told) == 2:
            missed.set()
        if len(told) >= 2:
            await coming.wait()

    peer = SignalingClient(f"http://127.0.0.1:{port}", "main", token("operator"), sleep=nap)
    async with asyncio.timeout(PATIENCE_S), peer:
        await missed.wait()
        async with serving(port=port):
            coming.set()
            await welcome(peer)
            assert peer.trouble is None
    assert told[:2] == [None, f"The signaling service at ws://127.0.0.1:{port} cannot be reached"]


async def test_a_wrong_token_ends_it_with_the_reason() -> None:
    naps = Naps()
    async with serving(clock=lambda: NOW_S + 3600) as service, client(service.url, "viewer", naps) as viewer:
        with pytest.raises(BadToken, match="expired"):
            await following(viewer)
        with pytest.raises(StopAsyncIteration):
            await following(viewer)
    assert naps.delays_s == []


async def test_a_full_room_ends_the_first_join() -> None:
    async with serving(max_viewers=1) as service:
        await service.joined("viewer")
        async with client(service.url, "viewer") as late:
            with pytest.raises(RoomFull, match="already has 1 viewers"):
                await following(late)


async def test_a_performer_that_was_replaced_stays_away() -> None:
    naps = Naps()
    async with serving() as service, client(service.url, "performer", naps) as earlier:
        await welcome(earlier)
        await service.joined("performer")
        async with asyncio.timeout(PATIENCE_S):
            rest = [message async for message in earlier]
    assert [message.code for message in rest if isinstance(message, Error)] == ["replaced"]
    assert naps.delays_s == []


def scripted(*visits: list[FromService]) -> Callable[[], web.Application]:
    """A service that answers the first, second, … join with these messages and then closes, the last one stays."""
    scripts = list(visits)

    def make() -> web.Application:
        async def handle(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.receive()
            for message in scripts.pop(0):
                await socket.send_str(dump(message))
            if not scripts:
                await socket.receive()
            return socket

        app = web.Application()
        app.router.add_get("/ws", handle)
        return app

    return make


def hello(peer_id: str) -> Welcome:
    return Welcome(peer_id=peer_id, role="viewer", peers=(), ice_servers=())


async def test_a_room_that_is_full_of_ones_own_dead_connection_is_tried_again() -> None:
    full = Error(code="room_full", message="Full.", fatal=True)
    naps = Naps()
    async with TestServer(scripted([hello("aaaaaaaa")], [full], [hello("bbbbbbbb")])()) as server:
        async with client(str(server.make_url("/")), "viewer", naps) as viewer:
            assert (await welcome(viewer)).peer_id == "aaaaaaaa"
            assert (await welcome(viewer)).peer_id == "bbbbbbbb"
    assert len(naps.delays_s) == 2


async def test_a_service_of_another_version_ends_it_with_the_reason() -> None:
    error = Error(code="unsupported_version", message="It is 2 here.", fatal=True)
    async with TestServer(scripted([error])()) as server, client(str(server.make_url("/")), "viewer") as viewer:
        with pytest.raises(UnsupportedVersion, match="It is 2 here"):
            await following(viewer)


async def test_a_refusal_that_is_not_fatal_is_passed_on() -> None:
    error = Error(code="unknown_peer", message="Gone.")
    async with TestServer(scripted([hello("aaaaaaaa"), error])()) as server:
        async with client(str(server.make_url("/")), "viewer") as viewer:
            await welcome(viewer)
            assert await following(viewer) == error


async def test_a_service_that_never_welcomes_is_left() -> None:
    naps = Naps()
    naps.waking.clear()
    async with TestServer(scripted([])()) as server:
        url = str(server.make_url("/"))
        async with SignalingClient(url, "main", "t", sleep=naps, connect_timeout_s=0.05), asyncio.timeout(PATIENCE_S):
            await naps.begun.wait()


async def test_a_reader_that_rests_holds_the_service_back_and_loses_nothing() -> None:
    crowd = [PeerLeft(peer_id=f"{number:08}") for number in range(200)]
    async with TestServer(scripted([hello("aaaaaaaa"), *crowd])()) as server:
        url = str(server.make_url("/"))
        async with SignalingClient(url, "main", "t", inbox_messages=2) as viewer:
            await welcome(viewer)
            assert [await following(viewer) for _ in crowd] == crowd


async def test_a_mistake_inside_reaches_the_reader() -> None:
    def broken() -> aiohttp.ClientSession:
        raise RuntimeError("no session")

    async with SignalingClient("http://127.0.0.1:1", "main", "t", session_factory=broken) as viewer:
        with pytest.raises(RuntimeError, match="no session"):
            await following(viewer)


async def test_the_token_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = token("viewer", secret="another secret here")
    async with serving() as service, SignalingClient(service.url, "main", secret) as viewer:
        with pytest.raises(SignalingError):
            await following(viewer)
    assert caplog.records
    assert not any(secret in str(vars(record)) for record in caplog.records if record.name.startswith("signaling"))


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://example.org", "http://", "nonsense", "http://[", ""])
def test_an_address_that_is_none_is_one_sentence(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not the address of a signaling service such as http://127\.0\.0\.1:8080\.$"
    ):
        SignalingClient(url, "main", "t")


@pytest.mark.parametrize(
    ("room", "secret", "what"), [("a room", "t", "room"), ("main", "", "token"), ("main", "t" * 513, "token")]
)
def test_a_room_or_token_that_is_none_is_one_sentence_without_it(room: str, secret: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^The {what} for the signaling service is not one.$"):
        SignalingClient("http://127.0.0.1:8080", room, secret)
