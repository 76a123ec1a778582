"""Whose turn it is, with simulated time: what is sent, when the sound stops, and what the screen says."""

import pytest

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
from models.interfaces import SPEECH_RATE_HZ
from peer_local.heard import Heard
from peer_local.listening.actions import Action, Hush, MuteEars, Send, ShowDraft, ShowHeard, ShowState, UnmuteEars
from peer_local.listening.modes import Modes
from peer_local.listening.turn_taking import Duplex, TurnTaking
from peer_local.settings import Mode
from signaling import protocol

ANSWER = "Well, I think that we could meet on Thursday afternoon."


class Call:
    """A call with somebody who talks to the double; `now_s` moves with what happens."""

    def __init__(self, mode: Mode = "converse", duplex: Duplex = "full", *, owner_speaks: bool = False) -> None:
        self.now_s = 100.0
        self.heard: Heard | None = None
        self.done: list[Action] = []
        self.turns = TurnTaking(
            Modes(mode, owner_speaks=owner_speaks),
            duplex=duplex,
            heard=lambda: self.heard,
            heard_at_s=lambda at_s: at_s,
        )
        self.take(protocol.Hello(name="Alex", state="listening", turns=0))

    def _note(self, actions: list[Action]) -> list[Action]:
        self.done += actions
        return actions

    def hear(self, *events: HearingEvent) -> list[Action]:
        return [action for event in events for action in self._note(self.turns.hear(event, self.now_s))]

    def take(self, message: protocol.FromPerformer) -> list[Action]:
        return self._note(self.turns.take(message, self.now_s))

    def wait(self, seconds: float) -> list[Action]:
        actions = []
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            actions += self._note(self.turns.tick(self.now_s))
        return actions

    def begin_to_speak(self, seconds: float = 0.2) -> list[Action]:
        self.hear(SpeechStarted())
        self.wait(seconds)
        return self.hear(SpeechConfirmed())

    def understood(self, text: str) -> list[Action]:
        """The speaker has paused for a moment and the text is there."""
        self.hear(SpeechPaused())
        self.now_s += 0.5
        partial = self.hear(PartialText(text)) if text else []
        self.now_s += 0.1
        return [*partial, *self.hear(Utterance(text, self.now_s - 0.7, self.now_s - 0.1))]

    def say(self, text: str) -> list[Action]:
        return [*self.begin_to_speak(), *self.understood(text)]

    def think(self, turn_id: int = 1) -> None:
        self.take(protocol.State(state="thinking", turn_id=turn_id))

    def speak(self, turn_id: int = 1, text: str = ANSWER, seconds: float = 4.0) -> None:
        """The double thinks and begins to say `text`, which is heard for a second."""
        self.think(turn_id)
        self.now_s += 0.5
        self.take(protocol.State(state="speaking", turn_id=turn_id))
        self.take(
            protocol.Caption(
                turn_id=turn_id,
                index=0,
                text=text,
                duration_ms=round(seconds * 1_000),
                start_samples=0,
                at_s=self.now_s,
            )
        )
        self.wait(1.0)
        self.heard = Heard(turn_id, SPEECH_RATE_HZ)

    def finish(self, turn_id: int = 1, text: str = ANSWER) -> None:
        """The performer has sent everything; its last 0.3 s are on the way."""
        self.take(protocol.TurnEnded(turn_id=turn_id, reason="finished", text=text, moments_ms={}))
        self.take(protocol.State(state="listening", turn_id=turn_id))

    @property
    def state(self) -> str:
        return self.turns.state


def sent(actions: list[Action]) -> list[protocol.ToPerformer]:
    return [action.message for action in actions if isinstance(action, Send)]


def kinds(actions: list[Action]) -> list[str]:
    return [message.type for message in sent(actions)]


def verdicts(actions: list[Action]) -> list[str]:
    return [action.verdict for action in actions if isinstance(action, ShowHeard) and action.verdict != "partial"]


# -- the states --------------------------------------------------------------------------------------------------------


def test_an_utterance_is_answered_and_the_states_follow() -> None:
    call = Call()
    actions = call.say("What day suits you?")
    (say,) = [message for message in sent(actions) if isinstance(message, protocol.Say)]
    assert (say.text, say.source) == ("What day suits you?", "spoken")
    assert say.speech_ended_ms == pytest.approx(700, abs=1)
    assert say.transcribed_ms == pytest.approx(100, abs=1)
    assert call.state == "processing"
    call.speak()
    assert call.state == "speaking"
    call.finish()
    assert call.state == "speaking"
    call.heard = Heard(1, 4 * SPEECH_RATE_HZ)
    call.wait(0.1)
    assert call.state == "listening"
    shown = [action.state for action in call.done if isinstance(action, ShowState)]
    assert shown == ["processing", "speaking", "listening"]


def test_what_is_being_said_lets_the_double_think_ahead() -> None:
    call = Call()
    call.begin_to_speak()
    call.hear(SpeechPaused())
    assert kinds(call.hear(PartialText("What do you"))) == ["expect"]


def test_a_sound_that_never_ends_does_not_keep_the_double_speaking() -> None:
    call = Call()
    call.speak()
    call.finish()
    call.wait(1.1)
    assert call.state == "listening"


def test_a_performer_that_does_not_react_is_not_waited_for() -> None:
    call = Call()
    call.say("Hello?")
    call.wait(6)
    assert call.state == "listening"


def test_a_refusal_and_a_lost_connection_end_the_waiting() -> None:
    call = Call()
    call.say("Hello?")
    call.take(protocol.Error(code="busy", message="Not now."))
    assert call.state == "listening"
    call.speak()
    call._note(call.turns.lost(call.now_s))
    assert call.state == "listening"


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_speech_silences_the_double_at_once_and_holds_its_answer() -> None:
    call = Call()
    call.speak()
    actions = call.begin_to_speak()
    assert [type(action) for action in actions] == [Hush, Send, ShowState]
    assert kinds(actions) == ["hold"]
    assert call.turns.held


@pytest.mark.parametrize("text", ["Mhm.", "Uh-huh.", "Yeah, right.", "Okay!", "I see.", "Mmm-hmm", "Ага.", "Угу, так."])
def test_somebody_who_only_listens_does_not_stop_the_double(text: str) -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    call.heard = Heard(1, 3 * SPEECH_RATE_HZ)  # counted on while it is silent
    actions = call.understood(text)
    assert sent(actions) == [protocol.Resume(turn_id=1, samples=SPEECH_RATE_HZ)]
    assert verdicts(actions) == ["backchannel"]
    call.take(protocol.State(state="listening", turn_id=1))  # of the hold, on the way meanwhile
    call.take(protocol.State(state="speaking", turn_id=1))
    assert call.state == "speaking"


def test_the_answer_goes_on_as_soon_as_the_mhm_is_understood() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    call.hear(SpeechPaused())
    assert kinds(call.hear(PartialText("Mhm."))) == ["resume"]
    call.take(protocol.State(state="speaking", turn_id=1))
    assert kinds(call.hear(Utterance("Mhm.", call.now_s, call.now_s))) == []


def test_a_mhm_that_becomes_an_objection_silences_the_double_again() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    call.hear(SpeechPaused())
    call.hear(PartialText("Yeah."))
    call.take(protocol.State(state="speaking", turn_id=1))
    assert kinds(call.hear(SpeechResumed())) == ["hold"]
    assert kinds(call.understood("Yeah, but not on Thursday.")) == ["interrupt", "expect", "say"]


def test_a_cough_lets_the_double_go_on() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    assert kinds(call.hear(SpeechDropped())) == ["resume"]
    call.speak()
    call.begin_to_speak()
    assert kinds(call.understood("")) == ["resume"]


def test_words_stop_the_double_and_are_answered() -> None:
    call = Call()
    call.speak()
    actions = call.say("No, wait.")
    assert kinds(actions) == ["hold", "say"]
    assert call.state == "processing"
    late = call.take(protocol.State(state="speaking", turn_id=1))
    assert not late and call.state == "processing"


def test_speech_that_goes_on_is_an_interruption_before_it_is_understood() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    assert kinds(call.wait(0.6)) == []
    assert kinds(call.wait(0.5)) == ["interrupt"]
    assert call.state == "listening"
    assert kinds(call.understood("I would rather talk about the budget.")) == ["expect", "say"]


def test_a_pause_does_not_count_as_speech_that_goes_on() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    call.hear(SpeechPaused())
    assert kinds(call.wait(2.0)) == []


def test_a_hold_is_never_left_undecided() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    call.hear(SpeechPaused())
    assert kinds(call.wait(4.1)) == ["resume"]


def test_three_words_interrupt_before_the_utterance_is_over() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    call.hear(SpeechPaused())
    assert kinds(call.hear(PartialText("Sorry to interrupt"))) == ["interrupt", "expect"]


def test_the_double_s_own_echo_lets_it_go_on() -> None:
    call = Call()
    call.speak()
    call.begin_to_speak()
    actions = call.understood("well I think that we")
    assert kinds(actions) == ["resume"]
    assert verdicts(actions) == ["echo"]


def test_after_three_noises_only_words_interrupt_the_answer() -> None:
    call = Call()
    call.speak()
    for _ in range(3):
        assert kinds(call.begin_to_speak()) == ["hold"]
        call.hear(SpeechDropped())
        call.take(protocol.State(state="speaking", turn_id=1))
    assert kinds(call.begin_to_speak()) == []
    assert kinds(call.understood("Uh-huh.")) == []
    actions = call.say("Please stop it now.")
    assert kinds(actions) == ["interrupt", "expect", "say"]
    call.speak(2)
    assert kinds(call.begin_to_speak()) == ["hold"]


def test_a_yes_in_the_last_moment_of_a_question_is_an_answer() -> None:
    call = Call()
    call.speak(text="Shall we meet on Thursday?")
    call.finish(text="Shall we meet on Thursday?")
    actions = call.say("Yeah.")
    assert not any(isinstance(action, Hush) for action in actions)
    assert kinds(actions) == ["expect", "say"]


def test_a_yes_that_crosses_the_end_of_the_answer_on_the_wire_is_an_answer() -> None:
    call = Call()
    call.speak(text="Shall we meet on Thursday?")
    assert kinds(call.begin_to_speak()) == ["hold"]
    call.finish(text="Shall we meet on Thursday?")
    assert not call.turns.held
    assert kinds(call.understood("Yeah.")) == ["expect", "say"]


def test_who_goes_on_while_the_double_thinks_is_answered_to_all() -> None:
    call = Call()
    call.say("What about Thursday?")
    call.think()
    assert kinds(call.begin_to_speak()) == ["hold"]
    assert kinds(call.understood("Or rather Friday?")) == ["interrupt", "expect", "say"]


def test_a_mhm_while_the_double_thinks_keeps_the_answer() -> None:
    call = Call()
    call.say("What about Thursday?")
    assert kinds(call.begin_to_speak()) == ["hold"]  # before the performer has told that it thinks
    assert sent(call.understood("Hmm."))[-1] == protocol.Resume(turn_id=1, samples=0)
    call.think()
    assert call.state == "processing"


def test_the_owner_s_command_stops_the_double() -> None:
    call = Call()
    call.speak()
    actions = call._note(call.turns.interrupt(call.now_s))
    assert [type(action) for action in actions] == [Hush, Send, ShowState]
    assert kinds(actions) == ["interrupt"]
    assert call.state == "listening"
    assert call.take(protocol.State(state="speaking", turn_id=1)) == []


def test_a_typed_line_ends_what_is_being_said() -> None:
    call = Call()
    call.speak()
    actions = call._note(call.turns.typed("Say goodbye.", call.now_s))
    assert isinstance(actions[0], Hush)
    assert sent(actions) == [protocol.Say(text="Say goodbye.", source="typed")]


# -- half duplex -------------------------------------------------------------------------------------------------------


def test_half_duplex_closes_the_ears_while_the_double_is_heard() -> None:
    call = Call(duplex="half")
    call.say("Hello.")
    assert not any(isinstance(action, MuteEars) for action in call.done)
    call.speak()
    assert sum(isinstance(action, MuteEars) for action in call.done) == 1
    call.finish()
    assert UnmuteEars() not in call.wait(0.5)
    call.heard = Heard(1, 4 * SPEECH_RATE_HZ)
    assert UnmuteEars() not in call.wait(0.3)
    assert UnmuteEars() in call.wait(0.2)


def test_half_duplex_opens_the_ears_after_a_stop_and_when_it_is_switched_off() -> None:
    call = Call(duplex="half")
    call.speak()
    call._note(call.turns.interrupt(call.now_s))
    assert UnmuteEars() in call.wait(0.5)
    call.speak(2)
    assert call.done.count(MuteEars()) == 2
    call._note(call.turns.set_duplex("full", call.now_s))
    assert UnmuteEars() in call.wait(0.5)


def test_half_duplex_still_hears_who_goes_on_while_it_thinks() -> None:
    call = Call(duplex="half")
    call.say("What about Thursday?")
    call.think()
    assert kinds(call.begin_to_speak()) == ["hold"]


# -- modes -------------------------------------------------------------------------------------------------------------


def test_dictated_lines_wait_for_each_other() -> None:
    call = Call("repeat")
    first = call._note(call.turns.typed("Good morning everybody.", call.now_s))
    assert kinds(first) == ["speak"]
    call.speak()
    assert sent(call._note(call.turns.typed("Let us begin.", call.now_s))) == []
    assert kinds(call.begin_to_speak()) == []
    call.finish()
    assert sent(call.wait(1.1)) == [protocol.Speak(text="Let us begin.")]


def test_mode_repeat_does_not_think_ahead() -> None:
    call = Call("repeat", owner_speaks=True)
    assert kinds(call.say("Good morning.")) == ["speak"]


def test_a_draft_waits_for_the_owner() -> None:
    call = Call("approve")
    actions = call.say("Can you lend me money?")
    assert kinds(actions) == ["expect", "draft"]
    assert verdicts(actions) == ["drafted"]
    assert call.state == "processing"
    actions = call.take(protocol.Drafted(answers="Can you lend me money?", text="Sure!"))
    assert any(isinstance(action, ShowDraft) and action.draft for action in actions)
    assert call.state == "listening"
    actions = call._note(call.turns.approve("Not today.", call.now_s))
    assert sent(actions) == [protocol.Speak(text="Not today.", answers="Can you lend me money?")]
    assert ShowDraft(None) in actions


def test_a_vetoed_draft_is_remembered_but_not_said() -> None:
    call = Call("approve")
    call.say("Can you lend me money?")
    assert sent(call._note(call.turns.veto(call.now_s))) == [protocol.Overheard(text="Can you lend me money?")]
    assert call.state == "listening"


def test_a_draft_is_no_reason_to_hold_anything() -> None:
    call = Call("approve")
    call.say("Can you lend me money?")
    actions = call.say("I mean a hundred.")
    assert "hold" not in kinds(actions)
    assert kinds(actions)[-2:] == ["overheard", "draft"]


def test_in_a_meeting_others_do_not_take_the_answer_that_is_being_thought_of() -> None:
    call = Call("addressed")
    assert kinds(call.say("Alex, what do you think?")) == ["expect", "say"]
    call.think()
    call.wait(3)
    call.begin_to_speak()
    call.wait(1.5)
    assert kinds(call.understood("Maria, close the door."))[-2:] == ["overheard", "resume"]


def test_in_a_meeting_the_double_stops_for_those_who_talk_over_it() -> None:
    call = Call("addressed")
    call.say("Alex, what do you think?")
    call.speak()
    call.begin_to_speak()
    assert kinds(call.understood("Maria, please.")) == ["overheard", "interrupt"]


def test_off_air_the_double_only_remembers() -> None:
    call = Call()
    call.speak()
    assert kinds(call._note(call.turns.put_on_air(False, call.now_s))) == ["interrupt"]
    assert kinds(call.say("And you, what do you do?")) == ["overheard"]
    call._note(call.turns.put_on_air(True, call.now_s))
    assert kinds(call.say("Are you back?")) == ["expect", "say"]
