"""How far ahead pictures are asked for and drawn, at both ends."""

from models.face.remote.windows import AHEAD, Asked, Window
from models.face.remote.wire import Ask
from models.interfaces import BEAT_SAMPLES


def test_a_few_pictures_are_on_their_way_while_one_is_waited_for_and_no_more() -> None:
    window, asked = Window(1), Asked()
    shown = 100
    drawn_for = []
    for _ in range(20):
        ask = window.ask(shown + window.given)
        assert ask is not None and asked.update(ask)
        while asked.wanted:
            drawn_for.append(asked.position())
            asked.made += 1
        assert asked.made - window.given == AHEAD + 1
        window.given += 1
    assert drawn_for == list(range(100, 100 + 20 + AHEAD))


def test_a_picture_that_waits_for_its_sound_is_drawn_for_the_beat_at_which_it_will_be_shown() -> None:
    window, asked = Window(1), Asked()
    for position in (10, 11, 12):
        ask = window.ask(position)
        assert ask is not None and asked.update(ask)
    assert asked.position() == 12


def test_nothing_is_said_twice() -> None:
    window = Window(1)
    assert window.ask(10) is not None
    assert window.ask(10) is None
    assert window.ask(11) is not None


def test_a_picture_is_due_when_its_beat_was_sent_or_nothing_more_comes() -> None:
    assert not Window(1, sent_samples=BEAT_SAMPLES - 1).due
    assert Window(1, sent_samples=BEAT_SAMPLES).due
    assert not Window(1, given=1, sent_samples=BEAT_SAMPLES).due
    assert Window(1, given=1, sent_samples=BEAT_SAMPLES, ended=True).due


def test_only_pictures_that_were_asked_for_are_expected_in_their_order() -> None:
    window = Window(1)
    assert not window.expects(0)
    window.ask(10)
    assert window.expects(0) and not window.expects(1)
    window.came = AHEAD
    assert window.expects(AHEAD)
    window.came += 1
    assert not window.expects(AHEAD + 1)


def test_the_service_draws_no_further_than_it_may_be_asked() -> None:
    asked = Asked(made=2)
    assert not asked.update(Ask(1, 0, AHEAD + 2, 10))
    assert not asked.update(Ask(1, 3, 4, 10))
    assert asked.update(Ask(1, 2, 4, 10))
    assert not asked.update(Ask(1, 1, 4, 10))


def test_what_follows_an_interruption_is_shown_where_the_performer_says() -> None:
    asked = Asked(made=5)
    asked.update(Ask(1, 2, 6, 100))
    assert asked.position() == 103
    asked.over(102)
    assert asked.position() == 102
