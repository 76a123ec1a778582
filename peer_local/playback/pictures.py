"""Carries decoded pictures from a track to the gallery, for as long as the track lives."""

import asyncio
import logging
from collections.abc import Callable

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from models.interfaces import Image
from peer_local.playback.gallery import Gallery
from peer_local.playback.sender_clock import SenderClock

logger = logging.getLogger(__name__)

SILENT_S = 1.0
"""No picture for so long, at 25 a second, is an outage or a decoder that died."""


def to_i420(frame: VideoFrame) -> Image:
    """A decoded frame as I420, uint8 [height * 3 // 2, width], copied once.

    Decoders pad their lines, which is taken off; an odd last line or column is left out, because I420 has none.
    """
    width_px, height_px = frame.width & ~1, frame.height & ~1
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    image = np.empty((height_px * 3 // 2, width_px), np.uint8)
    flat = image.reshape(-1)
    at = 0
    for plane, (rows, columns) in zip(
        frame.planes,
        ((height_px, width_px), (height_px // 2, width_px // 2), (height_px // 2, width_px // 2)),
        strict=True,
    ):
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        flat[at : at + rows * columns].reshape(rows, columns)[:] = lines[:rows, :columns]
        at += rows * columns
    return image


async def hang_pictures(
    track: MediaStreamTrack,
    gallery: Gallery,
    clock: SenderClock,
    *,
    silent: Callable[[], None] = lambda: None,
    silent_s: float = SILENT_S,
) -> None:
    """Put every picture of `track` into the gallery by its media time; returns when the track ends.

    Budget: 0.1 to 0.4 ms a picture on the event loop; a picture that fails to convert is logged and left out. Never
    stops draining, because aiortc queues without a bound. `silent` is called when no picture came for `silent_s`, once
    per outage: the sender is gone, or the decoder thread died, of which aiortc says nothing.
    """
    failed = 0
    heard = True
    while True:
        try:
            async with asyncio.timeout(silent_s if heard else None):
                frame = await track.recv()
        except TimeoutError:
            heard = False
            logger.warning("pictures_missing", extra={"after_s": silent_s})
            silent()
            continue
        except MediaStreamError:
            return
        heard = True
        if not isinstance(frame, VideoFrame) or frame.pts is None:
            continue
        clock.begin("video", frame.pts)
        media_s = clock.media_s("video", frame.pts)
        if media_s is None:
            continue
        try:
            gallery.put(to_i420(frame), media_s)
        except Exception:
            if not failed:
                logger.exception("picture_failed")
            failed += 1
