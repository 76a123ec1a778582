"""What one connection brings: sound and pictures on the performer's one clock."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from aiortc import RTCRtpReceiver

from models.interfaces import Image
from peer_local.playback.frame_assembler import FrameAssembler
from peer_local.playback.gallery import Gallery
from peer_local.playback.pictures import hang_pictures
from peer_local.playback.player import SpeechPlayer
from peer_local.playback.receiver import attach_audio, attach_video
from peer_local.playback.sender_clock import SenderClock
from peer_local.settings import PlayoutSettings

OFFSET_SHARE = 1 / 30
"""What one picture counts in the average."""
FURTHEST_S = 5.0
"""Nothing that matters now is further from what is heard."""


class Reception:
    """Made anew for every connection; attach each receiver before its media flows."""

    def __init__(self, rules: PlayoutSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.clock = SenderClock()
        self.player = SpeechPlayer(rules)
        self.gallery = Gallery()
        self.assembler: FrameAssembler | None = None
        self.av_offset_s = 0.0
        """How much later than its sound the picture is, on average over the last second."""
        self._hanging: asyncio.Task[None] | None = None

    def attach(self, receiver: RTCRtpReceiver) -> None:
        """Take the media of `receiver` from now on."""
        track = receiver.track
        if track.kind == "audio":
            note, begin = partial(self.clock.note, "audio"), partial(self.clock.begin, "audio")
            attach_audio(receiver, packet=self.player.receive, report=note, begin=begin)
        elif self._hanging is None:
            note, begin = partial(self.clock.note, "video"), partial(self.clock.begin, "video")
            self.assembler = attach_video(receiver, report=note, begin=begin)
            self._hanging = asyncio.create_task(hang_pictures(track, self.gallery, self.clock), name="pictures")

    def media_s(self, at_s: float) -> float | None:
        """The performer's time of the sound that is heard at `at_s`; None before there is any."""
        timestamp = self.player.timestamp_at(at_s)
        return None if timestamp is None else self.clock.media_s("audio", timestamp)

    def picture(self, at_s: float) -> Image | None:
        """The picture that belongs to the sound that is heard at `at_s`."""
        media_s = self.media_s(at_s)
        if media_s is None:
            return None
        image = self.gallery.pick(media_s)
        if self.gallery.last_media_s is not None and abs(offset_s := media_s - self.gallery.last_media_s) < FURTHEST_S:
            self.av_offset_s += (offset_s - self.av_offset_s) * OFFSET_SHARE
        return image

    def hush(self) -> None:
        """Fall silent at once; `reopen` ends it."""
        self.player.hush()

    def reopen(self, media_s: float) -> bool:
        """Let sound from `media_s` of the performer's time on be heard again.

        False when that cannot be a time of this moment: before the first sender report times are only relative.
        """
        heard_s = self.media_s(self._now())
        timestamp = self.clock.timestamp("audio", media_s)
        if heard_s is None or timestamp is None or abs(media_s - heard_s) > FURTHEST_S:
            return False
        self.player.reopen(timestamp)
        return True

    async def close(self) -> None:
        """Stop receiving."""
        if self._hanging is not None:
            self._hanging.cancel()
            await asyncio.wait((self._hanging,))
