"""Who speaks: listening, thinking or speaking, and how one gives way to the other.

           say                    first beat played
listening ─────► thinking ──────────────────────────► speaking
    ▲               │ interrupt, failure                  │ last beat played, interrupt, failure
    └───────────────┴─────────────────────────────────────┘
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from models.errors import ModelError
from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ
from peer_remote.history import History
from peer_remote.metrics import Metrics
from peer_remote.stage import Beat, Stage
from peer_remote.trace import Trace
from peer_remote.turn import Cast, Turn
from signaling import protocol

logger = logging.getLogger(__name__)

WIND_DOWN_S = 3.0
"""How long a new turn waits for the engines to let go of the old one; a clause in synthesis takes the longest."""


RECENT_TURNS = 4
"""A report of what was heard may come after the next turns have begun."""


@dataclass(slots=True)
class _Running:
    turn: Turn
    task: asyncio.Task[None] | None = None
    announced: int = 0
    """Clauses whose caption was sent."""


class Conversation:
    """One conversation with everybody in the room; its methods return at once.

    An interruption silences the stage first, then cancels the turn, and history keeps what was played. The next turn
    starts when the engines are free, at most WIND_DOWN_S later.
    """

    def __init__(
        self,
        cast: Cast,
        stage: Stage,
        history: History,
        *,
        max_answer_tokens: int,
        tasks: asyncio.TaskGroup,
        send: Callable[[protocol.FromPerformer], None],
        metrics: Metrics,
        media_s: Callable[[int], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cast = cast
        self._stage = stage
        self._history = history
        self._max_answer_tokens = max_answer_tokens
        self._tasks = tasks
        self._send = send
        self._metrics = metrics
        self._media_s = media_s
        self._now = now
        self._running: _Running | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._prefilling: asyncio.Task[None] | None = None
        self._turns = 0
        self._recent: deque[Turn] = deque(maxlen=RECENT_TURNS)
        self._closed = False
        self.state: protocol.ConversationState = "listening"

    @property
    def turns(self) -> int:
        """Answers begun so far."""
        return self._turns

    def say(
        self,
        text: str,
        *,
        source: Literal["typed", "spoken"],
        speech_ended_s: float | None = None,
        transcribed_s: float | None = None,
    ) -> None:
        """Answer what the user typed or said; whatever was being said before stops."""
        if self._closed:
            return
        trace = Trace(started_s=speech_ended_s, now=self._now)
        if speech_ended_s is not None:
            trace.mark("end_of_speech", speech_ended_s)
            trace.mark("transcript", transcribed_s)
        self._stop()
        self._stop_prefilling()
        self._turns += 1
        turn = Turn(self._turns, trace)
        self._history.ask(turn.id, text)
        self._send(protocol.UserText(text=text, final=True, source=source))
        self._running = _Running(turn)
        self._recent.append(turn)
        self._stage.open(turn.id)
        self._enter("thinking")
        self._running.task = self._tasks.create_task(self._perform(self._running), name=f"turn {turn.id}")

    def interrupt(self) -> None:
        """Stop at once and listen."""
        if self._stop():
            self.expect()

    def close(self) -> None:
        """Stop for good: what is said from now on is not answered."""
        self._closed = True
        self._stop()
        self._stop_prefilling()

    def _stop(self) -> bool:
        """Silence first, then cancel; false when nothing was being said."""
        running = self._running
        if running is None:
            return False
        self._stage.flush()
        if running.task is not None:
            running.task.cancel()
            self._ending.add(running.task)
            running.task.add_done_callback(self._ending.discard)
        self._finish(running, "interrupted")
        return True

    def expect(self, text: str | None = None) -> None:
        """The user is saying `text` and may go on: bring it into the model's cache while there is time."""
        if self._running is None and not self._closed:
            self._stop_prefilling()
            self._prefilling = self._tasks.create_task(self._prefill(text), name="prefill")

    def heard(self, turn_id: int, samples: int) -> None:
        """A listener reports how much of one of the last turns it really played; never more than was sent counts."""
        for turn in self._recent:
            if turn.id == turn_id and samples < turn.played_samples:
                self._history.heard(turn.id, turn.said(min(samples, turn.played_samples)), whole=False)

    def played(self, position: int, beat: Beat) -> None:
        """The beat of `position` on the media clock has just been handed to the tracks."""
        running = self._running
        if running is None or beat.turn_id != running.turn.id:
            return
        turn = running.turn
        if self.state == "thinking":
            turn.trace.mark("first_packet")
            self._metrics.answered(turn.trace)
            self._enter("speaking")
        turn.played_samples = (beat.index + 1) * BEAT_SAMPLES
        while running.announced < len(turn.clauses):
            clause = turn.clauses[running.announced]
            if clause.start_samples >= turn.played_samples:
                break
            starts_at = (position - beat.index) * BEAT_SAMPLES + clause.start_samples
            self._send(
                protocol.Caption(
                    turn_id=turn.id,
                    index=running.announced,
                    text=clause.text,
                    duration_ms=clause.samples * 1_000 // SPEECH_RATE_HZ,
                    start_samples=clause.start_samples,
                    at_s=self._media_s(starts_at),
                )
            )
            running.announced += 1

    async def _perform(self, running: _Running) -> None:
        turn = running.turn
        try:
            await self._engines_let_go()
            await turn.perform(self._cast, self._stage, self._history.messages(), max_tokens=self._max_answer_tokens)
            await self._stage.drained()
            if self._running is running:
                self._finish(running, "finished")
                self.expect()
        except ModelError as error:
            logger.warning("turn_failed", extra={"turn": turn.id, "code": error.code})
            self._fail(running, error.code)
        except Exception:
            logger.exception("turn_failed", extra={"turn": turn.id})
            self._fail(running, "internal_error")

    async def _engines_let_go(self) -> None:
        """Wait, with a bound, until the turns that were interrupted have ended."""
        ending = self._ending - {asyncio.current_task()}
        if ending:
            await asyncio.wait(ending, timeout=WIND_DOWN_S)

    def _fail(self, running: _Running, code: str) -> None:
        if self._running is running:
            self._stage.flush()
            self._finish(running, "failed")
            self._send(protocol.Error(code=code, message="The answer broke off; please ask again."))

    def _finish(self, running: _Running, reason: Literal["finished", "interrupted", "failed"]) -> None:
        turn = running.turn
        self._running = None
        text = turn.said(turn.played_samples)
        self._history.heard(turn.id, text, whole=reason == "finished")
        self._metrics.turn_ended(reason)
        self._send(
            protocol.TurnEnded(turn_id=turn.id, reason=reason, text=text, moments_ms=dict(turn.trace.moments_ms))
        )
        self._enter("listening")

    async def _prefill(self, text: str | None) -> None:
        try:
            await self._engines_let_go()
            await self._cast.llm.prefill(self._history.messages(text))
        except ModelError as error:
            logger.warning("prefill_failed", extra={"code": error.code})
        except Exception:
            logger.exception("prefill_failed")

    def _stop_prefilling(self) -> None:
        if self._prefilling is not None:
            self._prefilling.cancel()
            self._prefilling = None

    def _enter(self, state: protocol.ConversationState) -> None:
        self.state = state
        self._send(protocol.State(state=state, turn_id=self._turns))
