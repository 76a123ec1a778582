"""What both peers do alike with aiortc: ICE servers and trickled candidates. The service itself needs none of it."""

import logging
import re
from functools import partial
from typing import Any

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.sdp import candidate_from_sdp

from signaling.protocol import Candidate, IceServer

logger = logging.getLogger(__name__)

GATHERING_S = 1.5
"""For STUN and TURN servers to answer, which takes up to three round trips; aioice waits 5 s for one that is dead."""


def peer_connection(ice_servers: tuple[IceServer, ...]) -> RTCPeerConnection:
    """A connection that uses the servers of the welcome. Raises ValueError for an address that is none.

    All media and the data channel share one transport, and so one UDP port. Add tracks and transceivers before the data
    channel: the other way round aiortc 1.16 takes the shared transport for one that is not needed and closes it.
    """
    return RTCPeerConnection(
        RTCConfiguration(as_aiortc_takes_them(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


def follow_bundle(connection: RTCPeerConnection, offer: str) -> None:
    """Let the medium that comes first in `offer` lead the shared transport; call it before the first offer is taken.

    aiortc 1.16 closes the transport of each medium that is not marked as led, also where that is the shared one.
    """
    first = re.search(r"^m=(\w+) ", offer, re.MULTILINE)
    for transceiver in connection.getTransceivers():
        transceiver._bundled = first is None or transceiver.kind != first[1]


def gather_quickly(connection: RTCPeerConnection) -> None:
    """Wait no longer than GATHERING_S for servers that do not answer; call it after the first track was added.

    Touches a name of aioice that is not documented, and raises AttributeError when that has changed.
    """
    agent: Any = connection.getTransceivers()[0].sender.transport.transport._connection
    agent.get_component_candidates = partial(agent.get_component_candidates, timeout=GATHERING_S)


def as_aiortc_takes_them(ice_servers: tuple[IceServer, ...]) -> list[RTCIceServer]:
    return [RTCIceServer(list(server.urls), server.username, server.credential) for server in ice_servers]


async def add_candidate(connection: RTCPeerConnection, message: Candidate) -> None:
    """Take one trickled candidate; one that cannot be read is ignored, as browsers do."""
    if not message.candidate:
        return
    try:
        candidate = candidate_from_sdp(message.candidate.removeprefix("candidate:"))
        candidate.sdpMid = message.sdp_mid
        candidate.sdpMLineIndex = message.sdp_m_line_index
        await connection.addIceCandidate(candidate)
    except Exception as error:
        logger.info("candidate_ignored", extra={"peer": message.sender, "error": type(error).__name__})
