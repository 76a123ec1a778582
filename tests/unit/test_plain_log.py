from dataclasses import replace

from peer_local.screen.plain import changes
from peer_local.screen.view import Line, PendingDraft, TurnTimes, View

STILL = View(on_air="double", link="connected", name="Olena")


def test_nothing_new_is_no_line() -> None:
    assert changes(STILL, replace(STILL, rtt_ms=20, av_offset_ms=3, camera_fps=29)) == []


def test_state_and_connection_are_lines() -> None:
    after = replace(STILL, on_air="self", mode="repeat", state="speaking", held=True, recording=True)
    assert changes(View(), after) == [
        "on air   | self",
        "mode     | repeat",
        "link     | connected to Olena",
        "record   | on",
        "state    | held",
    ]
    assert changes(STILL, replace(STILL, link="connecting")) == ["link     | connecting"]


def test_what_the_call_says_comes_once_when_it_is_sure() -> None:
    unsure = replace(STILL, lines=(Line(1, "call", ("Hello can you",), final=False),))
    sure = replace(STILL, lines=(Line(1, "call", ("Hello, can you hear us?",)),))
    assert changes(STILL, unsure) == []
    assert changes(unsure, sure) == ["call     | Hello, can you hear us?"]
    assert changes(sure, sure) == []


def test_the_double_is_written_clause_by_clause_as_it_is_heard() -> None:
    answer = Line(2, "double", ("Так.", "Звіт готовий.", "Дякую."), current=0)
    views = [replace(STILL, lines=(replace(answer, current=current),)) for current in (0, 1, 1)]
    ended = replace(STILL, lines=(replace(answer, clauses=answer.clauses[:2], current=None, interrupted=True),))
    steps = [changes(before, after) for before, after in zip([STILL, *views], [*views, ended], strict=True)]
    assert steps == [["double   | Так."], ["double   | Звіт готовий."], [], ["double   | (interrupted)"]]


def test_drafts_answers_and_warnings() -> None:
    after = replace(
        STILL,
        draft=PendingDraft("When?", "On\nThursday."),
        turns=(TurnTimes(1_422),),
        warnings=("The camera is gone; start OBS.",),
    )
    assert changes(STILL, after) == [
        "draft    | On Thursday.",
        "         | /approve, /approve OTHER TEXT, or /veto",
        "answer   | 1.42 s",
        "warning  | The camera is gone; start OBS.",
    ]
    assert changes(after, STILL) == ["resolved | The camera is gone; start OBS."]
