"""What a language model streams is said as a person would say it, wherever the stream is cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer_remote.clauses import ClauseSplitter
from peer_remote.spoken import SpokenFilter, spoken

WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ", min_size=1, max_size=9) | st.text(
    "абвгґдеєжзиіїйклмнопрстуфхцчшщьюяАБВГҐЄІЇЯ", min_size=1, max_size=9
)
NAMED = WORDS | st.sampled_from(
    ["п'ять", "м’яч", "state-of-the-art", "don't", "3.5", "1,000", "50%", "№5", "20°", "a_b"]
)
ORDINARY = st.lists(
    st.tuples(NAMED, st.sampled_from([" ", ", ", ". ", "! ", "? ", "; ", ": ", "… ", " — ", "\n", '" ', " «", "» "])),
    max_size=12,
).map(lambda pairs: "".join(word + gap for word, gap in pairs))
MARKED = st.lists(
    st.sampled_from(
        "* ** _ ` ``` [ ] ( ) ]( ~ ~~ | # - + — > • 1. 2) 7 ! . , 😀 👍🏽 1️⃣ laughs smiles сміється так Dune really "
        "http://a.b/c ' é x A =".split()
    )
    | st.sampled_from(["\n", " ", "  ", "# ", "- ", "1. ", "\t"])
    | st.characters(exclude_categories=["Cs"]),
    max_size=24,
).map("".join)


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


def streamed(pieces: list[str]) -> str:
    words = SpokenFilter()
    return "".join([words.push(piece) for piece in pieces]) + words.finish()


@settings(max_examples=400, deadline=None)
@given(MARKED, st.lists(st.integers(0, 200), max_size=8))
def test_it_does_not_matter_where_pieces_are_cut(text: str, places: list[int]) -> None:
    whole = spoken(text)
    assert streamed(cut(text, places)) == whole
    assert streamed(list(text)) == whole


@settings(max_examples=400, deadline=None)
@given(MARKED)
def test_what_is_spoken_already_stays_as_it_is(text: str) -> None:
    once = spoken(text)
    assert spoken(once) == once


@settings(max_examples=300, deadline=None)
@given(ORDINARY, st.lists(st.integers(0, 200), max_size=8))
def test_no_ordinary_word_is_lost_or_changed(text: str, places: list[int]) -> None:
    assert re.findall(r"\w+", streamed(cut(text, places))) == re.findall(r"\w+", text)


@settings(max_examples=200, deadline=None)
@given(MARKED)
def test_no_mark_is_left_to_be_read_aloud(text: str) -> None:
    assert not re.search(r"[*`\[\]|\U0001f300-\U0001faff]|^\s*(?:[-•>]|#+)\s", spoken(text), re.MULTILINE)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Sure! **Two** things, *really*.", "Sure! Two things, really."),
        ("Here is how:\n- boil water\n- add tea", "Here is how:\nboil water\nadd tea"),
        ("Here is how:\n1. Boil water.\n2) Add tea.", "Here is how:\nBoil water.\nAdd tea."),
        ("* boil\n* add", "boil\nadd"),
        ("# Plan\n\n> Begin.", "Plan\nBegin."),
        ("*smiles* Oh, hi!", "Oh, hi!"),
        ("*Leans back slowly* Oh, hi!", "Oh, hi!"),
        ("I think *shrugs* maybe.", "I think maybe."),
        ("Ну, *усміхається* так.", "Ну, так."),
        ("[laughs] Well, (sighs) no.", "Well, no."),
        ("Так (зітхає).", "Так."),
        ("*Dune* is a book. I liked *Dune*", "Dune is a book. I liked Dune"),
        ("(excited) It works (mostly)!", "(excited) It works (mostly)!"),
        ("See [our **page**](https://a.example/b_c) and ![logo](x.png)", "See our page and"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("Call `run` from my_module, __now__.", "Call run from my_module, now."),
        ("П`ять яблук", "П'ять яблук"),
        ("Hi 😀, all good 👍🏽! 🇺🇦", "Hi, all good!"),
        ("It is 2 * 3, or 4*5, about ~7.", "It is 2 × 3, or 4×5, about ~7."),
        ("7. And yours?", "7. And yours?"),
        ("Temperature:\n-5 degrees", "Temperature:\n-5 degrees"),
        ("— Привіт!\n— Як ти?", "Привіт!\nЯк ти?"),
        ("| a | b |\n|---|---|\n| c | d |", "a b\nc d"),
        ("It is *never closed", "It is never closed"),
        ("It is [never closed", "It is never closed"),
        ("   \n ", ""),
    ],
)
def test_marks_go_and_words_stay(written: str, said: str) -> None:
    assert spoken(written) == said
    assert streamed(list(written)) == said


def test_a_first_clause_is_not_held_back() -> None:
    words, splitter = SpokenFilter(), ClauseSplitter()
    assert [splitter.push(words.push(piece)) for piece in ("Sure", ",", " I", " am")] == [[], ["Sure,"], [], []]
