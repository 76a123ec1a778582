import pytest

from peer_local.listening.words import alike, distance, is_backchannel, names_somebody, plain


def test_words_are_what_is_heard_of_them() -> None:
    assert plain("“Don’t” — he said, 3 times!") == ["don't", "he", "said", "3", "times"]
    assert plain("З’їж м'яса…") == ["з'їж", "м'яса"]
    assert plain(" ... ") == []


@pytest.mark.parametrize(
    "text", ["Mhm.", "Mm-hmm.", "Uh-huh, uh-huh.", "Yeah, yeah.", "OK.", "I see.", "Oh, wow!", "Угу.", "Ага, так, ну."]
)
def test_who_only_listens_is_known(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text", ["", "No.", "Wait.", "Yeah, but", "Okay, stop.", "yeah yeah yeah yeah yeah", "Ні.", "Так, але", "Стоп."]
)
def test_everything_else_is_meant(text: str) -> None:
    assert not is_backchannel(text)


def test_distance_counts_letters() -> None:
    assert distance("", "abc") == 3
    assert distance("kitten", "sitting") == 3
    assert alike("thursday", "thirsday")
    assert not alike("cat", "cut")
    assert not alike("house", "mouth")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Alex, what do you think?", "Alex"),
        ("What does alex's team think?", "Alex"),
        ("So, Aleks, are you there?", "Aleks"),
        ("Hey Alec!", "Alex"),
        ("Oleksander, please.", "Oleksandr"),
        ("Оксано, що скажеш?", "Оксана"),
        ("Спитаймо Оксану.", "Оксана"),
        ("Олеже, ти тут?", "Олег"),
        ("Скажи, Андрію", "Андрій"),
        ("Ігоре, прошу", "Ігор"),
        ("Маріє!", "Марія"),
        ("Дмитре, як справи?", "Дмитро"),
        ("This is for the digital twin.", "digital twin"),
    ],
)
def test_a_name_is_heard_inflected_and_misspelt(text: str, name: str) -> None:
    assert names_somebody(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("I parked the car in the dark.", "Mark"),
        ("Let us relax.", "Alex"),
        ("Ten of them.", "Ben"),
        ("Андрухович написав книгу.", "Андрій"),
        ("The digital camera and its twin.", "digital twin"),
        ("anything", ""),
    ],
)
def test_other_words_are_no_name(text: str, name: str) -> None:
    assert not names_somebody(text, name)
