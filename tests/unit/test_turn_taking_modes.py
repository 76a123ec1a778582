"""Half duplex, and who decides what the double says, with simulated time."""

from models.interfaces import SPEECH_RATE_HZ
from peer_local.heard import Heard
from peer_local.listening.actions import MuteEars, ShowDraft, UnmuteEars
from signaling import protocol
from tests.unit.turn_world import Call, kinds, sent, verdicts

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
