import pytest

from peer_local.listening.modes import Messages, Modes, PendingDraft
from peer_local.settings import Mode
from signaling import protocol


def spoken(modes: Modes, text: str, *, began_s: float = 100.0, goes_on: bool = False) -> Messages:
    return modes.spoken(text, began_s=began_s, speech_ended_ms=700.0, transcribed_ms=100.0, goes_on=goes_on)


def test_converse_lets_the_model_answer_what_is_typed_and_said() -> None:
    modes = Modes("converse")
    assert modes.typed(" Hello. ") == (protocol.Say(text="Hello.", source="typed"),)
    assert spoken(modes, "Hello.") == (
        protocol.Say(text="Hello.", source="spoken", speech_ended_ms=700.0, transcribed_ms=100.0),
    )


def test_lines_without_words_and_endless_ones_do_no_harm() -> None:
    modes = Modes("converse")
    assert modes.typed("  ") == ()
    assert spoken(modes, "") == ()
    (say,) = spoken(modes, "word " * 1_000)
    assert isinstance(say, protocol.Say) and len(say.text) == 2_000
    (say,) = modes.spoken("Hi", began_s=0.0, speech_ended_ms=1e9, transcribed_ms=-3.0, goes_on=False)
    assert isinstance(say, protocol.Say) and (say.speech_ended_ms, say.transcribed_ms) == (60_000.0, 0.0)


def test_repeat_says_the_owner_s_words_as_they_are() -> None:
    modes = Modes("repeat", owner_speaks=True)
    assert modes.typed("Good morning.") == (protocol.Speak(text="Good morning."),)
    assert spoken(modes, "Good morning.") == (protocol.Speak(text="Good morning."),)
    assert not modes.interruptible
    assert not modes.expects("Good", 100.0)


def test_repeat_does_not_repeat_the_call_to_itself() -> None:
    assert spoken(Modes("repeat"), "How are you?") == (protocol.Overheard(text="How are you?"),)


def test_approve_waits_for_a_yes() -> None:
    modes = Modes("approve")
    assert spoken(modes, "May I?") == (protocol.Draft(text="May I?"),)
    assert modes.approve() == ()
    assert modes.drafted(protocol.Drafted(answers="May I?", text="You may."))
    assert modes.pending == PendingDraft("May I?", "You may.")
    assert modes.approve() == (protocol.Speak(text="You may.", answers="May I?"),)
    assert modes.pending is None
    assert modes.approve() == ()


def test_the_owner_s_own_words_take_the_place_of_a_draft_even_before_it_is_there() -> None:
    modes = Modes("approve")
    spoken(modes, "May I?")
    assert modes.approve(" No. ") == (protocol.Speak(text="No.", answers="May I?"),)
    assert not modes.drafted(protocol.Drafted(answers="May I?", text="You may."))


def test_a_veto_keeps_the_question_in_mind() -> None:
    modes = Modes("approve")
    spoken(modes, "May I?")
    modes.drafted(protocol.Drafted(answers="May I?", text="You may."))
    assert modes.veto() == (protocol.Overheard(text="May I?"),)
    assert modes.veto() == ()


def test_a_newer_utterance_takes_the_place_of_a_draft() -> None:
    modes = Modes("approve")
    spoken(modes, "May I?")
    assert spoken(modes, "I mean now.") == (protocol.Overheard(text="May I?"), protocol.Draft(text="I mean now."))
    assert not modes.drafted(protocol.Drafted(answers="May I?", text="You may."))
    assert modes.drafted(protocol.Drafted(answers="I mean now.", text="Later."))


def test_addressed_answers_to_its_name_only() -> None:
    modes = Modes("addressed", names=("assistant",))
    modes.called("Olena Kovalenko")
    kinds = [
        spoken(modes, text)[0].type
        for text in ("Olena, are you there?", "What about you, Kovalenko?", "Dear assistant!", "Ivan, your turn.")
    ]
    assert kinds == ["say", "say", "say", "overheard"]
    assert modes.expects("Olena, what", 100.0)
    assert not modes.expects("Ivan, what", 100.0)


def test_addressed_takes_what_follows_its_question_for_the_answer() -> None:
    modes = Modes("addressed")
    modes.called("Olena")
    modes.answered("Shall we begin at nine?", 100.0)
    assert spoken(modes, "At ten, please.", began_s=104.0)[0].type == "say"
    assert spoken(modes, "And you, Ivan?", began_s=106.0)[0].type == "overheard"
    modes.answered("Shall we begin at nine?", 100.0)
    assert spoken(modes, "At ten, please.", began_s=109.0)[0].type == "overheard"
    modes.answered("I would begin at nine.", 100.0)
    assert spoken(modes, "At ten, please.", began_s=104.0)[0].type == "overheard"


def test_addressed_hears_who_goes_on_and_every_typed_line() -> None:
    modes = Modes("addressed")
    modes.called("Olena")
    assert spoken(modes, "and the budget?", goes_on=True)[0].type == "say"
    assert modes.typed("Say hello.")[0].type == "say"


def test_the_mode_changes_without_losing_a_draft() -> None:
    modes = Modes("approve")
    spoken(modes, "May I?")
    modes.drafted(protocol.Drafted(answers="May I?", text="You may."))
    modes.switch("converse")
    assert spoken(modes, "Hello?")[0].type == "say"
    assert modes.approve() == (protocol.Speak(text="You may.", answers="May I?"),)


def test_a_mode_that_there_is_not_is_refused_with_the_others() -> None:
    unknown: Mode = "shout"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="converse, repeat, approve, addressed"):
        Modes("converse").switch(unknown)
