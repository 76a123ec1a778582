from models.interfaces import Message
from peer_remote.history import History


def test_roles_alternate_and_the_persona_comes_first() -> None:
    history = History([Message("system", "You are Alex.")])
    history.ask(1, "Hi")
    history.heard(1, "Hello!")
    history.ask(2, "How are you?")
    assert history.messages() == [
        Message("system", "You are Alex."),
        Message("user", "Hi"),
        Message("assistant", "Hello!"),
        Message("user", "How are you?"),
    ]


def test_an_answer_nobody_heard_leaves_no_trace() -> None:
    history = History([Message("system", "p")])
    history.ask(1, "I was thinking")
    history.heard(1, "")
    history.ask(2, "about lunch")
    assert history.messages()[1:] == [Message("user", "I was thinking\nabout lunch")]


def test_an_answer_that_was_broken_off_says_so_and_a_mere_opening_is_forgotten() -> None:
    history = History([Message("system", "p")])
    history.ask(1, "Tell me a story")
    history.heard(1, "Sure, once there was,", whole=False)
    assert history.messages()[-1] == Message("assistant", "Sure, once there was…")
    history.ask(2, "And another")
    history.heard(2, "Well, I", whole=False)
    assert history.messages()[-1] == Message("user", "And another")


def test_only_what_was_heard_is_kept() -> None:
    history = History([Message("system", "p")])
    history.ask(1, "Tell me a story")
    history.heard(1, "Once upon a time there was")
    history.heard(1, "Once upon")
    assert history.messages()[-1] == Message("assistant", "Once upon")


def test_what_the_user_is_about_to_say_can_be_looked_at_without_being_kept() -> None:
    history = History([Message("system", "p")])
    assert history.messages("so")[-1] == Message("user", "so")
    assert history.messages() == [Message("system", "p")]


def test_a_long_conversation_keeps_its_newest_exchanges() -> None:
    history = History([Message("system", "p")], longest=4)
    for turn in range(5):
        history.ask(turn, f"q{turn}")
        history.heard(turn, f"a{turn}")
    assert [message.content for message in history.messages()] == ["p", "q3", "a3", "q4", "a4"]


def test_a_long_conversation_seldom_forgets_so_that_the_model_keeps_its_cache() -> None:
    history = History([Message("system", "p")], longest=24)
    beginnings = []
    for turn in range(100):
        history.ask(turn, f"q{turn}")
        history.heard(turn, f"a{turn}")
        beginnings.append(history.messages()[1].content)
    assert len(set(beginnings)) <= 8


def test_many_unanswered_lines_stay_answerable() -> None:
    history = History([Message("system", "p")])
    for turn in range(20):
        history.ask(turn, f"{turn}" * 1_000)
    last = history.messages()[-1].content
    assert len(last) <= 3_000 and last.endswith("19" * 500)


def test_what_was_overheard_is_bounded_and_the_newest_stays() -> None:
    history = History([Message("system", "p")])
    for count in range(50):
        history.overhear(f"line {count} " + "and so on " * 10)
    history.ask(1, "Alex?")
    content = history.messages()[-1].content
    assert len(content) < 700 and content.endswith(")\nAlex?") and "line 49" in content and "line 40" not in content


def test_words_that_nobody_asked_for_follow_a_line_that_was_not_answered() -> None:
    history = History([Message("system", "p")])
    history.ask(1, "Are you there?")
    history.heard(1, "")
    history.ask(2, None)
    history.heard(2, "Yes, I am here.")
    history.ask(3, None)
    history.heard(3, "Let us begin now.")
    assert [message.content for message in history.messages()[1:]] == [
        "Are you there?",
        "Yes, I am here.",
        "(go on)",
        "Let us begin now.",
    ]


def test_a_restored_conversation_is_like_one_that_was_held_here() -> None:
    history = History([Message("system", "p")], longest=4)
    history.restore([("q0", "a0"), ("q1", "a1")])
    history.ask(1, "q2")
    history.heard(1, "a2")
    assert [message.content for message in history.messages()] == ["p", "q0", "a0", "q1", "a1", "q2", "a2"]
    history.restore([(f"q{count}", f"a{count}") for count in range(9)])
    assert len(history.messages()) == 1 + 2 * 4
