"""A performer that performs Marks, behind a bad network: `python -m tests.marked_performer --url URL --token TOKEN`.

Everything that sends is the product's: clock, performance, tracks, session, sender reports. It runs as a program of its
own, as the product does, and ends with its input. Each line of that is a JSON object of Conditions to change. It prints
one line as soon as it is in the room: when its beat 0 was due, on this machine's monotonic clock.
"""

import argparse
import asyncio
import json
import sys
import time

from models.face.counter import CounterFace
from models.hearing.listener import Listener
from models.interfaces import Picture
from peer_remote.clock import MediaClock
from peer_remote.encoders import set_video_bitrate
from peer_remote.performance import Performance
from peer_remote.session import Session
from peer_remote.settings import RemoteSettings
from peer_remote.stage import Beat, Stage
from peer_remote.tracks import Seat
from signaling import protocol
from signaling.client import SignalingClient
from tests.impairment import Network
from tests.marks import CLICK_PEAK, Marks


class MarkedStage(Stage):
    """Always has the next beat of the Marks."""

    def __init__(self, marks: Marks) -> None:
        super().__init__(lead_ms=80)
        self._marks = marks

    @property
    def waiting(self) -> int:
        return 1

    def take(self) -> Beat:
        position, self.position = self.position, self.position + 1
        return Beat(None, 0, self._marks.sound(position), Picture(self._marks.picture(position)))


class MarkedPerformer:
    """Answers every peer of the room; `network` lies between them and its sessions."""

    def __init__(
        self, marks: Marks, network: Network, clock: MediaClock, *, tasks: asyncio.TaskGroup, wire: SignalingClient
    ) -> None:
        self._network = network
        self._clock = clock
        self._tasks = tasks
        self._wire = wire
        self._sessions: dict[str, Session] = {}
        self.performance = Performance(MarkedStage(marks), CounterFace(128), clock, played=lambda position, beat: None)

    async def handle(self, message: protocol.FromService) -> None:
        match message:
            case protocol.Offer(sender=str(peer_id), sdp=sdp):
                await self._close(peer_id)
                session = self._sessions[peer_id] = self._session(peer_id)
                answer = await session.answer(await self._network.describe(sdp, of="left"))
                await self._wire.send(protocol.Answer(to=peer_id, sdp=await self._network.describe(answer, of="right")))
            case protocol.PeerLeft(peer_id=peer_id) | protocol.Bye(sender=str(peer_id)):
                await self._close(peer_id)

    async def aclose(self) -> None:
        for peer_id in tuple(self._sessions):
            await self._close(peer_id)

    def _session(self, peer_id: str) -> Session:
        return Session(
            peer_id,
            Seat(self.performance, self._clock),
            role="operator",
            ice_servers=(),
            video_codec=None,
            tasks=self._tasks,
            listener=_no_ears,
            opened=lambda session: session.send(protocol.Hello(name="Marks", state="listening", turns=1)),
            received=lambda session, message: None,
            closed=lambda session: None,
        )

    async def _close(self, peer_id: str) -> None:
        if session := self._sessions.pop(peer_id, None):
            await session.close()


def _no_ears() -> Listener:
    raise RuntimeError("Marks do not listen.")


async def perform(options: argparse.Namespace) -> None:
    bitrate = RemoteSettings().video_bitrate_kbps * 1_000
    set_video_bitrate(start_bps=bitrate, lowest_bps=bitrate // 2, highest_bps=bitrate * 2)
    origin_s = time.monotonic()
    pace = 1 + options.ppm / 1e6
    clock = MediaClock(now=lambda: origin_s + (time.monotonic() - origin_s) * pace)
    wire = SignalingClient(options.url, options.room, options.token)
    marks = Marks(seed=options.seed, voice_peak=options.voice_peak, click_peak=options.click_peak)
    async with Network(seed=options.seed) as network, asyncio.TaskGroup() as tasks:
        performer = MarkedPerformer(marks, network, clock, tasks=tasks, wire=wire)
        background = [
            tasks.create_task(performer.performance.run(), name="performance"),
            tasks.create_task(_serve(performer, wire, origin_s), name="service"),
        ]
        try:
            await _obey(network)
        finally:
            await performer.aclose()
            for task in background:
                task.cancel()


async def _serve(performer: MarkedPerformer, wire: SignalingClient, origin_s: float) -> None:
    async with wire:
        async for message in wire:
            if isinstance(message, protocol.Welcome):
                print(json.dumps({"origin_s": origin_s}), flush=True)
            await performer.handle(message)


async def _obey(network: Network) -> None:
    """Take Conditions from the input until it ends; after each, print what the network did so far."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        network.set(**json.loads(line))
        print(json.dumps({"passed": network.passed, "lost": network.lost}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.marked_performer", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--room", default="main")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ppm", type=float, default=0.0, help="how much faster than this machine's its clock runs")
    parser.add_argument("--voice-peak", type=float, default=0.02)
    parser.add_argument("--click-peak", type=float, default=CLICK_PEAK)
    try:
        asyncio.run(perform(parser.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
