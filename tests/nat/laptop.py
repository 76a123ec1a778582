"""The operator's connection alone, in a namespace of the lab: `python -m tests.nat.laptop`.

It reads UNDERSTUDY_LOCAL__CONNECTION as peer_local does, and uses its link. Each line that it prints is a JSON object
about what happened, with the time of the machine's monotonic clock; each line that it reads is an order: renew, quit.
With `probe ADDRESS …` it asks the TURN server for each address instead, and prints whether the server relays to it.
"""

import asyncio
import json
import sys
import time
from typing import Any

from aioice.stun import TransactionFailed
from aioice.turn import TurnClientTcpProtocol

from peer_local.link import Link, LinkState
from peer_local.playback.reception import Reception
from peer_local.settings import PlayoutSettings, Settings
from peer_remote.ice import is_relayed
from signaling import protocol
from signaling.client import SignalingClient

ANY_PORT = 9


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, "at_s": time.monotonic(), **fields}), flush=True)


def client(settings: Settings) -> SignalingClient:
    local = settings.local
    assert local.token is not None
    return SignalingClient(
        local.signaling_url, local.room, local.token.get_secret_value(), pin=local.signaling_pin, heartbeat_s=4.0
    )


async def follow(settings: Settings) -> None:
    """Stay connected, and tell what happens, until told to quit."""
    link: Link
    began_s = 0.0

    def changed(state: LinkState) -> None:
        nonlocal began_s
        if state == "connecting":
            began_s = time.monotonic()
            say("connecting")
        elif state == "connected":
            assert link._connection is not None
            relayed = is_relayed(link._connection._peer)
            say("connected", took_s=time.monotonic() - began_s, relayed=relayed)

    def received(message: protocol.FromPerformer) -> None:
        if isinstance(message, protocol.Hello):
            say("hello", name=message.name)

    async with asyncio.TaskGroup() as tasks:
        link = Link(
            client(settings),
            tasks=tasks,
            open_reception=lambda: Reception(PlayoutSettings()),
            received=received,
            changed=changed,
        )
        running = tasks.create_task(link.run(), name="link")
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while (order := (await orders.readline()).decode().strip()) not in ("", "quit"):
            if order == "renew":
                link.renew("The test wants another one.")
        running.cancel()


async def probe(settings: Settings, addresses: list[str]) -> None:
    """Which addresses the TURN server of the welcome relays to."""
    async with asyncio.timeout(10), client(settings) as wire:
        async for message in wire:
            if isinstance(message, protocol.Welcome):
                break
        server = message.ice_servers[0]  # type: ignore[union-attr]
    host, port = server.urls[0].removeprefix("turn:").partition("?")[0].rsplit(":", 1)
    _, turn = await asyncio.get_running_loop().create_connection(
        lambda: TurnClientTcpProtocol(
            (host, int(port)),
            username=server.username,
            password=server.credential,
            lifetime=600,
            channel_refresh_time=500,
        ),
        host,
        int(port),
    )
    await turn.connect()
    for number, address in enumerate(addresses):
        try:
            await turn.channel_bind(0x4000 + number, (address, ANY_PORT))
        except TransactionFailed as refusal:
            say("refused", address=address, code=refusal.response.error_code)
        else:
            say("relayed", address=address)
    await turn.delete()


if __name__ == "__main__":
    loaded = Settings.load()
    asyncio.run(probe(loaded, sys.argv[2:]) if sys.argv[1:2] == ["probe"] else follow(loaded))
