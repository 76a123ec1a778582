from peer_local.listening.text_guard import TextGuard

LINE = "Well, I think that we could meet on Thursday afternoon."


def guard(from_s: float = 10.0, until_s: float = 14.0, text: str = LINE) -> TextGuard:
    knows = TextGuard()
    knows.played(text, from_s, until_s)
    return knows


def test_the_double_s_own_words_are_known_when_they_come_back() -> None:
    assert guard().is_echo("I think that we could meet on Thursday", 10.5, 13.5)
    assert guard().is_echo("i think that we could meat on thirsday", 10.5, 13.5)
    assert guard().is_echo("we could meet", 12.0, 12.8)


def test_an_answer_is_no_echo_though_it_shares_words() -> None:
    assert not guard().is_echo("I think that Friday would be much better for me", 12.0, 14.5)
    assert not guard().is_echo("Thursday is not so good for me", 13.5, 15.0)
    assert not guard().is_echo("afternoon Thursday on meet could we that", 12.0, 14.5)


def test_the_same_words_later_are_an_answer() -> None:
    assert not guard().is_echo("we could meet on Thursday afternoon", 18.5, 20.0)
    assert not TextGuard().is_echo(LINE, 10.0, 14.0)


def test_a_yes_is_no_echo_of_a_yes_of_some_time_ago() -> None:
    knows = guard(10.0, 14.0, "Yes, that is what I would like to say about it.")
    assert knows.is_echo("Yes.", 10.1, 10.5)
    assert not knows.is_echo("Yes.", 13.0, 13.4)
    assert not knows.is_echo("Yes.", 15.0, 15.4)


def test_repeating_the_last_word_after_the_double_is_an_answer() -> None:
    knows = guard(10.0, 12.0, "Shall we meet at eight, right?")
    assert knows.is_echo("right", 11.9, 12.2)
    assert not knows.is_echo("Right.", 12.4, 12.8)


def test_what_was_never_heard_has_no_echo() -> None:
    knows = guard()
    knows.silenced(10.6)
    assert not knows.is_echo("on Thursday afternoon", 12.5, 13.5)
    assert knows.is_echo("well I think", 10.1, 10.8)


def test_nothing_is_kept_for_long() -> None:
    knows = TextGuard()
    for minute in range(60):
        knows.played(LINE, minute * 60.0, minute * 60.0 + 4)
    assert len(knows._played) == 10


def test_nothing_is_no_echo() -> None:
    assert not guard().is_echo("", 10.0, 11.0)
    assert not guard().is_echo("...", 10.0, 11.0)
