"""The doctor as a whole: the network, hanging and crashing checks, the report, and real sockets."""

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from peer_local.doctor import examine as run_doctor
from peer_local.doctor import network, stun, wire
from peer_local.doctor.examination import CHECKS, IDS, Planned, examine
from peer_local.doctor.finding import Finding
from peer_local.doctor.machine import Reply, ThisMachine
from peer_local.errors import DeviceError
from peer_local.settings import Settings
from signaling.errors import BadToken
from signaling.protocol import IceServer
from tests.component import signaling_peers
from tests.unit.doctor_machine import NOW_S, ROOM, FakeMachine, settings, token

FAR = "https://meet.example.org/ws"
STUN = IceServer(urls=("stun:stun.example.org",))
TURN = IceServer(urls=("turn:turn.example.org:443?transport=tcp", "turns:turn.example.org"))


def chosen(url: str = "ws://127.0.0.1:8080/ws", key: str | None = None, **sections: Any) -> Settings:
    return settings(local={"signaling_url": url, "token": token() if key is None else key or None}, **sections)


async def found(machine: FakeMachine, chosen: Settings) -> dict[str, Finding]:
    findings = await network.examine(machine, chosen)
    assert [finding.id for finding in findings] == list(network.IDS)
    return {finding.id: finding for finding in findings}


async def verdicts(machine: FakeMachine, chosen: Settings) -> dict[str, str]:
    return {id: finding.verdict for id, finding in (await found(machine, chosen)).items()}


async def test_all_is_well_on_one_machine() -> None:
    machine = FakeMachine()
    assert set((await verdicts(machine, chosen())).values()) == {"ok"}
    assert machine.joins == 1


async def test_no_service() -> None:
    machine = FakeMachine()
    machine.reply = ConnectionRefusedError()
    findings = await found(machine, chosen())
    assert findings["signaling"].found == "http://127.0.0.1:8080: not reached"
    assert findings["token"].found.endswith("not tried, as its service is not there")
    assert {findings[id].verdict for id in ("performer", "round_trip", "clock", "ice")} == {"warning"}
    machine.reply = Reply(404, None, NOW_S, 0.01)
    assert (await found(machine, chosen()))["signaling"].found == "http://127.0.0.1:8080 is another service (HTTP 404)"
    assert (await verdicts(machine, chosen("ftp://x")))["signaling"] == "fail"


@pytest.mark.parametrize(
    ("key", "verdict", "text"),
    [
        ("abc", "fail", "it is no token of this version"),
        (token(room="other"), "fail", "it is for room other, not main"),
        (token(role="viewer"), "fail", "it is a viewer's, not an operator's"),
        (token(lifetime_s=-7_200), "fail", "it expired 2 hours ago"),
        (token(lifetime_s=600), "warning", "good for room main, 10 minutes more"),
        (token(), "ok", "good for room main, 1 day more"),
    ],
)
async def test_the_token_is_read(key: str, verdict: str, text: str) -> None:
    finding = (await found(FakeMachine(), chosen(key=key)))["token"]
    assert (finding.verdict, finding.found) == (verdict, text)
    assert not key or key not in str(finding)


async def test_what_make_local_starts_is_not_missed() -> None:
    machine = FakeMachine()
    machine.reply = ConnectionRefusedError()
    findings = await found(machine, chosen(key=""))
    assert {finding.verdict for finding in findings.values()} == {"ok"}
    assert findings["signaling"].found == "started by `make local`"
    elsewhere = (await found(machine, chosen(FAR, key="")))["token"]
    assert (elsewhere.verdict, elsewhere.found) == ("fail", "none is set") and "make local" in str(elsewhere.next_step)


async def test_a_running_operator_is_not_thrown_out_by_the_check() -> None:
    machine = FakeMachine()
    assert isinstance(machine.reply, Reply)
    machine.reply = replace(machine.reply, body={"status": "ok", "rooms": {"main": {**ROOM, "operator": True}}})
    finding = (await found(machine, chosen()))["token"]
    assert (finding.verdict, machine.joins) == ("ok", 0)
    assert finding.found.endswith("not tried, as an operator is there")


async def test_a_token_that_the_service_refuses() -> None:
    machine = FakeMachine()
    machine.ice = BadToken("The token is not valid for this service; ask for a new link.")
    assert (await found(machine, chosen()))["token"].verdict == "fail"
    machine.ice = TimeoutError()
    assert (await found(machine, chosen()))["token"].verdict == "fail"


async def test_nobody_performs() -> None:
    machine = FakeMachine()
    machine.reply = Reply(200, {"status": "ok", "rooms": {}}, NOW_S, 0.02)
    finding = (await found(machine, chosen()))["performer"]
    assert finding.verdict == "warning" and "python -m peer_remote" in str(finding.next_step)


@pytest.mark.parametrize(
    ("platform", "hint"), [("linux", "timedatectl"), ("win32", "Sync now"), ("darwin", "Date & Time")]
)
@pytest.mark.parametrize(("off_s", "text"), [(90, "2 minutes ahead of"), (-86_400 * 3, "3 days behind")])
async def test_a_wrong_clock(platform: str, hint: str, off_s: float, text: str) -> None:
    machine = FakeMachine(platform)
    machine.clock_s = NOW_S + off_s
    findings = await found(machine, chosen())
    assert findings["clock"].verdict == "warning" and findings["clock"].found.startswith(text)
    assert hint in str(findings["clock"].next_step)
    assert findings["token"].verdict == "ok"  # by the service's clock, which is the one that counts
    machine.reply = Reply(200, {"status": "ok"}, None, 0.02)
    assert (await found(machine, chosen()))["clock"].verdict == "warning"


async def test_a_service_far_away() -> None:
    machine = FakeMachine()
    machine.reply = Reply(200, {"status": "ok"}, NOW_S, 0.4)
    assert (await found(machine, chosen()))["round_trip"].verdict == "warning"


@pytest.mark.parametrize(
    ("url", "servers", "answers", "ice", "udp"),
    [
        (FAR, (), {}, "warning", "warning"),
        (FAR, (STUN,), {("stun.example.org", 3478): 0.03}, "ok", "ok"),
        (FAR, (STUN,), {}, "fail", "fail"),
        (FAR, (STUN, TURN), {("stun.example.org", 3478): 0.03}, "warning", "ok"),
        (FAR, (TURN,), {("turn.example.org", 443): 0.1, ("turn.example.org", 5349): 0.1}, "ok", "warning"),
        (FAR, (IceServer(urls=("stun:[2001:db8::1]:99", "xyz")),), {("2001:db8::1", 99): 0.1}, "warning", "ok"),
        ("http://192.168.1.7:8080", (), {}, "ok", "ok"),
        ("http://studio.local", (), {}, "ok", "ok"),
    ],
)
async def test_ice_and_udp(
    url: str, servers: tuple[IceServer, ...], answers: dict[tuple[str, int], float], ice: str, udp: str
) -> None:
    machine = FakeMachine()
    machine.ice, machine.answers = servers, answers
    verdict = await verdicts(machine, chosen(url))
    assert (verdict["ice"], verdict["udp"]) == (ice, udp)


async def test_every_check_has_one_finding_in_its_order() -> None:
    findings = await examine(FakeMachine(), chosen())
    assert [finding.id for finding in findings] == list(IDS)
    assert len(set(IDS)) == len(IDS) == 17


async def test_a_check_that_hangs_does_not_hold_the_others_up() -> None:
    machine, forever = FakeMachine(), threading.Event()
    machine.hang = forever.wait
    quick = [replace(planned, limit_s=0.05) if planned.id == "virtual_camera" else planned for planned in CHECKS]
    findings = {finding.id: finding for finding in await examine(machine, chosen(), checks=quick)}
    forever.set()
    assert findings["virtual_camera"].found == "no answer within 0.05 s"
    assert findings["virtual_microphone"].verdict == "ok"


async def test_a_check_that_crashes_is_a_verdict() -> None:
    class Broken(FakeMachine):
        def cores(self) -> int:
            raise ZeroDivisionError("of all things")

        async def get(self, url: str) -> Reply:
            raise KeyError(url)

    findings = {finding.id: finding for finding in await examine(Broken(), chosen())}
    assert findings["processor"].found == "the check itself failed: ZeroDivisionError, of all things"
    assert {findings[id].verdict for id in network.IDS} == {"fail"}
    assert findings["memory"].verdict == "ok"


async def test_checks_run_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=5)

    def wait(machine: object, settings: object) -> Finding:
        meeting.wait()
        return Finding("x", "x", "ok", "")

    findings = await examine(FakeMachine(), chosen(), checks=[Planned(str(each), "x", wait) for each in range(3)])
    assert {finding.verdict for finding in findings[:3]} == {"ok"}


def report(machine: FakeMachine, chosen: Settings, width: int = 80, **options: Any) -> tuple[int, str]:
    output = io.StringIO()
    console = Console(file=output, width=width, color_system=None, highlight=False)
    return run_doctor(chosen, machine=machine, console=console, **options), output.getvalue()


def test_the_report_of_a_good_machine() -> None:
    status, text = report(FakeMachine(), chosen(camera={"webcam": "0"}, microphone={"real": "default"}))
    assert status == 0 and "All is well." in text
    assert max(cell_len(line) for line in text.splitlines()) <= 80


def test_the_report_tells_the_next_steps_with_failures_first() -> None:
    machine = FakeMachine()
    machine.camera = DeviceError("There is no virtual camera: install one.")
    machine.reply = ConnectionRefusedError()
    status, text = report(machine, chosen())
    assert status == 1 and "1 of 17 checks failed" in text
    assert text.index("Run `make local`") < text.index("sudo apt-get install -y v4l2loopback-dkms")
    table = text.partition("✗  Signaling service\n")[0]
    assert max(cell_len(line) for line in table.splitlines()) <= 80
    status, text = report(FakeMachine(), chosen())
    assert status == 0 and "It works; 2 things could be better" in text


def test_the_report_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    machine = FakeMachine()
    machine.missing = {"whisper-base"}
    status, _ = report(machine, chosen(), as_json=True)
    value = json.loads(capsys.readouterr().out)
    assert status == 1 and value["ok"] is False
    assert [check["id"] for check in value["checks"]] == list(IDS)
    assert set(value["checks"][0]) == {"id", "title", "verdict", "found", "next_step"}


def test_fix_mends_and_looks_again(capsys: pytest.CaptureFixture[str]) -> None:
    machine = FakeMachine()
    machine.missing, machine.cable = {"whisper-base"}, False
    status, _ = report(machine, chosen(), as_json=True, fix=True)
    value = json.loads(capsys.readouterr().out)
    assert status == 0 and value["ok"] is True
    assert value["fixed"][1] == "Fetched the weights of whisper-base."


@pytest.fixture
async def stun_server() -> AsyncIterator[tuple[str, int]]:
    """Answers every other request, as a lossy network does."""

    class Server(asyncio.DatagramProtocol):
        asked = 0

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.asked += 1
            self.transport.sendto(b"noise", address)
            self.transport.sendto(b"\x01\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), address)
            if self.asked % 2 == 0:
                self.transport.sendto(b"\x01\x01\x00\x00\x21\x12\xa4\x42" + data[8:20], address)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    yield transport.get_extra_info("sockname")
    transport.close()


async def test_a_stun_request_is_sent_again_and_answered(stun_server: tuple[str, int]) -> None:
    assert 0 < await ThisMachine().stun(*stun_server) < 3


async def test_a_closed_port_is_no_stun_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises((OSError, TimeoutError)):
        await stun.round_trip_s("127.0.0.1", port)


async def test_the_real_service_is_understood() -> None:
    now_s = time.time()
    async with signaling_peers.serving(clock=lambda: now_s, ice_servers=("stun:127.0.0.1:9",)) as service:
        machine = ThisMachine()
        reply = await machine.get(service.url + "healthz")
        assert reply.status == 200 and reply.body is not None and reply.body["status"] == "ok"
        assert reply.date_s is not None and abs(reply.date_s - now_s) < 5
        key = signaling_peers.token("operator", lifetime_s=60 + now_s - signaling_peers.NOW_S)
        assert await machine.ice_servers(service.url, "main", key) == (IceServer(urls=("stun:127.0.0.1:9",)),)
        async with asyncio.timeout(5):
            while await service.rooms():  # noqa: ASYNC110  # it leaves again
                await asyncio.sleep(0.01)
        with pytest.raises(BadToken):
            await machine.ice_servers(service.url, "main", key[:-1])
        port = int(service.url.rstrip("/").rpartition(":")[2])
        assert await wire.connect_s("127.0.0.1", port) < 3


def test_this_machine_can_be_asked() -> None:
    machine = ThisMachine()
    assert machine.cores() >= 1 and machine.has_avx2() in (True, False, None)
    assert (machine.memory_bytes() or 0) > 1 << 28
    assert machine.python >= (3, 11, 0) and machine.now_s() > 1_600_000_000
