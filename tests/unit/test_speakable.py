"""What is said for what was written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tts.quantities import cardinal, ordinal, year
from models.tts.speakable import speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It costs $1,234.56.", "It costs one thousand two hundred thirty-four dollars and fifty-six cents."),
        ("-$3, $1 and $0.99", "minus three dollars, one dollar and ninety-nine cents"),
        ("€5M, $2.5 billion, 20 €", "five million euros, two point five billion dollars, twenty euros"),
        ("about 5% of 3.14", "about five percent of three point one four"),
        ("the 1st, 22nd and 100th", "the first, twenty-second and one hundredth"),
        ("in 1984, 2005 and 2024", "in nineteen eighty-four, two thousand five and twenty twenty-four"),
        ("the 1990s and 80s", "the nineteen nineties and eighties"),
        ("3-5 days, 2019–2023", "three to five days, twenty nineteen to twenty twenty-three"),
        ("-5 or 1/2 or 3/4", "minus five or one half or three quarters"),
        ("2½ cups", "two and one half cups"),
        ("room 007", "room zero zero seven"),
        ("call 555-123-4567", "call five five five one two three four five six seven"),
        ("version 3.11.2", "version three point eleven point two"),
        ("a 5G phone and an MP3", "a five G phone and an MP three"),
    ],
)
def test_numbers_are_read_as_a_person_would(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("10:30", "ten thirty"),
        ("10:05 pm", "ten oh five P M"),
        ("9am or 14:00", "nine A M or fourteen hundred"),
        ("at 8:00", "at eight o'clock"),
        ("We meet at 10:30 a.m.", "We meet at ten thirty A M."),
        ("March 5, 2024", "March fifth, twenty twenty-four"),
        ("15 March", "March fifteenth"),
        ("2024-03-15", "March fifteenth, twenty twenty-four"),
        ("3/15/2024", "March fifteenth, twenty twenty-four"),
        ("15/3/2024", "March fifteenth, twenty twenty-four"),
        ("Jan. 2021", "January twenty twenty-one"),
        ("You may 3 times", "You may three times"),
    ],
)
def test_times_and_dates(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("10 km at 100 km/h", "ten kilometers at one hundred kilometers per hour"),
        ("1 kg, 24 GB, 80ms", "one kilogram, twenty-four gigabytes, eighty milliseconds"),
        ("23.5°C or 74 °F", "twenty-three point five degrees Celsius or seventy-four degrees Fahrenheit"),
        ("1920x1080 px", "nineteen twenty by one thousand eighty pixels"),
    ],
)
def test_units(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Dr. Smith met Mr. and Mrs. Lee.", "Doctor Smith met Mister and Missus Lee."),
        ("Main St. in St. Louis", "Main Street in Saint Louis"),
        ("fruit, e.g. apples, i.e. food", "fruit, for example, apples, that is, food"),
        ("red vs. blue, etc.", "red versus blue, et cetera."),
        ("the U.S. economy", "the US economy"),
        ("No. 5 and #1", "number five and number one"),
        ("J. Smith, Ph.D.", "J Smith, PhD"),
        ("salt & pepper = 2 + 2", "salt and pepper equals two plus two"),
        ("C++ and/or C#", "C plus plus and or C sharp"),
        ("mail jo.doe@mail.org", "mail jo dot doe at mail dot org"),
        ("see https://www.example.com/a/b?c=1.", "see example dot com."),
    ],
)
def test_abbreviations_symbols_and_addresses(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("The **GPU** and `code` and *emph* and __bold__", "The GPU and code and emph and bold"),
        ("# Title\n\n- first\n- second\n", "Title. first. second"),
        ("1. Open it\n2. Close it", "one, Open it. two, Close it"),
        ("see [the page](http://a.b/c) now", "see the page now"),
        ("Run this:\n```python\nprint(1)\n```\nDone.", "Run this: Done."),
        ("The model (Kokoro) speaks.", "The model, Kokoro, speaks."),
        ("snake_case and 2 * 3", "snake case and two times three"),
        ("Great 👍🏽 job :-)", "Great job"),
        ("a<br>b", "a b"),
    ],
)
def test_markup_is_not_read_aloud(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Really?!?! No!!! Wait....", "Really? No! Wait…"),
        ("yes - no – maybe", "yes — no — maybe"),
        ("“Hello,” she said", "Hello, she said"),
        ("It’s the dogs' toy", "It's the dogs' toy"),
        ("café, naïve, Straße", "cafe, naive, Strasse"),
        ("Олена Зеленський", "Olena Zelenskyi"),
    ],
)
def test_punctuation_that_carries_the_melody_stays_and_letters_become_plain(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize("written", ["", "   ", "...", "!?", "😀👍", "```\nx = 1\n```", "---", "()", "\n\n", "—", "**"])
def test_text_without_anything_to_say_is_empty(written: str) -> None:
    assert speakable(written) == ""


@given(st.text(alphabet=st.sampled_from("ab 1209.,:;!?$€%#*_`-–/+=()[]<>@&'\"\n°½٣²Я👍~^|x"), max_size=60))
def test_only_letters_and_melody_come_out_of_any_text(text: str) -> None:
    spoken = speakable(text)
    assert re.fullmatch(r"[A-Za-z' .,!?;:—…-]*", spoken)
    assert spoken == "" or re.search("[A-Za-z]", spoken)


def test_numbers_in_words() -> None:
    assert cardinal("1000000") == "one million"
    assert cardinal("12345678901234567").startswith("one two three")
    assert ordinal(31) == "thirty-first"
    assert year(1905) == "nineteen oh-five"
