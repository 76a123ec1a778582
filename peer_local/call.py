"""The conversation as the laptop sees it: joins the performer's messages, the ears' events and the owner's commands.

ears ── HearingEvent ─┐                    ┌─ Send ──► link
link ── messages ─────┼─► TurnTaking ──────┼─ Hush ──► reception
owner ─ lines, modes ─┘                    └─ Mute ──► ears
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from models.hearing.listener import HearingEvent
from peer_local.heard import Heard, HeardMeter
from peer_local.listening.actions import (
    Action,
    Hush,
    MuteEars,
    Send,
    ShowDraft,
    ShowHeard,
    ShowState,
    UnmuteEars,
)
from peer_local.listening.modes import Modes, PendingDraft
from peer_local.listening.turn_taking import TurnTaking
from peer_local.playback.reception import FURTHEST_S, Reception
from peer_local.screen.view import TurnTimes
from peer_local.settings import LocalSettings, Mode
from peer_local.transcript import Transcript
from signaling import protocol

logger = logging.getLogger(__name__)

KEPT_EXCHANGES = 8
KEPT_TURNS = 20
LONGEST_HUSH_S = 2.0
"""A performer that had nothing to stop does not say from when on it is silent."""
LONGEST_TEXT = 2_000


class Ears(Protocol):
    """What can be closed while the double speaks."""

    def mute(self) -> None: ...

    def unmute(self) -> None: ...


class Call:
    """One per run; the connection to the performer may come and go. Everything happens on the event loop, at once.

    `greeted` is called when a performer is there and knows the conversation so far.
    """

    def __init__(
        self,
        settings: LocalSettings,
        *,
        owner_speaks: bool,
        greeted: Callable[[], None] = lambda: None,
        send: Callable[[protocol.ToPerformer], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._greeted = greeted
        self._now = now
        self._meter = HeardMeter()
        self._reception: Reception | None = None
        self._hushed_s: float | None = None
        self._hushed_turn = -1
        """Newest turn that was announced when the double was silenced."""
        self._cut: Heard | None = None
        """What was heard of the turn that was silenced; the performer does not know yet."""
        self._asked: str | None = None
        self._exchanges: deque[protocol.Exchange] = deque(maxlen=KEPT_EXCHANGES)
        self._summary: str | None = None
        """What the performer remembers of the exchanges before these."""
        self._answer_due_s: float | None = None
        """When the speech or line ended whose answer has not been heard yet."""
        self._first_sound_ms: float | None = None
        self.ears: Ears | None = None
        self.transcript = Transcript()
        self.turns: deque[TurnTimes] = deque(maxlen=KEPT_TURNS)
        self.name: str | None = None
        self.draft: PendingDraft | None = None
        self.problem: str | None = None
        """The performer's last error, one sentence; cleared by its next answer."""
        self.engines: tuple[protocol.EngineState, ...] = ()
        """How well the performer's engines are, as it told last."""
        self.notice: str | None = None
        """What whoever runs the performer's machine tells, as long as it holds."""
        self.turn_taking = TurnTaking(
            Modes(settings.mode, names=settings.names, owner_speaks=owner_speaks),
            duplex=settings.duplex,
            heard=self.heard,
            heard_at_s=self._heard_at_s,
        )

    # -- what happens --------------------------------------------------------------------------------------------------

    def connect(self, reception: Reception) -> None:
        """A connection has been made; its sound and pictures come from `reception`."""
        self._reception = reception
        self._hushed_s = None
        self._meter = HeardMeter()

    def lost(self) -> None:
        """The connection is gone."""
        self._answer_due_s = None
        self.engines = ()
        self._do(self.turn_taking.lost(self._now()))

    def take(self, message: protocol.FromPerformer) -> None:
        """The performer has told something."""
        match message:
            case protocol.Hello(name=name, turns=turns):
                self.name = name
                self.notice = None  # it follows, if there still is one
                if not turns:
                    self.transcript.begin_anew()
                if not turns and (self._exchanges or self._summary):
                    self._send(protocol.Restore(exchanges=tuple(self._exchanges), summary=self._summary))
            case protocol.Remembered(summary=summary):
                self._summary = summary
            case protocol.UserText(text=text, final=True):
                self._asked = text
            case protocol.Caption():
                self.problem = None
                self._meter.note(message)
                self.transcript.caption(message)
                if message.turn_id > self._hushed_turn:
                    self._reopen(message.at_s)
            case protocol.Silence(at_s=at_s):
                self._reopen(at_s)
            case protocol.TurnEnded():
                self._ended(message)
            case protocol.Services(engines=engines):
                self.engines = engines
            case protocol.Notice(text=text):
                self.notice = text or None
            case protocol.Error(message=sentence):
                self.problem = sentence
            case _:
                pass
        self._do(self.turn_taking.take(message, self._now()))
        if isinstance(message, protocol.Hello):
            self._greeted()

    def hear(self, event: HearingEvent) -> None:
        """The ears have heard something; never raises, because listening must go on."""
        try:
            self._do(self.turn_taking.hear(event, self._now()))
        except Exception:
            logger.exception("hearing_failed", extra={"event": type(event).__name__})

    def tick(self) -> None:
        """Some 20 times a second: time has passed."""
        now_s = self._now()
        self._look_for_sound()
        if self._hushed_s is not None and now_s - self._hushed_s > LONGEST_HUSH_S:
            self._reopen(self.media_s(now_s) or 0.0)
        self._do(self.turn_taking.tick(now_s))

    # -- what the owner does -------------------------------------------------------------------------------------------

    def typed(self, text: str) -> None:
        """A line was typed."""
        self.transcript.typed(text)
        self._do(self.turn_taking.typed(text, self._now()))

    def approve(self, text: str | None) -> None:
        """The draft, or `text` in its place, is said."""
        self._do(self.turn_taking.approve(text, self._now()))

    def veto(self) -> None:
        """The draft is not said."""
        self._do(self.turn_taking.veto(self._now()))

    def interrupt(self) -> None:
        """The double stops, whatever it is doing."""
        self._do(self.turn_taking.interrupt(self._now()))

    def switch(self, mode: Mode) -> None:
        """Let another rule decide what the double says."""
        self._do(self.turn_taking.switch(mode, self._now()))

    def put_on_air(self, on: bool) -> None:
        """Whether the double is the one who is heard."""
        self._do(self.turn_taking.put_on_air(on, self._now()))

    # -- what is known -------------------------------------------------------------------------------------------------

    def media_s(self, at_s: float) -> float | None:
        """The performer's time of what is heard at `at_s`."""
        return None if self._reception is None else self._reception.media_s(at_s)

    def heard(self) -> Heard | None:
        """How much of the newest turn the call has heard by now."""
        media_s = self.media_s(self._now())
        return None if media_s is None else self._meter.heard(media_s)

    @property
    def clause(self) -> protocol.Caption | None:
        """The clause that is heard now, or was heard last."""
        media_s = self.media_s(self._now())
        return None if media_s is None else self._meter.current(media_s)

    def _heard_at_s(self, media_s: float) -> float | None:
        now_s = self._now()
        media_now_s = self.media_s(now_s)
        if media_now_s is None or abs(media_s - media_now_s) > FURTHEST_S:
            return None
        return now_s + media_s - media_now_s

    # -- what is done --------------------------------------------------------------------------------------------------

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(message=message):
                    self._tell(message)
                case Hush():
                    self._hushed_s = self._now()
                    self._hushed_turn = self._meter.newest_turn
                    self._cut = self.heard()
                    if self._reception is not None:
                        self._reception.hush()
                case MuteEars():
                    if self.ears is not None:
                        self.ears.mute()
                case UnmuteEars():
                    if self.ears is not None:
                        self.ears.unmute()
                case ShowHeard():
                    self.transcript.heard(action)
                case ShowDraft(draft=draft):
                    self.draft = draft
                case ShowState():
                    logger.debug("turn_state", extra={"state": action.state, "held": action.held})

    def _tell(self, message: protocol.ToPerformer) -> None:
        if self._cut is not None and isinstance(message, protocol.Say | protocol.Speak):
            self._send(protocol.Interrupt())
            self._tell_cut()
        if isinstance(message, protocol.Say | protocol.Speak):
            before_ms = message.speech_ended_ms if isinstance(message, protocol.Say) else 0.0
            self._answer_due_s = self._now() - before_ms / 1_000
            self._first_sound_ms = None
        if not self._send(message) and not isinstance(message, protocol.Expect):
            self.problem = "The double is not connected; what was said meanwhile is lost."
        if isinstance(message, protocol.Hold | protocol.Interrupt):
            self._tell_cut()

    def _tell_cut(self) -> None:
        """The performer counts what was heard of a turn that it knows to be held or stopped, so this comes after that
        message and before the next line."""
        cut, self._cut = self._cut, None
        if cut is not None:
            self._send(protocol.Heard(turn_id=cut.turn_id, samples=cut.samples))

    def _reopen(self, media_s: float) -> None:
        if self._hushed_s is not None and self._reception is not None and self._reception.reopen(media_s):
            self._hushed_s = None

    def _look_for_sound(self) -> None:
        """Notice the first sample of an answer at the device."""
        if self._answer_due_s is None or self._reception is None:
            return
        onset_s = self._reception.player.last_onset_s
        if onset_s is not None and onset_s > self._answer_due_s:
            self._first_sound_ms = (onset_s - self._answer_due_s) * 1_000
            self._answer_due_s = None

    def _ended(self, ended: protocol.TurnEnded) -> None:
        self._look_for_sound()
        self.transcript.ended(ended)
        if self._first_sound_ms is not None:
            self.turns.append(
                TurnTimes(self._first_sound_ms, tuple(ended.moments_ms.items()), ended.reason == "interrupted")
            )
            self._first_sound_ms = None
        if ended.reason == "failed":  # it may have owned up, which is no answer to go on from
            self._asked = None
        if self._asked is not None and ended.text:
            exchange = protocol.Exchange(asked=self._asked[:LONGEST_TEXT], answered=ended.text[:LONGEST_TEXT])
            self._exchanges.append(exchange)
            self._asked = None
