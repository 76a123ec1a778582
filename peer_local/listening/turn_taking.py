"""Whose turn it is, as the laptop sees it. Pure: events in, actions out; it never looks at a clock.

               line or utterance                  first sound
    LISTENING ───────────────────► PROCESSING ───────────────► SPEAKING
        ▲                            │  held ◄─┐  speech          │  held ◄─┐  speech
        │                            │    └────┘ no words         │    └────┘ no words
        └────────────────────────────┴────────────────────────────┘
          sound heard to its end, interrupted, failed

Full duplex: speech in the call silences the double at once, but the answer is only held. A cough, "mhm" or the double's
own echo lets it go on from the word that was heard last; words, or speech that goes on, end it. Half duplex: the ears
are closed while the double speaks. They stay open while it thinks: there is no echo then, and who goes on is heard.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from models.hearing.listener import (
    HearingEvent,
    PartialText,
    SpeechConfirmed,
    SpeechDropped,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    Utterance,
)
from peer_local.heard import Heard
from peer_local.listening.actions import (
    Action,
    Hush,
    MuteEars,
    Send,
    ShowDraft,
    ShowHeard,
    ShowState,
    TurnState,
    UnmuteEars,
    Verdict,
)
from peer_local.listening.double import Double
from peer_local.listening.modes import MOST_CHARACTERS, Messages, Modes
from peer_local.listening.talker import Talker
from peer_local.listening.text_guard import TextGuard
from peer_local.listening.words import is_backchannel, plain
from peer_local.settings import Mode
from signaling import protocol

Duplex = Literal["full", "half"]

PLAYOUT_S = 0.2
"""From a caption to its sound, where nobody knows better."""
MOST_WAITING = 8
"""Lines to repeat that wait for the one before; the oldest is lost when there are more."""


@dataclass(frozen=True, slots=True)
class TurnRules:
    interrupting_speech_s: float = 1.2
    """So much speech while the double is held is no "mhm"."""
    interrupting_words: int = 3
    longest_hold_s: float = 4.0
    """By then it is decided; the performer gives a held answer up after 6 s."""
    most_false_holds: int = 3
    """After so many of one answer for no words at all only words interrupt it: a noise, or an uncancelled echo."""
    unmute_after_s: float = 0.3
    """Half duplex: the room and the call echo so long."""
    goes_on_s: float = 2.0
    """Who speaks again so soon, while the double still thinks, goes on with the same utterance."""
    early_s: float = 0.1
    """From the first sound of speech to the event that tells it."""


class TurnTaking:
    """Feed it what the ears hear, what the performer tells, what the owner does, and `tick` ten times a second.

    `heard` says how much of the newest turn the call has heard by now; `heard_at_s` when a moment of the performer's
    time is heard here, None when that is not known. A call costs microseconds; with an utterance up to 1 ms.
    """

    def __init__(
        self,
        modes: Modes,
        *,
        duplex: Duplex,
        heard: Callable[[], Heard | None],
        heard_at_s: Callable[[float], float | None] = lambda media_s: None,
        rules: TurnRules | None = None,
    ) -> None:
        self.modes = modes
        self.rules = rules or TurnRules()
        self._duplex: Duplex = duplex
        self._heard_at_s = heard_at_s
        self._guard = TextGuard()
        self._double = Double(heard)
        self._talker = Talker()
        self._on_air = True
        self._held_since_s: float | None = None
        self._held_samples = 0
        self._false_holds = 0
        self._said_s = 0.0
        """When the utterance ended that is being answered."""
        self._waiting: deque[protocol.ToPerformer] = deque(maxlen=MOST_WAITING)
        self._muted = False
        self._unmute_at_s: float | None = None
        self._shown = ShowState("listening", False)
        self._actions: list[Action] = []

    @property
    def state(self) -> TurnState:
        """A draft that is being thought of counts as processing."""
        pending = self.modes.pending
        drafting = pending is not None and pending.text is None
        return "processing" if drafting and self._double.phase == "listening" else self._double.phase

    @property
    def held(self) -> bool:
        """Whether the double was silenced and may still go on."""
        return self._held_since_s is not None

    @property
    def duplex(self) -> Duplex:
        return self._duplex

    # -- what happens --------------------------------------------------------------------------------------------------

    def hear(self, event: HearingEvent, now_s: float) -> list[Action]:
        """The ears have heard something."""
        talker = self._talker
        match event:
            case SpeechStarted():
                talker.start(now_s - self.rules.early_s)
            case SpeechConfirmed():
                talker.confirmed = True
                self._hold(now_s)
            case SpeechPaused():
                talker.pause(now_s - self.rules.early_s)
            case SpeechResumed():
                talker.resume(now_s)
                self._hold(now_s)
            case SpeechDropped():
                talker.end()
                self._go_on(now_s)
            case PartialText(text):
                self._partly_understood(text, now_s)
            case Utterance():
                self._understood(event, now_s)
                if not talker.talking:
                    talker.end()
        return self._done(now_s)

    def take(self, message: protocol.FromPerformer, now_s: float) -> list[Action]:
        """The performer has told something."""
        double = self._double
        match message:
            case protocol.Hello():
                self.modes.called(message.name)
                self._held_since_s = None
                double.greeted(message)
                self._draft_again()
            case protocol.State(state=state, turn_id=turn_id):
                if turn_id > double.turn_id:
                    self._false_holds = 0
                if state != "listening" or not self.held:
                    double.entered(state, turn_id)
            case protocol.Caption():
                if double.captioned(message):
                    from_s = self._heard_at_s(message.at_s)
                    from_s = now_s + PLAYOUT_S if from_s is None else from_s
                    self._guard.played(message.text, from_s, from_s + message.duration_ms / 1_000)
            case protocol.TurnEnded():
                self._turn_ended(message, now_s)
            case protocol.Drafted():
                if self.modes.drafted(message):
                    self._show_draft()
            case protocol.Error():
                double.refused()
                if self.modes.forget_unfinished():
                    self._show_draft()
        return self._done(now_s)

    def tick(self, now_s: float) -> list[Action]:
        """Time has passed."""
        self._double.tick(now_s)
        if self._held_since_s is not None:
            if self._talker.lasted_s(now_s) >= self.rules.interrupting_speech_s and not self._may_be_for_others():
                self._interrupt()
            elif now_s - self._held_since_s >= self.rules.longest_hold_s:
                self._go_on(now_s)
        return self._done(now_s)

    def lost(self, now_s: float) -> list[Action]:
        """The connection is gone."""
        self._held_since_s = None
        self._waiting.clear()
        self._double.stopped()
        return self._done(now_s)

    # -- what the owner does -------------------------------------------------------------------------------------------

    def typed(self, text: str, now_s: float) -> list[Action]:
        """A line was typed."""
        self._tell(self.modes.typed(text), now_s)
        return self._done(now_s)

    def approve(self, text: str | None, now_s: float) -> list[Action]:
        """The draft, or `text` in its place, is said."""
        messages = self.modes.approve(text)
        if messages:
            self._show_draft()
        self._tell(messages, now_s)
        return self._done(now_s)

    def veto(self, now_s: float) -> list[Action]:
        """The draft is not said."""
        self._actions += map(Send, self.modes.veto())
        self._show_draft()
        return self._done(now_s)

    def interrupt(self, now_s: float) -> list[Action]:
        """The double stops, whatever it is doing."""
        self._waiting.clear()
        self._interrupt()
        return self._done(now_s)

    def switch(self, mode: Mode, now_s: float) -> list[Action]:
        """Raises ValueError for a mode that there is not."""
        self.modes.switch(mode)
        return self._done(now_s)

    def set_duplex(self, duplex: Duplex, now_s: float) -> list[Action]:
        self._duplex = duplex
        return self._done(now_s)

    def put_on_air(self, on: bool, now_s: float) -> list[Action]:
        """Whether the double is the one who is heard; while it is not, it stops, and only remembers what is said."""
        if self._on_air and not on and self._double.phase != "listening":
            self._waiting.clear()
            self._interrupt()
        self._on_air = on
        return self._done(now_s)

    # -- speech in the call --------------------------------------------------------------------------------------------

    def _hold(self, now_s: float) -> None:
        """Somebody is speaking and means it: the double falls silent at once, until it is known what it is.

        In the last moments of an answer it ends by itself, and who speaks then is answering it.
        """
        if not self._busy() or self.held or not self._talker.confirmed or not self.modes.interruptible:
            return
        self._talker.over_double = True
        if self._false_holds >= self.rules.most_false_holds:
            return
        self._held_since_s = now_s
        self._held_samples = self._double.heard_samples()
        self._guard.silenced(now_s)
        self._actions += [Hush(), Send(protocol.Hold())]

    def _busy(self) -> bool:
        return self._double.phase != "listening" and not self._double.ending

    def _may_be_for_others(self) -> bool:
        """In a meeting people talk to each other while the double thinks about its answer."""
        return self.modes.mode == "addressed" and self._double.phase == "processing"

    def _partly_understood(self, text: str, now_s: float) -> None:
        talker = self._talker
        backchannel = talker.over_double and is_backchannel(text)
        if backchannel or self._guard.is_echo(text, talker.began_s, now_s):
            if not talker.talking:
                self._go_on(now_s, backchannel=backchannel)
            return
        self._actions.append(ShowHeard(text, "partial"))
        many = len(plain(text)) >= self.rules.interrupting_words
        if many and self._busy() and self.modes.interruptible and not self._may_be_for_others():
            self._interrupt()
        if not self._busy() and self._on_air and self.modes.expects(text, talker.began_s):
            self._actions.append(Send(protocol.Expect(text=text[:MOST_CHARACTERS])))

    def _understood(self, utterance: Utterance, now_s: float) -> None:
        text, talker = utterance.text, self._talker
        verdict: Verdict | None = None
        if not plain(text):
            verdict = "nothing"
        elif self._guard.is_echo(text, talker.began_s, utterance.speech_ended_s):
            verdict = "echo"
        elif talker.over_double and is_backchannel(text):
            verdict = "backchannel"
        if verdict is None:
            self._answer(utterance, now_s)
        else:
            self._actions.append(ShowHeard(text, verdict))
            self._go_on(now_s, backchannel=verdict == "backchannel")

    def _answer(self, utterance: Utterance, now_s: float) -> None:
        began_s = self._talker.began_s
        phase = self._double.phase
        if self._on_air:
            messages = self.modes.spoken(
                utterance.text,
                began_s=began_s,
                speech_ended_ms=(now_s - utterance.speech_ended_s) * 1_000,
                transcribed_ms=(now_s - utterance.transcribed_s) * 1_000,
                goes_on=phase == "processing" and began_s - self._said_s <= self.rules.goes_on_s,
            )
        else:
            messages = self.modes.overheard(utterance.text)
        self._actions.append(ShowHeard(utterance.text, _verdict(messages)))
        if _verdict(messages) == "overheard":
            self._actions += map(Send, messages)
            if phase == "processing":
                self._go_on(now_s)  # somebody else was asked something else
            elif self.held:
                self._interrupt()
        else:
            self._said_s = utterance.speech_ended_s
            self._tell(messages, now_s)

    # -- what the double is told ---------------------------------------------------------------------------------------

    def _tell(self, messages: Messages, now_s: float) -> None:
        for message in messages:
            dictated = isinstance(message, protocol.Speak) and not self.modes.interruptible
            if dictated and self._double.phase != "listening":
                self._waiting.append(message)
            else:
                self._send(message, now_s)

    def _send(self, message: protocol.ToPerformer, now_s: float) -> None:
        double = self._double
        match message:
            case protocol.Say() | protocol.Speak():  # end by themselves what is being said
                if double.phase == "speaking" and not self.held and not double.ending:
                    self._actions.append(Hush())
                    self._guard.silenced(now_s)
                self._held_since_s = None
                double.asked(now_s)
            case protocol.Draft():
                if self.held:
                    self._interrupt()
                self._show_draft()
        self._actions.append(Send(message))

    def _go_on(self, now_s: float, *, backchannel: bool = False) -> None:
        """The interruption was none."""
        if self.held:
            self._held_since_s = None
            self._false_holds += not backchannel
            turn_id = self._double.expected_turn_id
            self._double.resumed(now_s)
            self._actions.append(Send(protocol.Resume(turn_id=turn_id, samples=self._held_samples)))

    def _interrupt(self) -> None:
        """End what the double is saying or about to say."""
        if not self.held:
            self._actions.append(Hush())
        self._held_since_s = None
        self._double.stopped()
        self._actions.append(Send(protocol.Interrupt()))

    def _turn_ended(self, ended: protocol.TurnEnded, now_s: float) -> None:
        if not self._double.ended(ended, now_s):
            return
        if self.held:  # it had ended before it heard that somebody speaks, who therefore is answering it
            self._held_since_s = None
            self._talker.over_double = False
        if ended.reason == "finished":
            self.modes.answered(ended.text, now_s)
        self._draft_again()

    def _draft_again(self) -> None:
        """A performer that began anew, or that answered somebody meanwhile, has dropped what it was drafting."""
        pending = self.modes.pending
        if pending is not None and pending.text is None:
            self._actions.append(Send(protocol.Draft(text=pending.answers)))

    # -- the ears and the screen ---------------------------------------------------------------------------------------

    def _show_draft(self) -> None:
        self._actions.append(ShowDraft(self.modes.pending))

    def _done(self, now_s: float) -> list[Action]:
        """Everything to do, with what follows from the state."""
        if self._waiting and self._double.phase == "listening":
            self._send(self._waiting.popleft(), now_s)
        self._open_or_close_ears(now_s)
        shown = ShowState(self.state, self.held)
        if shown != self._shown:
            self._shown = shown
            self._actions.append(shown)
        actions, self._actions = self._actions, []
        return actions

    def _open_or_close_ears(self, now_s: float) -> None:
        if self._duplex == "half" and self._double.phase == "speaking" and not self.held:
            self._unmute_at_s = None
            if not self._muted:
                self._muted = True
                self._actions.append(MuteEars())
        elif self._muted:
            if self._unmute_at_s is None:
                self._unmute_at_s = now_s + self.rules.unmute_after_s
            if now_s >= self._unmute_at_s:
                self._muted = False
                self._actions.append(UnmuteEars())


def _verdict(messages: Messages) -> Verdict:
    match messages[-1] if messages else None:
        case protocol.Say():
            return "answered"
        case protocol.Speak():
            return "repeated"
        case protocol.Draft():
            return "drafted"
        case _:
            return "overheard"
