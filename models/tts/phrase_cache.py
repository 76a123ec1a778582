"""Keeps the sound of short phrases, so that a common opening is heard at once."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

from models.interfaces import Speech, SpeechSynthesizer

MOST_WORDS = 3
"""Longer texts hardly come twice."""
MOST_PHRASES = 64
"""About a second each: 12 MB of sound; the one not used for the longest time goes first."""


class PhraseCache:
    """SpeechSynthesizer that asks `voice` for each short phrase only once. Only whole phrases are kept."""

    def __init__(self, voice: SpeechSynthesizer) -> None:
        self._voice = voice
        self._kept: OrderedDict[str, tuple[Speech, ...]] = OrderedDict()

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of `text`, from memory if it was spoken before."""
        if text in self._kept:
            self._kept.move_to_end(text)
            for piece in self._kept[text]:
                yield piece
            return
        pieces: list[Speech] = []
        async with aclosing(self._voice.stream(text)) as spoken:
            async for piece in spoken:
                pieces.append(piece)
                yield piece
        if len(text.split()) <= MOST_WORDS:
            self._kept[text] = tuple(pieces)
            if len(self._kept) > MOST_PHRASES:
                self._kept.popitem(last=False)

    async def learn(self, phrase: str) -> None:
        """Speak `phrase` to nobody and keep it."""
        async for _ in self.stream(phrase):
            pass

    async def aclose(self) -> None:
        await self._voice.aclose()
