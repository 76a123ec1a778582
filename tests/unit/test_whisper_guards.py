import pytest

from models.asr.guards import Hypothesis, believable, loops


def heard(text: str, no_speech: float = 0.01, log_probability: float = -0.2, cut_off: bool = False) -> Hypothesis:
    return Hypothesis(text, no_speech, log_probability, cut_off)


@pytest.mark.parametrize(
    "text",
    [
        "Hello.",
        "No, no, no!",
        "Thank you for watching my children yesterday.",
        "Дякую за перегляд цього документа, він дуже важливий.",
        "It's the same the whole world over, isn't it?",
        "Так-так-так, дуже смішно.",
    ],
)
def test_what_people_say_is_believed(text: str) -> None:
    assert believable(heard(text))


@pytest.mark.parametrize(
    "text",
    [
        "Thanks for watching!",
        "Thank you for watching.",
        "Дякую за перегляд!",
        "Субтитри",
        "Продолжение следует...",
        "...",
    ],
)
def test_subtitles_of_silence_are_not_believed(text: str) -> None:
    assert not believable(heard(text))


def test_a_doubtful_text_over_noise_is_not_believed() -> None:
    assert not believable(heard("Hello.", no_speech=0.8, log_probability=-1.5))
    assert believable(heard("Hello.", no_speech=0.8, log_probability=-0.3))
    assert believable(heard("Hello.", no_speech=0.1, log_probability=-1.5))


@pytest.mark.parametrize("text", ["and so on " * 5, "мій " * 4, "a b c d e f " * 4, "x" * 300])
def test_a_decoder_that_runs_in_circles_is_noticed(text: str) -> None:
    assert loops(heard(text))
    assert not believable(heard(text))


def test_a_decoder_that_was_stopped_counts_as_a_loop() -> None:
    assert loops(heard("This sentence never", cut_off=True))
    assert not loops(heard("This sentence ends."))
