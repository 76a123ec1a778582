"""How much of a turn the call has really heard, from captions and the time of the device."""

from collections import deque
from dataclasses import dataclass

from models.interfaces import SPEECH_RATE_HZ
from signaling.protocol import Caption

KEPT_CAPTIONS = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """Turn `turn_id` was heard up to its sample `samples`."""

    turn_id: int
    samples: int


class HeardMeter:
    """Feed it every caption; ask with the performer's time of what the device plays now."""

    def __init__(self) -> None:
        self._captions: deque[Caption] = deque(maxlen=KEPT_CAPTIONS)

    @property
    def newest_turn(self) -> int:
        """The last turn that was announced; -1 before any."""
        return self._captions[-1].turn_id if self._captions else -1

    def note(self, caption: Caption) -> None:
        """A caption that comes again after a resume takes the place of its first one and of later ones."""
        while self._captions and (self._captions[-1].turn_id, self._captions[-1].index) >= (
            caption.turn_id,
            caption.index,
        ):
            self._captions.pop()
        self._captions.append(caption)

    def current(self, media_s: float) -> Caption | None:
        """The clause that is heard at `media_s`, or was heard last."""
        for caption in reversed(self._captions):
            if caption.at_s <= media_s:
                return caption
        return None

    def heard(self, media_s: float) -> Heard | None:
        """What was heard of the newest turn that has begun by `media_s`."""
        caption = self.current(media_s)
        if caption is None:
            return None
        into_samples = round((media_s - caption.at_s) * SPEECH_RATE_HZ)
        whole_samples = caption.duration_ms * SPEECH_RATE_HZ // 1_000
        return Heard(caption.turn_id, caption.start_samples + min(into_samples, whole_samples))
