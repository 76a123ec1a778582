"""What is done to a clause between the model and the listener."""

import numpy as np
import pytest

from models.interfaces import SPEECH_RATE_HZ, Phoneme, Samples, Speech
from models.tts.clause import MODEL_RATE_HZ, SPEECH_LEVEL_DB, finish

FRAME = 600


def clause(symbols: str, frames: list[int], *, loud: float = 0.1) -> Speech:
    """A clause whose voice is a hum under the letters and silent elsewhere, 50 ms ahead of the durations."""
    parts: list[Samples] = []
    for symbol, count in zip(symbols, frames, strict=True):
        amplitude = loud if symbol.isalpha() or symbol in "ˈˌ" else 0.0
        parts.append(np.full(count * FRAME, amplitude, np.float32))
    envelope = np.roll(np.concatenate(parts), -2 * FRAME)
    hum = np.sin(2 * np.pi * 200 * np.arange(len(envelope)) / MODEL_RATE_HZ)
    return finish((envelope * hum).astype(np.float32), symbols, frames)


def db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def sound_of(speech: Speech, phoneme: Phoneme) -> Samples:
    return speech.samples[phoneme.start_samples : phoneme.end_samples]


def assert_covers(speech: Speech) -> None:
    assert speech.phonemes[0].start_samples == 0
    assert speech.phonemes[-1].end_samples == len(speech.samples)
    for before, after in zip(speech.phonemes, speech.phonemes[1:], strict=False):
        assert before.start_samples < before.end_samples == after.start_samples


def test_sound_begins_30_ms_after_the_beginning() -> None:
    speech = clause(" ab. ", [14, 4, 6, 1, 1])
    assert speech.phonemes[0] == Phoneme(" ", 0, 30 * SPEECH_RATE_HZ // 1_000)
    assert db(speech.samples[: 25 * SPEECH_RATE_HZ // 1_000]) < -60
    assert db(speech.samples[35 * SPEECH_RATE_HZ // 1_000 :][:2_400]) > -25
    assert_covers(speech)


@pytest.mark.parametrize(("mark", "pause_ms"), [(".", 260), ("?", 260), (",", 130), ("a", 40)])
def test_the_pause_after_a_clause_is_what_its_punctuation_asks_for(mark: str, pause_ms: int) -> None:
    speech = clause(f" ab{mark} ", [14, 4, 6, 4, 3])
    silent = len(speech.samples) - 1 - np.flatnonzero(np.abs(speech.samples) > 1e-3)[-1]
    assert silent * 1_000 / SPEECH_RATE_HZ == pytest.approx(pause_ms + 15, abs=25)
    assert speech.phonemes[-1].symbol == (mark if mark != "a" else " ")


def test_every_clause_is_equally_loud_and_never_clipped() -> None:
    for loud in (0.05, 0.1, 0.25):
        speech = clause(" ab. ", [14, 8, 8, 1, 1], loud=loud)
        assert db(sound_of(speech, speech.phonemes[1])) == pytest.approx(SPEECH_LEVEL_DB, abs=0.7)
        assert np.abs(speech.samples).max() <= 0.9


def test_clauses_join_without_a_click() -> None:
    samples = np.concatenate([clause(" ab", [14, 4, 6]).samples, clause("ab ", [4, 6, 1]).samples])
    assert np.abs(np.diff(samples)).max() < 2 * 0.15 * 2 * np.pi * 200 / SPEECH_RATE_HZ
    assert abs(float(samples[0])) < 1e-3
    assert abs(float(samples[-1])) < 1e-3


def test_stress_marks_and_word_spaces_belong_to_the_sounds_around_them() -> None:
    speech = clause(" ˈab cˌa. ", [14, 2, 3, 4, 1, 3, 2, 6, 1, 1])
    assert [phoneme.symbol for phoneme in speech.phonemes] == [" ", "ˈa", "b", "c", "ˌa", "."]
    assert_covers(speech)


def test_a_pause_inside_is_where_the_sound_pauses() -> None:
    speech = clause(" ab, ca. ", [14, 4, 4, 8, 2, 4, 6, 1, 1])
    symbols = [phoneme.symbol for phoneme in speech.phonemes]
    assert symbols == [" ", "a", "b", ",", "c", "a", "."]
    pause = speech.phonemes[3]
    assert (pause.end_samples - pause.start_samples) / SPEECH_RATE_HZ == pytest.approx(0.25, abs=0.02)
    assert db(sound_of(speech, pause)) < -55
    assert all(db(sound_of(speech, phoneme)) > -30 for phoneme in speech.phonemes[1:3] + speech.phonemes[4:6])
    assert_covers(speech)


def test_punctuation_that_the_voice_runs_through_is_no_silence() -> None:
    speech = clause(" ab,ca. ", [14, 4, 4, 1, 4, 6, 1, 1])
    assert [phoneme.symbol for phoneme in speech.phonemes] == [" ", "a", "b", "c", "a", "."]


def test_a_clause_without_sound_is_empty() -> None:
    speech = finish(np.zeros(20 * FRAME, np.float32), " . ", [14, 5, 1])
    assert len(speech.samples) == 0
    assert speech.phonemes == ()
