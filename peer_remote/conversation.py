"""Who speaks: listening, thinking or speaking, and how one gives way to the other.

           say, speak             first beat played
listening ─────► thinking ──────────────────────────► speaking
    ▲               │ interrupt                           │ last beat played, interrupt
    └───────────────┴─────────────────────────────────────┘

A turn that is held counts as listening, and `resume` takes it back to where it was. When an engine fails, what was made
of the answer is played to its end, and the double says that it lost its thread.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from models.errors import ModelError
from models.interfaces import BEAT_SAMPLES
from peer_remote.aside import Aside
from peer_remote.delivery import Delivery
from peer_remote.history import History
from peer_remote.metrics import Metrics
from peer_remote.notes import Notes
from peer_remote.prompt import Prompt
from peer_remote.stage import Beat, Stage
from peer_remote.trace import Trace
from peer_remote.trouble import own_up
from peer_remote.turn import Cast, Turn
from signaling import protocol

logger = logging.getLogger(__name__)

WIND_DOWN_S = 3.0
"""How long a new turn waits for the engines to let go of the old one; a clause in synthesis takes the longest."""
LONGEST_HOLD_S = 6.0
"""A held answer that is not resumed by then is over: nobody wants the second half of it any more."""
RECENT_TURNS = 4
"""A report of what was heard may come after the next turns have begun."""


class Conversation:
    """One conversation with everybody in the room; its methods return at once.

    An interruption silences the stage first, then cancels the turn, and history keeps what was played, or what the
    operator's listeners heard of it. The next turn starts when the engines are free, at most WIND_DOWN_S later.
    `media_s` gives the performer's time of a position in samples. `trouble` is what is said when an answer of the model
    breaks off; the model is not told of it, because small ones repeat it. `performed` is told of every turn
    that was not interrupted, when its last beat is on the stage or it has broken off.
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
        notes: Notes | None = None,
        preemptive: bool = False,
        longest_answer_s: float | None = None,
        trouble: str = "",
        performed: Callable[[Turn], None] = lambda turn: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cast = cast
        self._stage = stage
        self._history = history
        self._prompt = Prompt(history, notes)
        self._max_answer_tokens = max_answer_tokens
        self._longest_answer_s = longest_answer_s
        self._trouble = trouble
        self._performed = performed
        self._tasks = tasks
        self._send = send
        self._metrics = metrics
        self._media_s = media_s
        self._now = now
        self._running: Delivery | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._aside = Aside(
            cast.llm,
            history,
            self._prompt,
            max_answer_tokens=max_answer_tokens,
            preemptive=preemptive,
            tasks=tasks,
            free=self._nothing_is_said,
            remembered=lambda summary: send(protocol.Remembered(summary=summary)),
            metrics=metrics,
            now=now,
        )
        self._turns = 0
        self._recent: deque[Delivery] = deque(maxlen=RECENT_TURNS)
        self._closed = False
        self.state: protocol.ConversationState = "listening"

    @property
    def turns(self) -> int:
        """Answers begun so far."""
        return self._turns

    @property
    def at_rest(self) -> bool:
        """Whether no answer is under way, not even a held one."""
        return self._running is None

    def say(
        self,
        text: str,
        *,
        source: Literal["typed", "spoken"],
        speech_ended_s: float | None = None,
        transcribed_s: float | None = None,
    ) -> None:
        """Answer what the user typed or said; whatever was being said before stops."""
        trace = Trace(started_s=speech_ended_s, now=self._now)
        if speech_ended_s is not None:
            trace.mark("end_of_speech", speech_ended_s)
            trace.mark("transcript", transcribed_s)
        self._begin(trace, asked=text, source=source, words=None)

    def speak(self, text: str, *, answers: str | None) -> None:
        """Say `text` as it is, to the line that it `answers`; whatever was being said before stops."""
        self._begin(Trace(now=self._now), asked=answers, source="spoken", words=text)

    def draft(self, text: str, reply: Callable[[protocol.Drafted | protocol.Error], None]) -> None:
        """Hand the answer to `text` to `reply` instead of saying it, once nothing is being said.

        The next draft or line takes its place. The history knows of it when it is spoken.
        """
        if not self._closed:
            self._wind_down(self._aside.stop())
            self._aside.draft(text, reply)

    def overhear(self, text: str) -> None:
        """Somebody said `text` to somebody else: it is remembered for the next answer."""
        self._history.overhear(text)
        self.expect()

    def expect(self, text: str | None = None) -> None:
        """The user is saying `text` and may go on: bring it into the model's cache while there is time."""
        self._think_ahead(text)

    def restore(self, exchanges: Sequence[tuple[str, str]], summary: str = "") -> None:
        """Go on from lines and answers of before the start, and what was said before; ignored once there was a turn."""
        if self._turns:
            logger.info("restore_ignored", extra={"turns": self._turns})
            return
        self._history.restore(exchanges, summary)
        self.expect()

    def interrupt(self) -> None:
        """Stop at once and listen."""
        if self._stop() or self._aside.remembering:
            self._think_ahead(calm=False)

    def hold(self) -> None:
        """Fall silent at once, but go on when told so within LONGEST_HOLD_S; whatever else is said ends the turn."""
        running = self._running
        if running is None or running.silenced:
            return
        self._send(protocol.Silence(at_s=self._media_s(self._stage.hold())))
        running.silenced = True
        running.giving_up = asyncio.get_running_loop().call_later(LONGEST_HOLD_S, self.interrupt)
        self._enter("listening")

    def resume(self, turn_id: int, samples: int) -> None:
        """Go on with the held turn from its sample `samples`, or the oldest after it that the stage still has."""
        running = self._running
        if running is None or not running.silenced or running.turn.id != turn_id:
            logger.info("resume_ignored", extra={"turn": turn_id})
            return
        running.release()
        running.back_to(self._stage.resume(samples // BEAT_SAMPLES))
        self._enter("speaking" if running.begun else "thinking")

    def close(self) -> None:
        """Stop for good: what is said from now on is not answered."""
        self._closed = True
        self._stop()
        self._wind_down(self._aside.stop())

    def heard(self, turn_id: int, samples: int) -> None:
        """The operator reports how much of a turn its listeners heard.

        Counts for a turn that is held or was stopped, and only if it is less than was sent.
        """
        for recent in self._recent:
            if recent.turn.id == turn_id and recent.heard(samples):
                self._history.heard(turn_id, recent.turn.answered(samples), whole=False)

    def played(self, position: int, beat: Beat) -> None:
        """The beat of `position` on the media clock has just been handed to the tracks."""
        running = self._running
        if running is None or beat.turn_id != running.turn.id:
            return
        if not running.begun:
            running.turn.trace.mark("first_packet")
            if running.turn.answer_samples is None:
                self._metrics.answered(running.turn.trace)
            self._enter("speaking")
        for caption in running.played(position, beat.index):
            self._send(caption)

    def _think_ahead(self, text: str | None = None, *, calm: bool = True) -> None:
        if self._running is None and not self._closed:
            self._aside.expect(text, calm=calm)

    def _begin(self, trace: Trace, *, asked: str | None, source: Literal["typed", "spoken"], words: str | None) -> None:
        if self._closed:
            return
        self._stop()
        self._turns += 1
        running = Delivery(Turn(self._turns, trace), words, self._media_s)
        turn = running.turn
        self._history.ask(turn.id, asked)
        if words is None:
            running.head = self._aside.claim(self._prompt.messages())
        self._wind_down(self._aside.stop())
        if asked is not None:
            self._send(protocol.UserText(text=asked, final=True, source=source))
        self._running = running
        self._recent.append(running)
        self._stage.open(turn.id)
        self._enter("thinking")
        running.task = self._tasks.create_task(self._perform(running), name=f"turn {turn.id}")

    def _stop(self) -> bool:
        """Silence first, then cancel; false when nothing was being said."""
        running = self._running
        if running is None:
            return False
        silent_from = self._stage.flush()
        if not running.silenced:
            self._send(protocol.Silence(at_s=self._media_s(silent_from)))
        self._wind_down(running.tasks)
        self._finish(running, "interrupted")
        return True

    def _wind_down(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """Cancel `tasks`; the next turn waits for them."""
        for task in tasks:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _perform(self, running: Delivery) -> None:
        turn = running.turn
        try:
            await self._engines_let_go()
            await turn.perform(
                self._cast,
                self._stage,
                running.words or running.head or self._prompt.answered(),
                max_tokens=self._max_answer_tokens,
                longest_s=self._longest_answer_s,
            )
            self._performed(turn)
            await self._stage.drained()
            if self._running is running:
                self._finish(running, "finished")
                self.expect()
        except ModelError as error:
            logger.warning("turn_failed", extra={"turn": turn.id, "code": error.code, "part": _broken_part(turn)})
            await self._break_off(running, error.code)
        except Exception:
            logger.exception("turn_failed", extra={"turn": turn.id, "part": _broken_part(turn)})
            await self._break_off(running, "internal_error")
        finally:
            if running.head is not None:
                running.head.task.cancel()

    async def _engines_let_go(self) -> None:
        """Wait, with a bound, until the turns that were interrupted have ended."""
        ending = self._ending - {asyncio.current_task()}
        if ending:
            await asyncio.wait(ending, timeout=WIND_DOWN_S)

    async def _nothing_is_said(self) -> None:
        """Wait for the turn that is under way, if any, and for the engines."""
        if self._running is not None and self._running.task is not None:
            await asyncio.wait((self._running.task,))
        await self._engines_let_go()

    async def _break_off(self, running: Delivery, code: str) -> None:
        """Play to its end what there is of the answer, say that it broke off, and listen; nothing if it was over."""
        if self._running is not running:
            return
        turn = running.turn
        turn.break_off()
        self._performed(turn)
        if self._trouble and running.words is None:
            await own_up(turn, self._cast, self._stage, self._trouble)
        await self._stage.drained()
        if self._running is running:
            self._finish(running, "failed")
            self._send(protocol.Error(code=code, message="The answer broke off; please ask again."))

    def _finish(self, running: Delivery, reason: Literal["finished", "interrupted", "failed"]) -> None:
        turn = running.turn
        self._running = None
        running.release()
        running.silenced = reason != "finished"
        self._history.heard(turn.id, turn.answered(turn.played_samples), whole=reason == "finished")
        self._metrics.turn_ended(reason)
        self._send(
            protocol.TurnEnded(
                turn_id=turn.id,
                reason=reason,
                text=turn.said(turn.played_samples),
                moments_ms=dict(turn.trace.moments_ms),
            )
        )
        self._enter("listening")

    def _enter(self, state: protocol.ConversationState) -> None:
        self.state = state
        self._send(protocol.State(state=state, turn_id=self._turns))


def _broken_part(turn: Turn) -> str:
    return "none" if turn.broken is None else turn.broken.part
