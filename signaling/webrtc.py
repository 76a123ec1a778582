"""What both peers do alike with aiortc: ICE servers and trickled candidates. The service itself needs none of it."""

import logging

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.sdp import candidate_from_sdp

from signaling.protocol import Candidate, IceServer

logger = logging.getLogger(__name__)


def peer_connection(ice_servers: tuple[IceServer, ...]) -> RTCPeerConnection:
    """A connection that uses the servers of the welcome. Raises ValueError for an address that is none.

    All media and the data channel share one transport, and so one UDP port. Add tracks and transceivers before the data
    channel: the other way round aiortc 1.16 takes the shared transport for one that is not needed and closes it.
    """
    return RTCPeerConnection(
        RTCConfiguration(as_aiortc_takes_them(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


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
