"""The frames between a performer and the service of a face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from models.face.remote.wire import (
    LONGEST_SPEECH_SAMPLES,
    VERSION,
    AnswerFailed,
    Ask,
    Cancel,
    Done,
    End,
    Hello,
    Idle,
    IdleFailed,
    IdlePicture,
    MalformedMessage,
    Message,
    More,
    Refused,
    Sound,
    Speak,
    SpokenPicture,
    Welcome,
    dump,
    parse,
)
from models.interfaces import Phoneme, Speech

PLAIN: list[Message] = [
    Hello(VERSION, bytes(range(16))),
    Refused("The face is busy."),
    Welcome(1_280, 720),
    Idle(7, 2**40),
    Speak(1),
    End(1),
    Ask(1, 3, 7, 2**40),
    Cancel(1, -1),
    IdlePicture(7, 2**40, b"jpeg"),
    SpokenPicture(1, 3, 2**40, b""),
    More(1),
    Done(2**32 - 1),
    IdleFailed(7, "Обличчя не малюється."),
    AnswerFailed(1, "The face is closed."),
]


def spoken(samples: int = 5) -> Speech:
    sound = np.linspace(-1, 1, samples, dtype=np.float32)
    return Speech(sound, (Phoneme("ˈɑ", 0, 2), Phoneme(" ", 2, 2), Phoneme("ʃ", 3, samples)))


@pytest.mark.parametrize("message", PLAIN, ids=lambda message: type(message).__name__)
def test_what_is_said_is_understood(message: Message) -> None:
    assert parse(dump(message)) == message


def test_every_sample_and_phoneme_arrives_as_it_was() -> None:
    speech = spoken()
    heard = parse(dump(Sound(9, speech)))
    assert isinstance(heard, Sound)
    assert heard.answer == 9
    assert heard.speech.phonemes == speech.phonemes
    assert heard.speech.samples.dtype == np.float32
    assert heard.speech.samples.tolist() == speech.samples.tolist()


@pytest.mark.parametrize("message", [*PLAIN, Sound(1, spoken())], ids=lambda message: type(message).__name__)
def test_a_frame_that_is_cut_is_no_message_or_a_shorter_body(message: Message) -> None:
    frame = dump(message)
    for length in range(len(frame)):
        try:
            assert type(parse(frame[:length])) is type(message)
        except MalformedMessage as error:
            assert str(error)


@given(some.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(frame: bytes) -> None:
    try:
        parse(frame)
    except MalformedMessage:
        return


def test_sound_that_would_hurt_the_face_is_refused() -> None:
    silence = np.zeros(4, np.float32)
    for samples in (np.array([np.nan], np.float32), np.array([np.inf], np.float32)):
        with pytest.raises(MalformedMessage, match="no sound"):
            parse(dump(Sound(1, Speech(samples))))
    for phoneme in (Phoneme("a", 3, 2), Phoneme("a", 0, LONGEST_SPEECH_SAMPLES + 1)):
        with pytest.raises(MalformedMessage, match="phoneme"):
            parse(dump(Sound(1, Speech(silence, (phoneme,)))))
    for phoneme in (Phoneme("a", -1, 2), Phoneme("a" * 256, 0, 2)):
        with pytest.raises(ValueError):
            dump(Sound(1, Speech(silence, (phoneme,))))


def test_a_piece_of_more_than_a_minute_is_not_sent() -> None:
    dump(Sound(1, Speech(np.zeros(LONGEST_SPEECH_SAMPLES, np.float32))))
    with pytest.raises(ValueError, match="too long"):
        dump(Sound(1, Speech(np.zeros(LONGEST_SPEECH_SAMPLES + 1, np.float32))))


def test_a_long_sentence_is_cut_and_stays_readable() -> None:
    heard = parse(dump(Refused("ї" * 2_000)))
    assert isinstance(heard, Refused)
    assert set(heard.sentence) == {"ї"}
    assert len(heard.sentence.encode()) <= 1_024
