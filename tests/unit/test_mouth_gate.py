"""When the made mouth is shown, and how it comes and goes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.face.musetalk.gate import Gate, Phase

OPENING = [4, 8, 12]
CLOSING = [9, 6, 3, 0]
HISTORIES = st.text(alphabet="#._", max_size=60)


def later(gate: Gate, picture: str) -> Gate:
    """`#` is loud, `.` quiet, `_` nothing to say."""
    return gate.silent() if picture == "_" else gate.speaking(picture == "#")


def played(pictures: str, gate: Gate | None = None) -> list[Gate]:
    gates = [gate or Gate()]
    for picture in pictures:
        gates.append(later(gates[-1], picture))
    return gates[1:]


def twelfths(pictures: str, gate: Gate | None = None) -> list[int]:
    return [after.twelfths for after in played(pictures, gate)]


def phases(pictures: str) -> str:
    return "".join(gate.phase.name[0] for gate in played(pictures))


def closings(gates: list[Gate]) -> list[int]:
    """Pictures on which the mouth turns from opening or open to closing."""
    steps = [after.twelfths - before.twelfths for before, after in pairwise([Gate(), *gates])]
    last, turns = 1, []
    for index, step in enumerate(steps):
        if step < 0 <= last:
            turns.append(index)
        last = step
    return turns


def test_opens_within_three_pictures_and_stays_open() -> None:
    assert twelfths("..####") == [0, 0, *OPENING, 12]
    assert phases("..####") == "IIOOSS"


def test_a_pause_closes_after_three_quiet_pictures_within_four() -> None:
    assert twelfths("###" + "." * 8) == [*OPENING, 12, 12, *CLOSING, 0, 0]
    assert phases("###" + "." * 8) == "OOSSSPPPPPP"


def test_two_quiet_pictures_change_nothing() -> None:
    assert twelfths("###..#..#") == [*OPENING, 12, 12, 12, 12, 12, 12]


def test_speech_after_a_pause_opens_again() -> None:
    assert twelfths("###.......###") == [*OPENING, 12, 12, *CLOSING, 0, *OPENING]


def test_speech_within_a_closing_turns_it_at_once() -> None:
    assert twelfths("###....##") == [*OPENING, 12, 12, 9, 6, 10, 12]


def test_an_opening_goes_to_its_end_and_holds_for_two_pictures() -> None:
    assert twelfths("#..." + "." * 6) == [*OPENING, 12, 12, *CLOSING, 0]


def test_the_end_of_an_answer_closes_within_four_pictures() -> None:
    assert twelfths("####______") == [*OPENING, 12, *CLOSING, 0, 0]
    assert phases("####______") == "OOSSTTTIII"


def test_an_interruption_closes_at_once_wherever_the_gate_is() -> None:
    assert twelfths("#_____") == [4, 1, 0, 0, 0, 0]
    assert twelfths("##_____") == [4, 8, 5, 2, 0, 0, 0]
    assert twelfths("###...._____")[5:] == [9, 6, 3, 0, 0, 0, 0]


def test_the_next_answer_within_a_tail_opens_when_it_is_loud() -> None:
    assert twelfths("###__.#") == [*OPENING, 9, 6, 3, 7]
    assert phases("###__.#") == "OOSTTPO"


def test_nothing_to_say_is_idle() -> None:
    assert played("____")[-1] == Gate() == Gate(Phase.IDLE, 0, 0)
    assert played("....")[-1] == Gate()


def test_the_ends_are_exact() -> None:
    assert Gate().g == 0.0
    assert played("###")[-1].g == 1.0


@given(HISTORIES)
def test_the_network_rests_whenever_nothing_of_it_is_seen(pictures: str) -> None:
    for gate in played(pictures):
        assert gate.needs_network == (gate.g > 0.0)
        assert 0.0 <= gate.g <= 1.0


@given(HISTORIES)
def test_the_mouth_never_jumps(pictures: str) -> None:
    for before, after in pairwise([Gate(), *played(pictures)]):
        assert -3 <= after.twelfths - before.twelfths <= 4


@given(st.text(alphabet="#.", max_size=80))
def test_within_an_answer_the_mouth_begins_to_close_at_most_every_fourth_picture(pictures: str) -> None:
    assert all(after - before >= 4 for before, after in pairwise(closings(played(pictures))))


@given(st.lists(st.integers(4, 12), max_size=8), st.lists(st.integers(1, 12), min_size=8, max_size=8))
def test_sound_of_real_length_closes_the_mouth_at_most_every_seventh_picture(
    loud_pictures: list[int], quiet_pictures: list[int]
) -> None:
    """The shortest sound that counts, 30 ms, is loud on at least four pictures."""
    pictures = "".join("#" * loud + "." * quiet for loud, quiet in zip(loud_pictures, quiet_pictures, strict=False))
    assert all(after - before >= 7 for before, after in pairwise(closings(played(pictures))))


@given(HISTORIES)
def test_silence_closes_any_mouth_within_four_pictures(pictures: str) -> None:
    before = played(pictures, Gate())[-1] if pictures else Gate()
    closing = twelfths("____", before)
    assert closing == sorted(closing, reverse=True)
    assert played("____", before)[-1] == Gate()


@given(HISTORIES)
def test_speech_opens_any_mouth_within_three_pictures(pictures: str) -> None:
    before = played(pictures)[-1] if pictures else Gate()
    assert played("###", before)[-1] == Gate(Phase.SPEAK, 12, 0)
