"""The sound of an answer in Whisper's 30 s: what is ready, where it lies, when it moves, what counts as loud."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.face.musetalk.downsampler import Downsampler
from models.face.musetalk.mel import loudest
from models.face.musetalk.speech_window import SPEECH_PEAK, SpeechWindow
from models.face.musetalk.timing import FRAME_SAMPLES, LOOKAHEAD_SAMPLES, WINDOW_SAMPLES
from models.interfaces import Samples

SECOND = 16_000
DIGITAL_SILENCE = -10.0


def voice(seconds: float, *, pauses_s: tuple[float, ...] = ()) -> Samples:
    """Noise at -20 dB, every sample another, with half a second of silence at each of `pauses_s`."""
    sound = (0.1 * np.random.default_rng(3).standard_normal(int(seconds * SECOND))).astype(np.float32)
    for pause_s in pauses_s:
        start = int(pause_s * SECOND)
        sound[start : start + SECOND // 2] = 0
    return sound


def tone(seconds: float, level_db: float) -> Samples:
    """A tone whose RMS is `level_db` below full scale."""
    phase = 2 * np.pi * 440 / SECOND * np.arange(int(seconds * SECOND))
    sound: Samples = (np.sqrt(2) * 10 ** (level_db / 20) * np.sin(phase)).astype(np.float32)
    return sound


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SECOND), np.float32)


def window_of(*sounds: Samples, peak: float = SPEECH_PEAK) -> SpeechWindow:
    window = SpeechWindow(peak=peak)
    for sound in sounds:
        window.append(sound)
    window.finish()
    return window


def loudness(window: SpeechWindow) -> str:
    return "".join(".#"[window.loud(frame)] for frame in range(window.ready_frames))


def draw_all(window: SpeechWindow, batch: int, first: int = 0) -> Iterator[int]:
    """Draw what is ready, `batch` pictures at a time."""
    frame = first
    while frame < window.ready_frames:
        for _ in range(min(batch, window.ready_frames - frame)):
            yield frame
            frame += 1
        window.drawn(frame)


class TestReady:
    @pytest.mark.parametrize("frames", [1, 2, 5, 100])
    def test_a_picture_is_ready_with_the_sound_132_ms_after_its_start(self, frames: int) -> None:
        window = SpeechWindow()
        needed = (frames - 1) * FRAME_SAMPLES + LOOKAHEAD_SAMPLES
        window.append(voice(10)[: needed - 1])
        assert window.ready_frames == frames - 1
        window.append(voice(10)[:1])
        assert window.ready_frames == frames

    @pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (640, 1), (641, 2), (6_400, 10), (6_401, 11)])
    def test_the_end_makes_all_ready_and_counts_a_begun_picture_whole(self, samples: int, frames: int) -> None:
        window = window_of(voice(1)[:samples])
        assert window.ready_frames == frames
        assert window.complete

    def test_nothing_heard_is_nothing_ready(self) -> None:
        window = SpeechWindow()
        assert (window.ready_frames, window.filled, window.valid_rows) == (0, 0, 0)
        window.append(silence(0))
        assert not window.complete

    def test_an_end_that_is_known_is_not_yet_complete_while_sound_waits(self) -> None:
        window = SpeechWindow()
        window.append(voice(30))
        window.finish()
        assert window.finished
        assert not window.complete
        window.drawn(window.ready_frames)
        assert window.complete

    def test_more_sound_after_the_end_is_refused(self) -> None:
        window = window_of(voice(0.1))
        window.finish()
        with pytest.raises(ValueError, match="finished"):
            window.append(voice(0.1))


class TestPlace:
    def test_an_answer_begins_at_the_start_and_stays_there(self) -> None:
        sound = voice(19, pauses_s=(5, 12))
        window = SpeechWindow()
        for start in range(0, len(sound), 5_000):
            window.append(sound[start : start + 5_000])
            window.drawn(window.ready_frames)
        assert window.revision == 0
        assert np.array_equal(window.samples[: len(sound)], sound)
        assert not window.samples[len(sound) :].any()
        assert window.local(7) == 7
        assert window.first_row(0) == -4
        assert window.first_row(100) == 196
        assert window.valid_rows == len(sound) // 320

    def test_sound_that_all_fits_never_moves_however_it_is_drawn(self) -> None:
        window = window_of(voice(28, pauses_s=(21, 24)))
        assert list(draw_all(window, 4)) == list(range(28 * 25))
        assert window.revision == 0

    def test_the_window_moves_to_a_pause_after_twenty_seconds(self) -> None:
        sound = voice(26, pauses_s=(10, 22))
        window = SpeechWindow()
        for start in range(0, len(sound), FRAME_SAMPLES):
            window.append(sound[start : start + FRAME_SAMPLES])
            window.drawn(window.ready_frames)
            if window.revision:
                break
        assert window.revision == 1
        start_frame = window.ready_frames - 2
        assert 22 * 25 <= start_frame < 22.5 * 25
        assert window.local(start_frame) == 0
        assert not window.samples[: 2 * FRAME_SAMPLES].any()
        with pytest.raises(ValueError, match="left the window"):
            window.local(start_frame - 1)
        assert window.first_row(start_frame - 5) + 9 < 0

    def test_a_voice_without_pause_moves_before_28_seconds_and_keeps_eight(self) -> None:
        sound = voice(40)
        window = SpeechWindow()
        for start in range(0, len(sound), 1_000):
            window.append(sound[start : start + 1_000])
            assert window.filled <= 28 * SECOND
            before = window.revision
            window.drawn(window.ready_frames)
            if window.revision > before:
                assert window.local(window.ready_frames - 1) >= 8 * 25 - 1
        assert window.revision == 1

    def test_nothing_leaves_before_it_is_drawn(self) -> None:
        window = SpeechWindow()
        window.append(voice(70))
        window.finish()
        assert window.revision == 0
        assert window.filled == 28 * SECOND
        assert not window.complete
        assert window.local(0) == 0

    def test_pictures_after_the_end_have_a_place_for_the_closing_mouth(self) -> None:
        window = window_of(voice(1))
        assert window.local(28) == 28
        assert window.first_row(28) >= window.valid_rows

    @settings(max_examples=12, deadline=None)
    @given(
        pieces=st.lists(st.integers(1, 12 * SECOND), min_size=1, max_size=14),
        pauses_s=st.lists(st.floats(0, 80), max_size=6),
        batch=st.integers(1, 8),
        lazy=st.booleans(),
    )
    def test_every_picture_sees_its_own_sound(
        self, pieces: list[int], pauses_s: list[float], batch: int, lazy: bool
    ) -> None:
        """The sound from two pictures before to the lookahead is in place, whatever the pieces; `lazy` gives all of
        them before the first picture is drawn."""
        sound = voice(sum(pieces) / SECOND, pauses_s=tuple(pauses_s))
        window = SpeechWindow()
        ends = np.cumsum(pieces)
        drawn: list[int] = []

        def draw() -> None:
            for frame in draw_all(window, batch, len(drawn)):
                first = max(0, frame - 2) * FRAME_SAMPLES
                last = min(frame * FRAME_SAMPLES + LOOKAHEAD_SAMPLES, len(sound))
                place = window.local(frame) * FRAME_SAMPLES - (frame * FRAME_SAMPLES - first)
                assert place >= 0
                assert np.array_equal(window.samples[place : place + last - first], sound[first:last])
                assert window.first_row(frame) + 9 < window.valid_rows or window.complete
                drawn.append(frame)

        for start, end in zip([0, *ends], ends, strict=False):
            window.append(sound[start:end])
            if not lazy:
                draw()
            assert not window.samples[window.filled :].any()
        window.finish()
        draw()
        assert drawn == list(range(-(-len(sound) // FRAME_SAMPLES)))
        assert window.complete
        assert window.revision <= len(sound) / (8 * SECOND)


class TestLoud:
    def test_pictures_are_loud_from_100_ms_before_a_sound_to_80_ms_after_it(self) -> None:
        """The sound is 1 s to 1.5 s. Picture 23 begins at 0.92 s and hears 50 ms of it, picture 22 only 10."""
        window = window_of(silence(1), tone(0.5, -20), silence(1))
        assert loudness(window) == "." * 23 + "#" * 16 + "." * 24

    def test_silence_breath_and_clicks_are_quiet(self) -> None:
        click = silence(1)
        click[5_000:5_060] = 0.9
        hiss = (10 ** (-55 / 20) * np.random.default_rng(1).standard_normal(SECOND)).astype(np.float32)
        for sound in (silence(1), tone(1, -48), hiss, click):
            assert "#" not in loudness(window_of(sound))

    def test_soft_speech_is_loud(self) -> None:
        assert "." not in loudness(window_of(tone(1, -42)))

    def test_a_picture_is_judged_the_same_however_the_sound_arrives(self) -> None:
        sound = voice(3, pauses_s=(0.7, 1.6))
        whole = loudness(window_of(sound))
        window = SpeechWindow()
        heard = ""
        for start in range(0, len(sound), 333):
            window.append(sound[start : start + 333])
            heard += "".join(".#"[window.loud(frame)] for frame in range(len(heard), window.ready_frames))
        window.finish()
        assert heard + loudness(window)[len(heard) :] == whole
        assert "###.." in whole

    def test_a_picture_that_left_the_window_keeps_its_answer(self) -> None:
        window = SpeechWindow()
        window.append(voice(40))
        for _ in draw_all(window, 8):
            pass
        assert window.revision > 0
        assert window.loud(0)

    def test_a_picture_that_is_begun_is_judged_by_what_is_there(self) -> None:
        window = SpeechWindow()
        window.append(np.concatenate((silence(0.2), tone(0.05, -20))))
        assert (window.ready_frames, window.begun_frames) == (3, 6)
        assert [window.loud(frame) for frame in range(6)] == [False] * 3 + [True] * 3

    @pytest.mark.parametrize(("samples", "begun"), [(1_918, 0), (1_920, 1), (3 * 1_920 - 2, 2), (3 * 1_920, 3)])
    def test_a_picture_is_begun_when_all_of_its_sound_has_come(self, samples: int, begun: int) -> None:
        window = SpeechWindow()
        window.append(Downsampler().push(np.ones(samples, np.float32)))
        assert window.begun_frames == begun

    def test_a_picture_that_is_not_begun_has_no_answer(self) -> None:
        window = SpeechWindow()
        window.append(voice(0.2))
        assert window.loud(4)
        with pytest.raises(ValueError, match="not known"):
            window.loud(5)
        with pytest.raises(ValueError, match="not known"):
            window.loud(-1)


class TestPeak:
    def test_silence_never_moves_it(self) -> None:
        assert window_of(silence(2)).peak == SPEECH_PEAK
        assert window_of(tone(2, -50)).peak == SPEECH_PEAK

    def test_speech_louder_than_supposed_raises_it_for_good(self) -> None:
        window = SpeechWindow()
        window.append(silence(1))
        assert window.peak == SPEECH_PEAK
        window.append(tone(1, -6))
        raised = window.peak
        assert raised > SPEECH_PEAK + 0.3
        window.append(silence(3))
        window.finish()
        assert window.peak == raised

    def test_the_next_answer_remembers_half_of_it(self) -> None:
        window = window_of(tone(1, -3))
        after = SpeechWindow(peak=window.peak_kept)
        assert SPEECH_PEAK < after.peak < window.peak
        assert window_of(silence(1), peak=after.peak).peak_kept < after.peak
        assert window_of(voice(1)).peak_kept == SPEECH_PEAK

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(1, 9_000), min_size=1, max_size=12))
    def test_pieces_of_any_length_reach_the_peak_of_the_whole(self, pieces: list[int]) -> None:
        rng = np.random.default_rng(sum(pieces))
        sound = (rng.standard_normal(sum(pieces)) * rng.uniform(0, 0.3)).astype(np.float32)
        window = SpeechWindow(peak=DIGITAL_SILENCE)
        for start, end in zip(np.cumsum([0, *pieces]), np.cumsum(pieces), strict=False):
            window.append(sound[start:end])
        window.finish()
        padded = np.zeros(WINDOW_SAMPLES, np.float32)
        padded[: len(sound)] = sound
        assert window.peak == pytest.approx(loudest(np.pad(padded, 200, mode="reflect")), abs=1e-5)

    def test_less_than_a_mel_frame_has_no_loudness(self) -> None:
        assert loudest(voice(1)[:399]) == DIGITAL_SILENCE
