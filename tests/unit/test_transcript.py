"""The conversation on the screen."""

from peer_local.listening.actions import ShowHeard
from peer_local.transcript import Transcript
from signaling.protocol import Caption, TurnEnded


def caption(turn: int, index: int, text: str) -> Caption:
    return Caption(turn_id=turn, index=index, text=text, duration_ms=500, start_samples=0, at_s=1.0)


def shown(transcript: Transcript, hears: Caption | None = None) -> list[tuple[str, tuple[str, ...]]]:
    return [(line.speaker, line.clauses) for line in transcript.lines(hears)]


def test_an_utterance_is_replaced_by_its_better_understanding() -> None:
    transcript = Transcript()
    transcript.heard(ShowHeard("what is", "partial"))
    transcript.heard(ShowHeard("What is this?", "answered"))
    transcript.heard(ShowHeard("Aha.", "overheard"))
    assert shown(transcript) == [("call", ("What is this?",)), ("call", ("Aha.",))]


def test_the_doubles_own_echo_leaves_no_line() -> None:
    transcript = Transcript()
    transcript.heard(ShowHeard("hello there", "partial"))
    transcript.heard(ShowHeard("Hello there.", "echo"))
    transcript.heard(ShowHeard("", "nothing"))
    assert shown(transcript) == []


def test_an_answer_grows_by_clauses_and_the_one_that_is_heard_is_marked() -> None:
    transcript = Transcript()
    transcript.typed("Who are you?")
    first, second = caption(1, 0, "Well,"), caption(1, 1, "I am Alex.")
    transcript.caption(first)
    transcript.caption(second)
    assert shown(transcript) == [("typed", ("Who are you?",)), ("double", ("Well,", "I am Alex."))]
    assert transcript.lines(first)[-1].current == 0
    assert transcript.lines(None)[-1].current is None


def test_a_clause_that_comes_again_takes_its_earlier_place() -> None:
    transcript = Transcript()
    for clause in (caption(1, 0, "Well,"), caption(1, 1, "I am"), caption(1, 0, "Well,")):
        transcript.caption(clause)
    assert shown(transcript) == [("double", ("Well,",))]


def test_an_answer_that_was_broken_off_is_marked() -> None:
    transcript = Transcript()
    transcript.caption(caption(1, 0, "Well,"))
    transcript.caption(caption(2, 0, "Oh,"))
    transcript.ended(TurnEnded(turn_id=1, reason="interrupted", text="Well,", moments_ms={}))
    assert [line.interrupted for line in transcript.lines(None)] == [True, False]


def test_the_answers_of_a_restarted_performer_do_not_overwrite_those_from_before() -> None:
    transcript = Transcript()
    transcript.caption(caption(1, 0, "Before."))
    transcript.begin_anew()
    transcript.caption(caption(1, 0, "After."))
    assert [line.clauses for line in transcript.lines(None)] == [("Before.",), ("After.",)]
