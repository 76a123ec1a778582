"""What lips do for sounds."""

# IPA letters are meant, not their Latin look-alikes.

from itertools import pairwise

import numpy as np
import pytest

from models.face.mouth_shape import REST, MouthShape
from models.face.viseme_table import visemes_of
from models.face.visemes import MouthTrack, mouth_track
from models.interfaces import BEAT_MS, SPEECH_RATE_HZ, Phoneme, Speech

SOUND_MS = 80
KOKORO_SOUNDS = "AIOQWYSTabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔᵊᵻʣʥʦʨꭧ"


def said(symbols: str, *, sound_ms: int = SOUND_MS, lead_ms: int = 200) -> Speech:
    """Speech that says one sound after another, with silence on both sides."""
    phonemes = []
    at = lead_ms * SPEECH_RATE_HZ // 1_000
    length = sound_ms * SPEECH_RATE_HZ // 1_000
    for symbol in symbols:
        phonemes.append(Phoneme(symbol, at, at + length))
        at += length
    samples = np.zeros(at + lead_ms * SPEECH_RATE_HZ // 1_000, np.float32)
    return Speech(samples, tuple(phonemes))


def centre_ms(index: int) -> float:
    return 200 + (index + 0.5) * SOUND_MS


def shape_of(symbols: str, index: int) -> MouthShape:
    return mouth_track(said(symbols)).at(centre_ms(index))


def pictures(track: MouthTrack, speech: Speech, *, offset_ms: float = 0.0) -> list[MouthShape]:
    count = len(speech.samples) * 1_000 // SPEECH_RATE_HZ // BEAT_MS
    return [track.at(offset_ms + (beat + 0.5) * BEAT_MS) for beat in range(count)]


@pytest.mark.parametrize("sound", list("mbp"))
@pytest.mark.parametrize("neighbour", list("ɑæiu"))
def test_lips_meet_between_open_vowels(sound: str, neighbour: str) -> None:
    shape = shape_of(neighbour + sound + neighbour, 1)
    assert shape.press > 0.99
    assert shape.opening < 0.01


@pytest.mark.parametrize("offset_ms", range(0, 40, 5))
def test_some_picture_shows_the_lips_closed_wherever_the_beats_fall(offset_ms: int) -> None:
    speech = said("ɑmɑ", sound_ms=45)
    shapes = pictures(mouth_track(speech), speech, offset_ms=offset_ms)
    assert max(shape.press for shape in shapes) > 0.99


@pytest.mark.parametrize("sound", list("fv"))
def test_teeth_touch_the_lip_for_f_and_v(sound: str) -> None:
    shape = shape_of("ɑ" + sound + "ɑ", 1)
    assert shape.bite > 0.99
    assert shape.opening < 0.15


def test_lips_round_most_for_u_less_for_o_not_for_i() -> None:
    u, o, ah, i = (shape_of(f"h{vowel}h", 1) for vowel in "uoɑi")
    assert u.rounding > o.rounding > ah.rounding + 0.2
    assert u.width < o.width < i.width


def test_jaw_opens_more_for_lower_vowels() -> None:
    ah, e, i = (shape_of(f"k{vowel}k", 1).opening for vowel in "ɑɛi")
    assert ah > e > i > 0.1


def test_hiss_bares_the_teeth() -> None:
    assert shape_of("əsə", 1).teeth > 0.6
    assert shape_of("əʃə", 1).rounding > shape_of("əsə", 1).rounding + 0.2


def test_tongue_rises_for_l_and_th() -> None:
    assert min(shape_of("ɑlɑ", 1).tongue, shape_of("ɑθɑ", 1).tongue) > 0.5
    assert shape_of("ɑkɑ", 1).tongue < 0.2


def test_mouth_is_closed_in_silence_before_between_and_after() -> None:
    speech = said("ɑɑ....ɑɑ")
    track = mouth_track(speech)
    duration_ms = len(speech.samples) * 1_000 / SPEECH_RATE_HZ
    for time_ms in (0.0, 200 + 4 * SOUND_MS, duration_ms - 1):
        assert track.at(time_ms).opening < 0.12


def test_a_gap_between_words_does_not_close_the_mouth() -> None:
    assert shape_of("ɑ ɑ", 1).opening > 0.5


def test_lips_round_before_the_rounded_sound_begins() -> None:
    track = mouth_track(said("stu"))
    begins_ms = centre_ms(2) - SOUND_MS / 2
    assert track.at(begins_ms - 60).rounding > 0.15
    assert track.at(begins_ms - 60).rounding > mouth_track(said("sti")).at(begins_ms - 60).rounding + 0.1


def test_k_looks_like_its_neighbours() -> None:
    assert shape_of("uku", 1).rounding > 0.5
    assert shape_of("ɑkɑ", 1).rounding < 0.1


def test_diphthong_passes_through_two_shapes() -> None:
    track = mouth_track(said("W", sound_ms=200))
    early, late = track.at(250), track.at(375)
    assert early.opening > late.opening + 0.2
    assert late.rounding > early.rounding + 0.2


def test_stress_mark_with_a_duration_of_its_own_leaves_no_hole() -> None:
    assert mouth_track(said("kˈɑk")).at(centre_ms(1)).opening > 0.4


@pytest.mark.parametrize("symbols", ["hˈInˈIstəmˈitju", "pɑpɑpɑ", "fˈɪlm", "ɑmɑ", "wˈʌndəɹfᵊl"])
def test_consecutive_pictures_never_jump(symbols: str) -> None:
    speech = said(symbols, sound_ms=70)
    shapes = pictures(mouth_track(speech), speech)
    for before, after in pairwise(shapes):
        assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < 0.8


@pytest.mark.parametrize("symbol", list(KOKORO_SOUNDS))
def test_every_sound_of_the_voice_has_a_shape_within_bounds(symbol: str) -> None:
    assert visemes_of(symbol)
    shape = shape_of(symbol, 0)
    assert -1 <= shape.width <= 1
    assert all(0 <= number <= 1 for number in (*shape[:1], *shape[2:]))


def test_stressed_syllables_are_accents_but_not_too_many() -> None:
    accents = mouth_track(said("bənˈænəz" + "sˈɛvᵊn" + "ˈiˈiˈiˈi")).accents
    assert len(accents) >= 2
    assert all(after.at_ms - before.at_ms >= 300 for before, after in pairwise(accents))


def test_without_stress_marks_long_vowels_count_as_accents() -> None:
    assert mouth_track(said("həlkɑtəl", sound_ms=90)).accents
    assert not mouth_track(said("tətᵊtət", sound_ms=90)).accents


def loudness(level: float, duration_ms: int = 400) -> Speech:
    time = np.arange(duration_ms * SPEECH_RATE_HZ // 1_000) / SPEECH_RATE_HZ
    return Speech((level * np.sin(2 * np.pi * 180 * time)).astype(np.float32))


def test_without_phonemes_the_jaw_follows_the_loudness() -> None:
    loud, soft, silent = (mouth_track(loudness(level)).at(200).opening for level in (0.5, 0.05, 0.0))
    assert loud > soft > 0.1
    assert silent == 0


def test_without_phonemes_the_mouth_is_closed_outside_the_sound() -> None:
    assert mouth_track(loudness(0.5)).at(-30).opening == 0
    assert mouth_track(loudness(0.5)).at(430).opening == 0


def test_a_shape_moves_part_of_the_way() -> None:
    half = REST.toward(MouthShape(opening=1.0, width=-1.0), 0.5)
    assert (half.opening, half.width) == (0.5, -0.5)
