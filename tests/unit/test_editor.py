import pytest

from peer_local.screen.editor import LONGEST_CHARACTERS, LineEditor


def typed(keys: str, editor: LineEditor | None = None) -> LineEditor:
    editor = editor or LineEditor(["/mode", "/me", "/kill"])
    list(editor.feed(keys))
    return editor


def test_a_line_is_given_out_at_enter() -> None:
    editor = LineEditor()
    assert list(editor.feed("Добрий день")) == []
    assert (editor.text, editor.cursor) == ("Добрий день", 11)
    assert list(editor.feed("!\r next\n")) == [("line", "Добрий день!"), ("line", "next")]
    assert editor.text == ""


@pytest.mark.parametrize(
    ("keys", "text", "cursor"),
    [
        ("abc\x7f", "ab", 2),
        ("abc\x1b[D\x1b[DX", "aXbc", 2),
        ("abc\x1b[D\x1b[D\x1b[3~", "ac", 1),
        ("abc\x01X\x05Y", "XabcY", 5),
        ("abc\x1b[H\x1b[C\x0b", "a", 1),
        ("one two  \x17", "one ", 4),
        ("one\x17", "", 0),
        ("one two\x1b[1;5DX", "one Xtwo", 5),
        ("one two\x01\x1b[1;5CX", "oneX two", 4),
        ("one two\x1b[D\x1b[D\x15", "wo", 0),
        ("\x1b[D\x7f\x1b[3~\x1b[C\x1b[1;5C\x1b[1;5D\x17", "", 0),
        ("a\x1b[5~\x1b[200~\x00b", "ab", 2),
        ("a\x1b", "", 0),
    ],
)
def test_keys_edit_the_line(keys: str, text: str, cursor: int) -> None:
    editor = typed(keys)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_arrows_bring_earlier_lines_back_and_the_unfinished_one_too() -> None:
    editor = typed("one\rtwo\rtwo\runfinished")
    for key, text in (("A", "two"), ("A", "one"), ("A", "one"), ("B", "two"), ("B", "unfinished"), ("B", "unfinished")):
        list(editor.feed(f"\x1b[{key}"))
        assert editor.text == text


def test_tab_completes_a_command_that_is_the_only_one() -> None:
    assert typed("/k\t").text == "/kill "
    assert typed("/m\t").text == "/m"
    assert typed("hello\t").text == "hello"


def test_keys_that_mean_something_to_the_program_are_passed_on() -> None:
    editor = LineEditor()
    assert list(editor.feed("\x1b")) == [("escape", "")]
    assert list(editor.feed("\t")) == [("tab", "")]
    assert list(editor.feed("\x04")) == [("quit", "")]
    assert list(editor.feed("a\x04\x1b")) == [("cleared", "")]
    assert list(editor.feed("a\x03")) == [("quit", "")]


def test_a_line_does_not_grow_without_end() -> None:
    assert len(typed("x" * (LONGEST_CHARACTERS + 100)).text) == LONGEST_CHARACTERS
