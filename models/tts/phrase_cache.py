"""Keeps the sound of short phrases, so that a common opening is heard at once."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol, runtime_checkable

from models.errors import EngineError
from models.interfaces import Speech, SpeechSynthesizer

MOST_WORDS = 3
"""Longer texts hardly come twice."""
MOST_PHRASES = 64
"""About a second each: 12 MB of sound; the one not used for the longest time goes first."""


@runtime_checkable
class Several(Protocol):
    """A voice that is several, one at a time."""

    @property
    def speaker(self) -> str:
        """Who speaks the next clause."""
        ...


class PhraseCache:
    """SpeechSynthesizer that asks `voice` for each short phrase only once. Only whole phrases are kept.

    Of a voice that is several each one's phrases are its own. What was learnt is never forgotten; when the voice fails
    before its first sound it is played whoever spoke it.
    """

    def __init__(self, voice: SpeechSynthesizer) -> None:
        self._voice = voice
        self._kept: OrderedDict[tuple[str, str], tuple[Speech, ...]] = OrderedDict()
        self._learnt: dict[str, dict[str, tuple[Speech, ...]]] = {}
        """Text → who speaks → what was learnt."""

    @property
    def speaker(self) -> str:
        """Who speaks the next clause; empty for a voice that is only one."""
        return self._voice.speaker if isinstance(self._voice, Several) else ""

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of `text`, from memory if it was spoken before."""
        speaker = self.speaker
        known = self._known(speaker, text)
        if known is not None:
            for piece in known:
                yield piece
            return
        pieces: list[Speech] = []
        try:
            async with aclosing(self._voice.stream(text)) as spoken:
                async for piece in spoken:
                    pieces.append(piece)
                    yield piece
        except EngineError:
            if pieces or text not in self._learnt:
                raise
            for piece in next(iter(self._learnt[text].values())):
                yield piece
            return
        if speaker == self.speaker and len(text.split()) <= MOST_WORDS:
            self._kept[speaker, text] = tuple(pieces)
            if len(self._kept) > MOST_PHRASES:
                self._kept.popitem(last=False)

    async def learn(self, phrase: str) -> None:
        """Speak `phrase`, which may be longer than what is kept otherwise, to nobody and keep it."""
        speaker = self.speaker
        pieces = self._known(speaker, phrase)
        if pieces is None:
            pieces = tuple([piece async for piece in self._voice.stream(phrase)])
        if speaker == self.speaker:
            self._learnt.setdefault(phrase, {})[speaker] = pieces

    def _known(self, speaker: str, text: str) -> tuple[Speech, ...] | None:
        """The phrase as `speaker` said it before."""
        learnt = self._learnt.get(text, {}).get(speaker)
        if learnt is not None:
            return learnt
        if (speaker, text) in self._kept:
            self._kept.move_to_end((speaker, text))
        return self._kept.get((speaker, text))

    async def aclose(self) -> None:
        await self._voice.aclose()
