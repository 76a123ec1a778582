"""A performer behind a port mapping: which ports it takes, what it announces, and when a viewer's way is a relay.

Also the guard of what peer_remote/ice.py takes for granted of aioice and aiortc.
"""

import asyncio
import re
import socket
from collections.abc import Iterator

import pytest
from aioice.ice import Candidate, CandidatePair, StunProtocol
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from peer_remote.ice import MediaPorts, NoFreePort, Place, fix_ports, is_relayed
from signaling.network import main_address
from signaling.webrtc import follow_bundle, peer_connection

HERE = "127.0.0.1"


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Two ports that are free at the moment."""
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind((HERE, 0))
        other.bind((HERE, 0))
        found = one.getsockname()[1], other.getsockname()[1]
    yield found


def taken(port: int, address: str = HERE) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


def on(*ports: int, **place: object) -> MediaPorts:
    return MediaPorts(Place(HERE, ports, **place), sleep=no_sleep)  # type: ignore[arg-type]


async def offering(ports: MediaPorts) -> RTCPeerConnection:
    connection = peer_connection(())
    connection.addTrack(AudioStreamTrack())
    connection.createDataChannel("control")
    fix_ports(connection, ports)
    try:
        await connection.setLocalDescription(await connection.createOffer())
    except BaseException:
        await connection.close()
        raise
    return connection


def candidates(connection: RTCPeerConnection) -> list[tuple[str, int, int]]:
    """Address, port and priority of each candidate, the best first, once."""
    found = re.findall(r"a=candidate:\S+ 1 udp (\d+) (\S+) (\d+) typ host", connection.localDescription.sdp)
    return sorted({(address, int(port), int(priority)) for priority, address, port in found}, key=lambda c: -c[2])


async def test_the_public_address_is_announced_and_the_private_one_below_it(ports: tuple[int, int]) -> None:
    connection = await offering(on(*ports, public_address="203.0.113.7", public_ports=(33526, 33900)))
    told = candidates(connection)
    assert [candidate[:2] for candidate in told] == [("203.0.113.7", 33526), (HERE, ports[0])]
    assert told[0][2] > told[1][2]
    assert "a=end-of-candidates" in connection.localDescription.sdp
    await connection.close()


async def test_a_machine_with_its_own_public_address_announces_it_once(ports: tuple[int, int]) -> None:
    connection = await offering(on(*ports, public_address=HERE))
    assert [candidate[:2] for candidate in candidates(connection)] == [(HERE, ports[0])]
    await connection.close()


async def test_all_media_take_one_port_of_one_interface(ports: tuple[int, int]) -> None:
    connection = await offering(on(*ports))
    assert taken(ports[0]) and not taken(ports[1])
    await connection.close()


async def test_the_port_is_free_again_after_the_connection_and_the_next_one_is_tried(ports: tuple[int, int]) -> None:
    fixed = on(*ports)
    first = await offering(fixed)
    second = await offering(fixed)
    assert taken(ports[1])
    await first.close()
    assert not taken(ports[0])
    third = await offering(fixed)
    assert [candidate[:2] for candidate in candidates(third)] == [(HERE, ports[0])]
    await second.close()
    await third.close()
    assert not taken(ports[0]) and not taken(ports[1])


async def test_without_a_free_port_a_viewer_is_told_so_in_one_sentence(ports: tuple[int, int]) -> None:
    fixed = on(*ports)
    guests = [await offering(fixed), await offering(fixed)]
    with pytest.raises(NoFreePort, match=r"^All 2 media ports of the double are in use, so nobody else can watch; "):
        await offering(fixed)
    for guest in guests:
        await guest.close()


async def test_a_port_that_is_just_being_given_back_is_waited_for(ports: tuple[int, int]) -> None:
    naps = 0

    async def nap(_: float) -> None:
        nonlocal naps
        naps += 1
        await before.close()

    fixed = MediaPorts(Place(HERE, ports[:1]), sleep=nap)
    before = await offering(fixed)
    after = await offering(fixed)
    assert naps == 1
    await after.close()


async def test_an_address_of_another_machine_is_not_taken_for_full(ports: tuple[int, int]) -> None:
    with pytest.raises(OSError, match=r"203\.0\.113\.7|assign"):
        await offering(MediaPorts(Place("203.0.113.7", ports)))


async def test_media_flow_over_the_fixed_port(ports: tuple[int, int]) -> None:
    performer = peer_connection(())
    performer.addTrack(AudioStreamTrack())
    here = main_address()  # viewers offer no address of loopback
    fix_ports(performer, MediaPorts(Place(here, ports)))
    viewer = peer_connection(())
    opened = asyncio.Event()
    viewer.addTransceiver("audio", "recvonly")
    viewer.createDataChannel("control").on("open", opened.set)
    await viewer.setLocalDescription(await viewer.createOffer())
    await performer.setRemoteDescription(RTCSessionDescription(viewer.localDescription.sdp, "offer"))
    await performer.setLocalDescription(await performer.createAnswer())
    await viewer.setRemoteDescription(RTCSessionDescription(performer.localDescription.sdp, "answer"))
    try:
        async with asyncio.timeout(10):
            await opened.wait()
        assert taken(ports[0], here) and not is_relayed(performer)
    finally:
        await viewer.close()
        await performer.close()


@pytest.mark.parametrize("order", [("audio", "video", "data"), ("video", "audio", "data"), ("data", "audio", "video")])
async def test_a_viewer_may_offer_its_media_in_any_order(order: tuple[str, ...]) -> None:
    performer, viewer = peer_connection(()), RTCPeerConnection(RTCConfiguration([]))
    performer.addTrack(AudioStreamTrack())
    performer.addTrack(VideoStreamTrack())
    opened = asyncio.Event()
    for kind in order:
        if kind == "data":
            viewer.createDataChannel("control").on("open", opened.set)
        else:
            viewer.addTransceiver(kind, "recvonly")
    await viewer.setLocalDescription(await viewer.createOffer())
    offer = in_order(viewer.localDescription.sdp, order)
    follow_bundle(performer, offer)
    await performer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await performer.setLocalDescription(await performer.createAnswer())
    assert performer.iceGatheringState == "complete"
    assert not any(sender.transport.transport.state == "closed" for sender in performer.getSenders())
    await viewer.close()
    await performer.close()
    async with asyncio.timeout(5):
        while any("__connect" in str(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # aioice looks every 20 ms whether it was closed


def in_order(sdp: str, kinds: tuple[str, ...]) -> str:
    """The same offer with its media in another order, the first of which leads the others."""
    head, *media = re.split(r"(?=^m=)", sdp, flags=re.MULTILINE)
    names = {"audio": "m=audio", "video": "m=video", "data": "m=application"}
    ordered = [next(part for part in media if part.startswith(names[kind])) for kind in kinds]
    mids = " ".join(re.search(r"^a=mid:(\S+)", part, re.MULTILINE)[1] for part in ordered)  # type: ignore[index]
    return re.sub(r"a=group:BUNDLE [^\r\n]+", f"a=group:BUNDLE {mids}", head) + "".join(ordered)


@pytest.mark.parametrize(("local", "remote", "relayed"), [("host", "prflx", False), ("host", "relay", True)])
async def test_a_relay_shows_in_the_selected_pair(local: str, remote: str, relayed: bool) -> None:
    connection = peer_connection(())
    connection.addTrack(AudioStreamTrack())
    assert not is_relayed(connection)
    agent = connection.getSenders()[0].transport.transport._connection
    protocol = StunProtocol(agent)
    protocol.local_candidate = Candidate("1", 1, "udp", 1, HERE, 1, local)
    agent._nominated[1] = CandidatePair(protocol, Candidate("2", 1, "udp", 1, HERE, 2, remote))
    assert is_relayed(connection) is relayed
    assert is_relayed(connection, on(40000)), "the TURN server beside the performer"
    agent._nominated.clear()
    await connection.close()
