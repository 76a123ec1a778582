"""What is typed after the program's name: commands, their mistakes, and their help."""

from typing import get_args

import pytest

from peer_local.__main__ import main
from peer_local.control_client import MODES, WHO
from peer_local.interfaces import Who
from peer_local.settings import Mode


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["takeover", "me"], "Write takeover self, double or nobody."),
        (["tekeover", "self"], "tekeover is not a command; did you mean takeover?"),
        (["docter"], "docter is not a command; did you mean doctor?"),
        ([""], "An empty word is not a command; commands are run, doctor, "),
        (["-x"], "-x is not a flag; flags begin with two hyphens"),
        (["doctor", "now"], "doctor takes no 'now'"),
    ],
)
def test_wrong_words_are_one_sentence_and_status_2(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence) and said.count("\n") == 1


def test_help_after_a_command_says_how_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["takeover", "--help"]) == 0
    assert capsys.readouterr().out == 'usage: make local ARGS="takeover self|double|nobody"\n'


def test_the_words_that_commands_take_are_those_of_the_program() -> None:
    assert set(WHO) == set(get_args(Who)) and set(MODES) == set(get_args(Mode))
