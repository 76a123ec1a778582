"""A speech recognizer that reads from a script, for tests and for trying the rest without weights."""

from collections.abc import Sequence

from models.errors import EngineFailed
from models.interfaces import Samples, Transcript
from models.settings import HearingSettings


class ScriptedRecognizer:
    """SpeechRecognizer that gives `texts` in order, and the last one again and again; silence is no text."""

    def __init__(self, texts: Sequence[str] = ("hello",)) -> None:
        self._texts = list(texts)
        self._closed = False
        self.heard: list[Samples] = []
        """The sound of every request, in order."""

    async def transcribe(self, samples: Samples, *, language: str) -> Transcript:
        if self._closed:
            raise EngineFailed("The speech recognizer is closed.")
        self.heard.append(samples)
        if not samples.any():
            return Transcript("", language, no_speech_probability=1.0)
        return Transcript(self._texts.pop(0) if len(self._texts) > 1 else self._texts[0], language)

    async def aclose(self) -> None:
        self._closed = True


def create(settings: HearingSettings) -> ScriptedRecognizer:
    return ScriptedRecognizer()
