"""From spelling to sound, on a small dictionary of our own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import WeightsCorrupt
from models.tts.english import English
from models.tts.heteronyms import pronunciation
from models.tts.lexicon import Lexicon
from models.tts.pieces import sentences, shorter

LETTERS = dict(zip("ABCGPSTU", "ˈA bˈi sˈi ʤˈi pˈi ˈɛs tˈi jˈu".split(), strict=True))
GOLD = {
    **LETTERS,
    "I": "ˈI",
    "the": "ði",
    "to": "tu",
    "apple": "ˈæpᵊl",
    "pear": "pˈɛɹ",
    "boss": "bˈɔs",
    "cat": "kˈæt",
    "plan": "plˈæn",
    "bake": "bˈAk",
    "rock": "ɹˈɑk",
    "lip": "lˈɪp",
    "sync": "sˈɪŋk",
    "us": "ˌʌs",
    "book": "bˈʊk",
    "it": "ɪt",
    "T-shirt": "tˈiʃˌɜɹt",
    "shirt": "ʃˈɜɹt",
    "get": {"DEFAULT": "ɡɛt", "None": "ɡˈɛt"},
    "read": {"DEFAULT": "ɹˈid", "VBD": "ɹˈɛd", "VBN": "ɹˈɛd", "ADJ": "ɹˈɛd"},
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Dictionaries of a few words and a network that always ends at once."""
    (tmp_path / "us_gold.json").write_text(json.dumps(GOLD), encoding="utf-8")
    (tmp_path / "us_silver.json").write_text(json.dumps({"Zed": "zˈɛd"}), encoding="utf-8")
    size = 8
    ends_at_once = np.zeros(74, np.float32)
    ends_at_once[3] = 1
    shapes: dict[str, tuple[int, ...]] = {"enc_emb": (29, size), "dec_emb": (74, size), "fc_w": (74, size)}
    for side in ("enc", "dec"):
        shapes |= {f"{side}_w_ih": (3 * size, size), f"{side}_w_hh": (3 * size, size)}
        shapes |= {f"{side}_b_ih": (3 * size,), f"{side}_b_hh": (3 * size,)}
    network: dict[str, Any] = {name: np.zeros(shape) for name, shape in shapes.items()}
    np.savez(tmp_path / "checkpoint20.npz", **network, fc_b=ends_at_once)
    return tmp_path


@pytest.fixture
def english(directory: Path) -> English:
    return English(Lexicon(directory))


def test_the_and_to_and_a_fit_the_word_after_them(english: English) -> None:
    assert english.phonemes("the apple, the pear") == "ði ˈæpᵊl, ðə pˈɛɹ"
    assert english.phonemes("to apple to pear to.") == "tʊ ˈæpᵊl tə pˈɛɹ tu."
    assert english.phonemes("A cat, a cat; plan A.") == "ɐ kˈæt, ɐ kˈæt; plˈæn ˈA."


def test_endings_sound_like_the_word_before_them(english: English) -> None:
    assert english.phonemes("cats pears bosses") == "kˈæts pˈɛɹz bˈɔsᵻz"
    assert english.phonemes("cat's boss's cats'") == "kˈæts bˈɔsᵻz kˈæts"
    assert english.phonemes("baked baking planned planning rocked") == "bˈAkt bˈAkɪŋ plˈænd plˈænɪŋ ɹˈɑkt"
    assert english.phonemes("cat'll") == "kˈætᵊl"


def test_initials_are_spelt_out(english: English) -> None:
    assert english.phonemes("GPU GPUs") == "ʤˌipˌijˈu ʤˌipˌijˈuz"
    assert english.phonemes("the US, us") == "ðə jˌuˈɛs, ˌʌs"
    assert english.phonemes("CAT") == "kˈæt"


def test_words_made_of_words(english: English) -> None:
    assert english.phonemes("lipsync") == "lˈɪpsˌɪŋk"
    assert english.phonemes("LipSync") == "lˈɪpsˌɪŋk"
    assert english.phonemes("lip-sync") == "lˈɪp sˈɪŋk"
    assert english.phonemes("T-shirt") == "tˈiʃˌɜɹt"


def test_read_is_red_when_it_was_done(english: English) -> None:
    assert english.phonemes("I read it") == "ˌI ɹˈid ɪt"
    assert "ɹˈid" in english.phonemes("to read the book")
    choices = {"DEFAULT": "now", "VBD": "then", "VBN": "done", "ADJ": "done"}
    for text, expected in [
        ("i will read it", "now"),
        ("i read it yesterday", "then"),
        ("he read it", "then"),
        ("have you read it", "done"),
        ("it was read", "done"),
    ]:
        words = text.split()
        assert pronunciation(choices, words, words.index("read"), at_pause=False) == expected, text


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("we live in kyiv", "live", "verb"),
        ("live music is here", "live", "default"),
        ("the use of it", "use", "noun"),
        ("to use it", "use", "verb"),
        ("close the door", "close", "verb"),
        ("it is close", "close", "default"),
        ("he lives in rome", "lives", "verb"),
        ("their lives matter", "lives", "noun"),
        ("i object to it", "object", "verb"),
        ("an object", "object", "noun"),
    ],
)
def test_a_noun_and_a_verb_that_are_spelt_alike(text: str, word: str, expected: str) -> None:
    words = text.split()
    choices = {"DEFAULT": "default", "NOUN": "noun", "VERB": "verb"}
    assert pronunciation(choices, words, words.index(word), at_pause=False) == expected


def test_the_strong_form_stands_before_a_pause(english: English) -> None:
    assert english.phonemes("get it. get?") == "ɡɛt ɪt. ɡˈɛt?"


def test_a_word_of_nothing_but_consonants_is_spelt_out(english: English) -> None:
    assert english.phonemes("tsp") == "tˈiˌɛspˌi"


def test_damaged_weights_say_what_to_do(directory: Path) -> None:
    (directory / "us_gold.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsCorrupt, match=r"us_gold\.json"):
        Lexicon(directory)


def test_sentences_are_spoken_one_by_one() -> None:
    assert sentences("Hello! How are you? I am fine… Well.") == ["Hello!", "How are you?", "I am fine…", "Well."]
    assert sentences("") == []


def test_a_long_sentence_is_cut_where_it_is_least_heard() -> None:
    assert shorter("aaa bbb, ccc ddd", most=12) == ["aaa bbb,", "ccc ddd"]
    assert shorter("aaa bbb ccc ddd", most=8) == ["aaa bbb", "ccc ddd"]
    assert shorter("a" * 25, most=10) == ["a" * 10, "a" * 10, "a" * 5]
    long = "lorem ipsum, dolor sit; " * 40
    pieces = shorter(long, most=100)
    assert max(map(len, pieces)) <= 100
    assert " ".join(pieces) == long.strip()
