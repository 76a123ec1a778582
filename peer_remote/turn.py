"""One answer, from the conversation so far to beats on the stage.

    llm ─tokens─► ClauseSplitter ─clauses─► tts ─Speech─► prefetch ─► face ─Picture─► Beat ─► stage

Everything is pulled from the right: the stage holds a few hundred milliseconds, the prefetch SPEECH_AHEAD pieces of
sound, and beyond that nothing is computed. The language model rests while its clause is synthesised, so that on a
small machine each stage has all cores for itself.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from models.interfaces import BEAT_SAMPLES, Face, LanguageModel, Message, Samples, Speech, SpeechSynthesizer
from peer_remote.clauses import ClauseSplitter
from peer_remote.flow import prefetch
from peer_remote.stage import Beat, Stage
from peer_remote.trace import Trace

SPEECH_AHEAD = 2
"""Pieces of sound that are made before the stage has room for them: the next clause is ready when one ends."""


Line = Sequence[Message] | str
"""What to perform: the answer to a conversation, or words exactly as they are."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The engines that an answer needs."""

    llm: LanguageModel
    tts: SpeechSynthesizer
    face: Face


@dataclass(slots=True)
class SpokenClause:
    """A clause and the place of its sound in the turn."""

    text: str
    start_samples: int
    samples: int = 0


@dataclass(slots=True)
class Turn:
    """One answer in the making; `clauses` grows as they are synthesised, `played_samples` as they are played."""

    id: int
    trace: Trace
    clauses: list[SpokenClause] = field(default_factory=list)
    played_samples: int = 0

    async def perform(self, cast: Cast, stage: Stage, line: Line, *, max_tokens: int) -> None:
        """Put the whole answer on the stage; returns when its last beat is queued, or its turn is over."""
        sound = _SoundBuffer()
        async with (
            aclosing(prefetch(self._speech(cast, line, max_tokens), ahead=SPEECH_AHEAD)) as speech,
            aclosing(sound.passing(speech)) as passing,
            aclosing(cast.face.speak(passing, stage.next_position)) as pictures,
        ):
            index = 0
            async for picture in pictures:
                self.trace.mark("first_picture")
                if not await stage.put(Beat(self.id, index, sound.pop_beat(), picture)):
                    return
                index += 1

    async def _clauses(self, cast: Cast, line: Line, max_tokens: int) -> AsyncGenerator[str, None]:
        splitter = ClauseSplitter()
        if isinstance(line, str):
            for clause in splitter.push(line):
                yield clause
        else:
            async with aclosing(cast.llm.stream(line, max_tokens=max_tokens)) as pieces:
                async for piece in pieces:
                    self.trace.mark("first_token")
                    for clause in splitter.push(piece):
                        yield clause
        for clause in splitter.finish():
            yield clause

    async def _speech(self, cast: Cast, line: Line, max_tokens: int) -> AsyncGenerator[Speech, None]:
        made_samples = 0
        async with aclosing(self._clauses(cast, line, max_tokens)) as clauses:
            async for text in clauses:
                self.trace.mark("first_clause")
                clause = SpokenClause(text, made_samples)
                async with aclosing(cast.tts.stream(text)) as pieces:
                    async for speech in pieces:
                        if not len(speech.samples):
                            continue
                        self.trace.mark("first_sample")
                        if not clause.samples:
                            self.clauses.append(clause)
                        clause.samples += len(speech.samples)
                        made_samples += len(speech.samples)
                        yield speech

    def said(self, heard_samples: int) -> str:
        """The text whose sound lies before `heard_samples`, cut at a word."""
        words: list[str] = []
        for clause in self.clauses:
            part = min(1.0, (heard_samples - clause.start_samples) / clause.samples)
            if part <= 0:
                break
            spoken = clause.text.split()
            words += spoken[: round(part * len(spoken))]
        return " ".join(words)


class _SoundBuffer:
    """Keeps the sound that passes to the face until its picture comes back."""

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(0, np.float32)

    async def passing(self, speech: AsyncIterator[Speech]) -> AsyncGenerator[Speech, None]:
        async for piece in speech:
            self._samples = np.concatenate((self._samples, piece.samples))
            yield piece

    def pop_beat(self) -> Samples:
        """The oldest BEAT_SAMPLES, the last ones filled up with silence."""
        beat, self._samples = self._samples[:BEAT_SAMPLES], self._samples[BEAT_SAMPLES:]
        return np.pad(beat, (0, BEAT_SAMPLES - len(beat)))
