"""From Ukrainian spelling to sound, with stresses of our own."""

from pathlib import Path

import marisa_trie
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import WeightsCorrupt
from models.face.viseme_table import LENGTHENERS, STRESS_MARKS, visemes_of
from models.tts.language import language_of
from models.tts.stress_ukrainian import Stress
from models.tts.ukrainian import Ukrainian

SINGULAR, PLURAL, NOMINATIVE, GENITIVE, NOUN = b"\x11", b"\x12", b"\x20", b"\x21", b"\x6a"
WORDS = {
    "привіт": b"\x05",
    "Одеса": b"\x03",
    "завжди": b"\x02\x06",
    "руки": b"\x02\xfe" + PLURAL + NOMINATIVE + NOUN + b"\xff\x04\xfe" + SINGULAR + GENITIVE + NOUN + b"\xff",
    "дзвінок": b"\x06",
}


@pytest.fixture
def stress(tmp_path: Path) -> Stress:
    marisa_trie.BytesTrie(list(WORDS.items())).save(str(tmp_path / "stress.trie"))
    return Stress(tmp_path / "stress.trie")


@pytest.fixture
def ukrainian(stress: Stress) -> Ukrainian:
    return Ukrainian(stress, lambda word: f"<{word}>")


class Nowhere:
    def vowel(self, word: str, before: str) -> None:
        return None


def sounds(word: str) -> str:
    return Ukrainian(Nowhere(), str).phonemes(word)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("яма юрба їжа є моє", "jama juɾba jiʒa jˈɛ mɔjɛ"),
        ("п'яний з'їзд об'єкт", "pjanɪj zjˈizd ɔbjɛkt"),
        ("ляля люди синє", "ljalja ljudɪ sɪɲɛ"),
        ("день сіль тінь", "dˈɛɲ sˈilʲ tˈiɲ"),
        ("щедрий борщ", "ʃʧɛdɾɪj bˈɔɾʃʧ"),
        ("ґава гора", "ɡava hɔɾa"),
        ("дзвін джем", "ʣvˈin ʤˈɛm"),
        ("правда був вовк", "pɾawda bˈuw vˈɔwk"),
        ("львів", "lʲvˈiw"),
        ("вулиця вітер", "vulɪʦja vitɛɾ"),
    ],
)
def test_letters_sound_as_they_are_written(written: str, spoken: str) -> None:
    assert sounds(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("просьба боротьба вокзал", "pɾɔzʲba bɔɾɔdʲba vɔɡzal"),
        ("дуб ніж", "dˈub nˈiʒ"),
        ("легко", "lɛxkɔ"),
        ("сміється граються", "smijɛʦʲʦja hɾajuʦʲʦja"),
        ("дивишся", "dɪvɪsʲsja"),
        ("людський братський", "ljuʦʲkɪj bɾaʦʲkɪj"),
        ("пісня щастя", "pisʲɲa ʃʧasʲtja"),
        ("зшити зчистити", "ʃʃɪtɪ ʃʧɪstɪtɪ"),
        ("шістнадцять", "ʃisnaʦʲʦjatʲ"),
    ],
)
def test_neighbours_change_each_other(written: str, spoken: str) -> None:
    assert sounds(written) == spoken


def test_a_word_is_stressed_where_the_dictionary_says(ukrainian: Ukrainian) -> None:
    assert ukrainian.phonemes("Привіт, Одеса!") == "pɾɪvˈit, ɔdˈɛsa!"
    assert ukrainian.phonemes("завжди") == "zˈawʒdɪ"


def test_a_word_of_one_vowel_needs_no_dictionary_and_little_words_lean_on_others(ukrainian: Ukrainian) -> None:
    assert ukrainian.phonemes("хліб і сіль на стіл") == "xlˈib i sˈilʲ na stˈil"


def test_a_written_stress_wins(ukrainian: Ukrainian) -> None:
    assert ukrainian.phonemes("приві́т і при́віт") == "pɾɪvˈit i pɾˈɪvit"


def test_a_case_that_the_word_before_asks_for_decides_between_two_stresses(stress: Stress) -> None:
    assert stress.vowel("руки", "дай") == 1
    assert stress.vowel("руки", "без") == 3
    assert stress.vowel("руки", "дві") == 3


def test_a_word_that_no_dictionary_has_is_stressed_by_its_ending_or_its_prefix(stress: Stress) -> None:
    assert stress.vowel("відеодзвінок", "") == "відеодзвіно́к".index("\u0301") - 1
    assert stress.vowel("автодзвінок", "") == "автодзвіно́к".index("\u0301") - 1
    assert stress.vowel("підгайцівський", "") == "підгайці́вський".index("\u0301") - 1
    assert stress.vowel("абракадабра", "") == "абракада́бра".index("\u0301") - 1
    assert stress.vowel("взвм", "") is None


def test_latin_words_are_left_to_english_and_punctuation_keeps_its_place(ukrainian: Ukrainian) -> None:
    assert ukrainian.phonemes("Це Wi-Fi — так?") == "ʦɛ <Wi-Fi> — tˈak?"
    assert ukrainian.phonemes(", так. — дні…") == "tˈak. — dnˈi…"


def test_damaged_weights_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "stress.trie").write_bytes(b"no trie")
    with pytest.raises(WeightsCorrupt, match=r"stress\.trie"):
        Stress(tmp_path / "stress.trie")
    with pytest.raises(WeightsCorrupt):
        Stress(tmp_path / "missing.trie")


@given(st.text(alphabet=st.sampled_from("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя'-\u0301 .,—Az"), max_size=40))
def test_every_text_becomes_sounds_that_the_mouth_knows(text: str) -> None:
    for symbol in Ukrainian(Nowhere(), lambda word: "").phonemes(text):
        assert symbol in STRESS_MARKS + LENGTHENERS + " .,—" or visemes_of(symbol)


def test_a_clause_is_in_the_language_of_most_of_its_letters() -> None:
    assert language_of("Hello, Олено, how are you?", otherwise="uk") == "en"
    assert language_of("Привіт, John!", otherwise="en") == "uk"
    assert language_of("12:30!", otherwise="uk") == "uk"
    assert language_of("Café", otherwise="uk") == "en"
