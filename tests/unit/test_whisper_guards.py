import numpy as np
import pytest

from models.asr.guards import Hypothesis, believable, loops, loud_enough, said_once
from models.interfaces import HEARING_RATE_HZ


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
        "Thank you.",
        "Субтитри в цьому фільмі погано перекладені, і мені це зовсім не подобається.",
        "(laughing) That is funny.",
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
        "Субтитри створив DimaTorzok",
        "Редактор субтитров А.Семкин Корректор А.Егорова",
        "[Music]",
        "♪ ♪ ♪",
        "(upbeat music)",
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


def test_a_courtesy_is_believed_only_when_whisper_is_sure() -> None:
    assert believable(heard("Thank you.", no_speech=0.1, log_probability=-0.3))
    assert not believable(heard("Thank you.", no_speech=0.5, log_probability=-0.3))
    assert not believable(heard("You", no_speech=0.1, log_probability=-0.9))


def test_what_is_too_quiet_is_not_transcribed() -> None:
    second = np.sin(np.arange(HEARING_RATE_HZ, dtype=np.float32))
    click = np.zeros(HEARING_RATE_HZ, np.float32)
    click[500] = 0.02
    assert not loud_enough(second[:0])
    assert not loud_enough(second * 0.0005)
    assert not loud_enough(click)
    assert loud_enough(np.concatenate((second * 0.0001, second[:1_600] * 0.005)))


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("Wait, stop. Wait, stop.", "Wait, stop."),
        ("Wait, stop! wait stop", "Wait, stop!"),
        ("No, no.", "No, no."),
        ("Bye bye", "Bye bye"),
        ("Wait, stop. Wait, please.", "Wait, stop. Wait, please."),
        ("I do, I do, I do.", "I do, I do, I do."),
        ("", ""),
    ],
)
def test_what_whisper_says_twice_was_said_once(heard: str, said: str) -> None:
    assert said_once(heard) == said
