"""One answer, from the conversation so far to beats on the stage.

    llm ─tokens─► SpokenFilter ─► ClauseSplitter ─clauses─► tts ─Speech─► prefetch ─► face ─Picture─► Beat ─► stage

Everything is pulled from the right: the stage holds a few hundred milliseconds, the prefetch SPEECH_AHEAD pieces of
sound, and beyond that nothing is computed. The language model rests while its clause is synthesised, so that on a
small machine each stage has all cores for itself.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from models.chain.fade import fade_out
from models.chain.health import Watched
from models.errors import ClauseCutShort, EngineError
from models.interfaces import (
    BEAT_SAMPLES,
    SPEECH_RATE_HZ,
    Face,
    LanguageModel,
    Message,
    Samples,
    Speech,
    SpeechSynthesizer,
)
from models.tts.markers import legible
from peer_remote.clauses import ClauseSplitter, clauses_of
from peer_remote.flow import prefetch
from peer_remote.head_start import HeadStart
from peer_remote.said import SpokenClause, expected_samples, words_heard
from peer_remote.spoken import SpokenFilter
from peer_remote.stage import Beat, Stage
from peer_remote.trace import Trace

SPEECH_AHEAD = 2
"""Pieces of sound that are made before the stage has room for them: the next clause is ready when one ends."""


Part = Literal["llm", "tts", "face"]

Line = Sequence[Message] | HeadStart | str
"""What to perform: the answer to a conversation, one that was begun already, or words exactly as they are."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The engines that an answer needs."""

    llm: LanguageModel
    tts: SpeechSynthesizer
    face: Face


@dataclass(frozen=True, slots=True)
class Breakage:
    """Which engine broke off an answer, and how."""

    part: Part
    error: Exception


@dataclass(slots=True)
class Turn:
    """One answer in the making; `clauses` grows as they are synthesised, `played_samples` as they are played."""

    id: int
    trace: Trace
    clauses: list[SpokenClause] = field(default_factory=list)
    played_samples: int = 0
    beats: int = 0
    """Beats that were put on the stage."""
    broken: Breakage | None = None
    answer_samples: int | None = None
    """Where the answer broke off; what comes after it was not the model's."""

    async def perform(
        self,
        cast: Cast,
        stage: Stage,
        line: Line,
        *,
        max_tokens: int,
        longest_s: float | None = None,
        queued: Callable[[], None] = lambda: None,
    ) -> None:
        """Put the whole answer on the stage; returns when its last beat is queued, or its turn is over.

        An answer of the model ends with the clause that crosses `longest_s`; words that somebody wrote never do. Raises
        what an engine raised, after everything that was made before is on the stage; `broken` says which one it was.
        `queued` is called for each beat.
        A line that is performed after another one goes on where that ended.
        """
        try:
            over = await self._perform(cast, stage, line, max_tokens, longest_s, queued)
        except Exception as error:
            self.broken = self.broken or Breakage("face", error)
            raise
        if self.broken is not None and not over:
            raise self.broken.error

    async def _perform(
        self,
        cast: Cast,
        stage: Stage,
        line: Line,
        max_tokens: int,
        longest_s: float | None,
        queued: Callable[[], None],
    ) -> bool:
        """Put beats on the stage; true when nobody wants more of them."""
        self.broken = None
        sound = _SoundBuffer()
        longest_samples = None if longest_s is None or isinstance(line, str) else round(longest_s * SPEECH_RATE_HZ)
        speech_made = self._speech(cast, self._clauses(cast, line, max_tokens), longest_samples)
        async with (
            aclosing(prefetch(speech_made, ahead=SPEECH_AHEAD)) as speech,
            aclosing(sound.passing(speech)) as passing,
            aclosing(cast.face.speak(passing, stage.next_position)) as pictures,
        ):
            async for picture in pictures:
                self.trace.mark("first_picture")
                if not await stage.put(Beat(self.id, self.beats, sound.pop_beat(), picture)):
                    return True
                self.beats += 1
                queued()
        return False

    async def _clauses(self, cast: Cast, line: Line, max_tokens: int) -> AsyncGenerator[str, None]:
        """What is to be said, clause by clause.

        An answer that breaks off before its first clause begins anew where another language model can give it.
        """
        if isinstance(line, str):
            for clause in clauses_of(line):
                yield clause
            return
        messages = line.messages if isinstance(line, HeadStart) else line
        stream = line.pieces() if isinstance(line, HeadStart) else cast.llm.stream(messages, max_tokens=max_tokens)
        begun_s = line.first_token_s if isinstance(line, HeadStart) else None
        begun = False
        try:
            async with aclosing(self._thought(stream, begun_s)) as clauses:
                async for clause in clauses:
                    begun = True
                    yield clause
        except EngineError:
            if begun or not _another_answers(cast.llm):
                raise
        else:
            return
        async with aclosing(self._thought(cast.llm.stream(messages, max_tokens=max_tokens), None)) as clauses:
            async for clause in clauses:
                yield clause

    async def _thought(self, stream: AsyncGenerator[str, None], begun_s: float | None) -> AsyncGenerator[str, None]:
        """The clauses of what the language model says; its first token was there at `begun_s`, if before."""
        words, splitter = SpokenFilter(), ClauseSplitter()
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                self.trace.mark("first_token", begun_s)
                for clause in splitter.push(words.push(piece)):
                    yield clause
        for clause in (*splitter.push(words.finish()), *splitter.finish()):
            yield clause

    async def _speech(
        self, cast: Cast, made: AsyncGenerator[str, None], longest_samples: int | None
    ) -> AsyncGenerator[Speech, None]:
        """The sound of what `made` yields; ends early when an engine fails, after what came before it."""
        made_samples = self.beats * BEAT_SAMPLES
        part: Part = "llm"
        last: Samples = np.zeros(0, np.float32)
        try:
            async with aclosing(made) as clauses:
                async for text in clauses:
                    self.trace.mark("first_clause")
                    part = "tts"
                    async with aclosing(self._spoken(cast.tts, text, made_samples)) as pieces:
                        async for speech in pieces:
                            made_samples += len(speech.samples)
                            last = speech.samples
                            yield speech
                    part, last = "llm", last[:0]
                    if longest_samples is not None and made_samples >= longest_samples:
                        return
        except Exception as error:
            self.broken = Breakage(part, error)
        if len(last):
            yield Speech(fade_out(last))

    async def _spoken(self, voice: SpeechSynthesizer, text: str, start_samples: int) -> AsyncGenerator[Speech, None]:
        """The sound of one clause, which `clauses` has from its first piece on."""
        shown = legible(text)
        clause = SpokenClause(shown, start_samples, expected_samples(shown, self.clauses))
        with suppress(ClauseCutShort):
            async with aclosing(voice.stream(text)) as pieces:
                async for speech in pieces:
                    if not len(speech.samples):
                        continue
                    self.trace.mark("first_sample")
                    if not clause.samples:
                        self.clauses.append(clause)
                    clause.samples += len(speech.samples)
                    yield speech
            clause.complete = True

    def break_off(self) -> None:
        """The answer ends with what is on the stage; sound whose pictures were not drawn is not part of it."""
        self.answer_samples = end = self.beats * BEAT_SAMPLES
        self.clauses = [clause for clause in self.clauses if clause.start_samples < end]
        for clause in self.clauses:
            clause.cut(end)

    def said(self, heard_samples: int) -> str:
        """The text whose sound lies before `heard_samples`, cut at a word."""
        return words_heard(self.clauses, heard_samples)

    def answered(self, heard_samples: int) -> str:
        """What of it is the answer, without what was said when that had broken off."""
        return self.said(heard_samples if self.answer_samples is None else min(heard_samples, self.answer_samples))


def _another_answers(llm: LanguageModel) -> bool:
    """Whether the next request goes to a language model that is well, and not the first choice."""
    return isinstance(llm, Watched) and llm.health().state == "fallback"


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
