"""A voice that is several: the first that is well speaks."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import numpy as np

from models.chain.chain import Chain
from models.chain.fade import fade_out
from models.chain.members import Member, Members
from models.chain.pull import Pull
from models.errors import ClauseCutShort, EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Speech, SpeechSynthesizer

LITTLE_SAMPLES: Final = SPEECH_RATE_HZ
"""A clause of which so much or less was spoken is said again by the next voice, as people do who begin anew."""
_TRIAL: Final = "Yes."


class VoiceChain(Chain[SpeechSynthesizer]):
    """SpeechSynthesizer whose clauses are spoken by the first member that is well.

    A clause that fails before its first sound is spoken by the next member. One that breaks off fades out; when little
    of it was spoken the next member says it from its beginning, else ClauseCutShort tells that the rest is lost and
    that the next clause can be spoken.
    """

    def __init__(self, members: Sequence[Member[SpeechSynthesizer]], *, patience_s: float) -> None:
        super().__init__(Members("tts", members, patience_s=patience_s, trial=_trial))

    @property
    def speaker(self) -> str:
        """The voice that the next clause is spoken by."""
        return self._members.health().engine

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of `text`. Raises EngineFailed, as ClauseCutShort after some of the sound."""
        for member, patience_s in self._members.candidates():
            pull = Pull(member.made().stream(text), name=f"tts {member.name}")
            spoken_samples = 0
            last = np.zeros(0, np.float32)
            try:
                while (piece := await pull.next(patience_s)) is not None:
                    if not len(piece[0].samples):
                        continue
                    if not spoken_samples:
                        self._members.succeeded(member, whole=False)
                    spoken_samples += len(piece[0].samples)
                    last = piece[0].samples
                    yield piece[0]
                if spoken_samples:
                    self._members.succeeded(member, whole=True)
                return
            except (asyncio.CancelledError, GeneratorExit):
                if not spoken_samples:
                    self._members.interrupted(member, pull.waited_s)
                raise
            except Exception as error:
                self._members.failed(member, error, amid=bool(spoken_samples))
                pull.abandon()
                self._members.leave(pull.task)
                if patience_s is None and not spoken_samples:
                    raise self._members.told(error) from None
                failure = error
            finally:
                if not pull.task.cancelling():
                    self._members.leave(pull.task)
                    await pull.aclose()
            if spoken_samples:
                yield Speech(fade_out(last))
                if spoken_samples > LITTLE_SAMPLES or patience_s is None:
                    raise ClauseCutShort(f"The voice broke off amid a clause: {failure}") from None


async def _trial(voice: SpeechSynthesizer) -> None:
    """A word to nobody."""
    heard = 0
    stream = voice.stream(_TRIAL)
    try:
        async for speech in stream:
            heard += len(speech.samples)
    finally:
        await stream.aclose()
    if not heard:
        raise EngineFailed("The voice makes no sound.")
