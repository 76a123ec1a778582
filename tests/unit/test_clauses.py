import pytest

from peer_remote.clauses import ClauseRules, ClauseSplitter


def split(text: str, *, piece_length: int = 3, rules: ClauseRules | None = None) -> list[str]:
    splitter = ClauseSplitter(rules)
    clauses: list[str] = []
    for start in range(0, len(text), piece_length):
        clauses += splitter.push(text[start : start + piece_length])
    return clauses + splitter.finish()


def test_the_first_clause_is_short_so_that_the_voice_can_start() -> None:
    clauses = split("Of course, I would love to tell you about it. It began in spring, when the snow was gone.")
    assert clauses[0] == "Of course,"
    assert " ".join(clauses[1:]) == "I would love to tell you about it. It began in spring, when the snow was gone."


def test_a_first_clause_without_punctuation_is_cut_before_a_joining_word() -> None:
    clauses = split("I think we should meet tomorrow in the office and then talk about everything else.")
    assert clauses[0] == "I think we should meet tomorrow"
    assert " ".join(clauses) == "I think we should meet tomorrow in the office and then talk about everything else."


@pytest.mark.parametrize(
    "text",
    [
        "Yes. Dr. Smith paid 3.5 dollars.",
        "Yes. Meet J. R. Tolkien at 10.30.",
        "Yes. See the file a.txt e.g. the last line.",
    ],
)
def test_abbreviations_and_numbers_do_not_end_a_sentence(text: str) -> None:
    assert split(text) == ["Yes.", text.removeprefix("Yes. ")]


def test_nothing_is_lost_or_doubled_whatever_the_pieces() -> None:
    text = "Well, hello there! How are you?\nI am fine; thank you, and I hope that you are too… Bye"
    for piece_length in (1, 2, 5, 100):
        assert " ".join(split(text, piece_length=piece_length)).split() == text.split()


def test_a_clause_is_given_out_with_the_token_that_completes_it() -> None:
    splitter = ClauseSplitter()
    assert splitter.push("Sure") == []
    assert splitter.push(",") == ["Sure,"]
    assert splitter.push(" it costs 1") == []
    assert splitter.push(",") == []
    assert splitter.push("000 dollars.") == []
    assert splitter.finish() == ["it costs 1,000 dollars."]


def test_the_second_clause_is_short_too_because_the_first_is_soon_over() -> None:
    clauses = split("Well, I think that we could have started with something much easier than this in the beginning.")
    assert clauses[0] == "Well,"
    assert len(clauses[1].split()) <= 7


def test_a_very_long_sentence_is_cut_somewhere() -> None:
    text = "Yes. " + "word " * 100
    clauses = split(text)
    assert len(clauses) >= 4 and all(len(clause.split()) <= 40 for clause in clauses)


def test_a_clause_is_not_cut_between_words_that_belong_together() -> None:
    assert split("A virtual camera is a digital camera that other programs can see.")[0] == (
        "A virtual camera is a digital camera"
    )


def test_white_space_alone_is_no_clause() -> None:
    assert split(" \n\n  ") == []
