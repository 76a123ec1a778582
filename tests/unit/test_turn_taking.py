"""Whose turn it is, with simulated time: what is sent, when the sound stops, and what the screen says."""

import pytest

from models.hearing.listener import (
    PartialText,
    SpeechDropped,
    SpeechPaused,
    SpeechResumed,
    Utterance,
)
from models.interfaces import SPEECH_RATE_HZ
from peer_local.heard import Heard
from peer_local.listening.actions import Hush, Send, ShowState
from signaling import protocol
from tests.unit.turn_world import Call, kinds, sent, verdicts

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
