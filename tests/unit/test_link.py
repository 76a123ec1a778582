"""What the link tells its owner; how it connects is in tests/loopback/test_app.py."""

import asyncio
from typing import Any, cast

from peer_local.link import Link
from signaling.client import SignalingClient


class Wire:
    trouble: str | None = None


def test_a_service_that_is_not_there_is_named_with_what_to_do() -> None:
    wire = Wire()
    unused = cast(Any, None)
    link = Link(
        cast(SignalingClient, wire), tasks=asyncio.TaskGroup(), open_reception=unused, received=unused, changed=unused
    )
    assert link.problem is None
    wire.trouble = "The signaling service at ws://127.0.0.1:8080 cannot be reached"
    assert link.problem == f"{wire.trouble}; start it or set UNDERSTUDY_LOCAL__SIGNALING_URL."
    link.state = "connected"
    assert link.problem == f"{wire.trouble}; it is tried again, and the call goes on meanwhile."
