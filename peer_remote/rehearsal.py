"""Lets the voice learn what the double may have to say at once, while nobody waits for an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from models.errors import EngineError
from models.tts.phrase_cache import PhraseCache

logger = logging.getLogger(__name__)


class Rehearsal:
    """Speaks `phrases` to nobody, again for each new voice; `calm` waits a while and says whether nothing was said."""

    def __init__(self, voice: PhraseCache, phrases: Sequence[str], *, calm: Callable[[], Awaitable[bool]]) -> None:
        self._voice = voice
        self._phrases = tuple(phrases)
        self._calm = calm
        self._changed = asyncio.Event()

    def voice_may_have_changed(self) -> None:
        """Another voice may be the one that speaks."""
        self._changed.set()

    async def run(self) -> None:
        """Ends when all is known, if there is only one voice."""
        speaker: str | None = None
        while True:
            self._changed.clear()
            if self._voice.speaker != speaker:
                speaker = self._voice.speaker
                await self._learn()
            if not speaker:
                return
            if self._voice.speaker == speaker:
                await self._changed.wait()

    async def _learn(self) -> None:
        for phrase in self._phrases:
            while not await self._calm():
                pass
            try:
                await self._voice.learn(phrase)
            except EngineError as error:
                logger.warning("opening_not_learnt", extra={"code": error.code})
            except Exception:
                logger.exception("opening_not_learnt")
