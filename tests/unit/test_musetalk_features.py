"""What the mouth network hears: equal to the published way, whichever way the sound arrives."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.feature_extraction_whisper import WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from models.face.musetalk.features import AudioEncoder, Edge, LogMel, gather_windows
from models.face.musetalk.mel import loudest, mel_filters
from models.face.musetalk.speech_window import SpeechWindow
from models.face.musetalk.timing import LOOKAHEAD_SAMPLES, RECEPTIVE_SAMPLES, WINDOW_ROWS, WINDOW_SAMPLES, first_row
from models.interfaces import Samples

SECOND = 16_000
DIGITAL_SILENCE = -10.0
LAYERS = 4
CHANNELS = 32


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def extractor() -> Any:
    return WhisperFeatureExtractor()


@pytest.fixture(scope="module")
def whisper() -> Any:
    return tiny_whisper()


def tiny_whisper() -> Any:
    """Whisper's encoder with three layers of 32 channels; its weights are spread so that every layer matters."""
    torch.manual_seed(5)
    config = WhisperConfig(
        d_model=CHANNELS, encoder_layers=LAYERS - 1, encoder_attention_heads=2, encoder_ffn_dim=64, vocab_size=8
    )
    encoder = WhisperEncoder(config).eval()
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return encoder


def voice(samples: int, level: float = 0.1) -> Samples:
    """Noise that swells and fades four times a second."""
    noise = np.random.default_rng(11).standard_normal(samples)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 4 / SECOND * np.arange(samples))
    sound: Samples = (level * noise * swell).astype(np.float32)
    return sound


def padded(sound: Samples) -> Tensor:
    """[1, 480000]"""
    window = torch.zeros(1, WINDOW_SAMPLES)
    window[0, : len(sound)] = torch.from_numpy(sound)
    return window


def heard(sound: Samples, peak: float = DIGITAL_SILENCE) -> SpeechWindow:
    window = SpeechWindow(peak=peak)
    window.append(sound)
    window.finish()
    return window


def published_mel(extractor: Any, sound: Samples) -> Tensor:
    return torch.from_numpy(extractor(sound, sampling_rate=SECOND, return_tensors="np")["input_features"])


def published_features(whisper: Any, mel: Tensor) -> Tensor:
    return torch.stack(whisper(mel, output_hidden_states=True).hidden_states, dim=2)


def sliced(rows: Tensor, frames: int, fps: int) -> Tensor:
    """MuseTalk's way to cut features [n, layers, channels]: zeros put around them, ten from floor(frame * 50 / fps)."""
    zeros = rows.new_zeros(1, *rows.shape[1:])
    around = torch.cat((zeros.repeat(4, 1, 1), rows, zeros.repeat(12, 1, 1)))
    starts = [int(frame * 50 / fps) for frame in range(frames)]
    return torch.stack([around[start : start + 10].reshape(-1, rows.shape[-1]) for start in starts])


def windows_of(features: Tensor, firsts: list[int], valid: int, **options: Any) -> Tensor:
    count = len(firsts)
    session, first = torch.zeros(count, dtype=torch.int64), torch.tensor(firsts)
    return gather_windows(features, session, first, torch.full((count,), valid), **options)


class TestMel:
    def test_bands_are_those_of_the_published_extractor(self, extractor: Any) -> None:
        np.testing.assert_allclose(mel_filters(), extractor.mel_filters, atol=1e-8)

    @pytest.mark.parametrize("samples", [8_000, 100_123, 28 * SECOND])
    def test_log_mel_equals_the_published_extractor(self, extractor: Any, samples: int) -> None:
        """With the peak that the window found on the way, the maximum over the whole sound."""
        window = heard(voice(samples))
        mel = LogMel()(torch.from_numpy(window.samples)[None], torch.tensor([window.peak]))
        torch.testing.assert_close(mel, published_mel(extractor, voice(samples)), atol=1e-6, rtol=0)

    def test_the_peak_found_in_pieces_is_the_extractors_maximum(self, extractor: Any) -> None:
        sound = voice(3 * SECOND)
        window = SpeechWindow(peak=DIGITAL_SILENCE)
        for start in range(0, len(sound), 777):
            window.append(sound[start : start + 777])
        window.finish()
        maximum = published_mel(extractor, sound).max().item() * 4 - 4
        assert window.peak == pytest.approx(maximum, abs=1e-5)
        assert loudest(sound) == pytest.approx(maximum, abs=0.1)

    def test_silence_looks_the_same_before_and_after_speech(self, extractor: Any) -> None:
        """The published way it is -1.5 in an all silent window and about -0.9 after a tone of amplitude 0.1."""
        tone = (0.1 * np.sin(2 * np.pi * 440 / SECOND * np.arange(SECOND))).astype(np.float32)
        silence = np.zeros(SECOND, np.float32)
        sounds = [silence, np.concatenate((tone, silence)), np.concatenate((voice(SECOND), silence))]
        before, after = (published_mel(extractor, sound)[0, :, 150].unique() for sound in sounds[:2])
        assert before.tolist() == pytest.approx([-1.5])
        assert after.tolist() == pytest.approx([-0.92], abs=0.02)
        levels = set()
        for sound in sounds:
            window = SpeechWindow()
            window.append(sound)
            mel = LogMel()(torch.from_numpy(window.samples)[None], torch.tensor([window.peak]))
            levels |= set(mel[0, :, 150].tolist())
        assert len(levels) == 1

    def test_each_sound_of_a_batch_has_its_own_peak(self) -> None:
        sounds = torch.cat((padded(voice(SECOND)), padded(voice(SECOND, 0.01))))
        peaks = torch.tensor([1.5, -0.5])
        together = LogMel()(sounds, peaks)
        for index in range(2):
            alone = LogMel()(sounds[index : index + 1], peaks[index : index + 1])
            torch.testing.assert_close(together[index : index + 1], alone, atol=1e-6, rtol=0)
        assert together[:, :, -1].amax(dim=1).tolist() == pytest.approx([(1.5 - 4) / 4, (-0.5 - 4) / 4])


class TestEncoder:
    def test_features_equal_whispers_hidden_states(self, extractor: Any, whisper: Any) -> None:
        window = heard(voice(5 * SECOND))
        features = AudioEncoder(whisper)(torch.from_numpy(window.samples)[None], torch.tensor([window.peak]))
        assert features.shape == (1, WINDOW_ROWS, LAYERS, CHANNELS)
        published = published_features(whisper, published_mel(extractor, voice(5 * SECOND)))
        torch.testing.assert_close(features, published, atol=1e-5, rtol=0)

    def test_the_last_layer_can_be_left_as_it_is(self, whisper: Any) -> None:
        sound, peak = padded(voice(SECOND)), torch.tensor([1.2])
        normal = AudioEncoder(whisper)(sound, peak)
        plain = AudioEncoder(whisper, final_layer_norm=False)(sound, peak)
        assert torch.equal(plain[:, :, :-1], normal[:, :, :-1])
        torch.testing.assert_close(whisper.layer_norm(plain[:, :, -1]), normal[:, :, -1])
        assert not torch.allclose(plain[:, :, -1], normal[:, :, -1], atol=0.1)

    def test_sounds_of_a_batch_do_not_hear_each_other(self, whisper: Any) -> None:
        encoder = AudioEncoder(whisper)
        sounds, peaks = torch.cat((padded(voice(SECOND)), padded(voice(3 * SECOND, 0.3)))), torch.tensor([1.2, 1.9])
        together = encoder(sounds, peaks)
        for index in range(2):
            alone = encoder(sounds[index : index + 1], peaks[index : index + 1])
            torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=0)

    def test_half_precision_weights_keep_the_mel_exact(self, whisper: Any) -> None:
        sound, peak = padded(voice(2 * SECOND)), torch.tensor([1.2])
        exact = AudioEncoder(whisper)(sound, peak)
        half = AudioEncoder(tiny_whisper().half())(sound, peak)
        assert half.dtype == torch.float16
        torch.testing.assert_close(half.float(), exact, atol=0.03, rtol=0.01)

    def test_nothing_is_read_back_from_the_device_nor_made_on_the_host(self) -> None:
        """A tensor on the meta device has no values: reading one, or mixing in a tensor of the host, is an error."""
        encoder = AudioEncoder(tiny_whisper().to("meta"))
        features = encoder(torch.empty(2, WINDOW_SAMPLES, device="meta"), torch.empty(2, device="meta"))
        assert features.shape == (2, WINDOW_ROWS, LAYERS, CHANNELS)
        numbers = torch.empty(3, dtype=torch.int64, device="meta")
        edges: tuple[Edge, ...] = ("zero", "repeat")
        for edge in edges:
            windows = gather_windows(features, numbers, numbers, numbers, edge=edge)
            assert windows.shape == (3, 10 * LAYERS, CHANNELS)


class TestStreaming:
    def test_what_is_fully_heard_enters_the_first_layer_unchanged_as_sound_is_added(self, whisper: Any) -> None:
        encoder, sound, peak = AudioEncoder(whisper), voice(4 * SECOND), torch.tensor([1.2])
        whole = encoder(padded(sound), peak)
        for samples in (LOOKAHEAD_SAMPLES, 20_000, 41_111):
            part = encoder(padded(sound[:samples]), peak)
            known = (samples - RECEPTIVE_SAMPLES) // 320 + 1
            torch.testing.assert_close(part[:, :known, 0], whole[:, :known, 0], atol=1e-6, rtol=0)
            assert not torch.allclose(part[:, known + 1, 0], whole[:, known + 1, 0], atol=1e-3)

    @pytest.mark.parametrize("row", [40, 101])
    def test_a_row_hears_520_samples_to_either_side(self, whisper: Any, row: int) -> None:
        encoder, peak = AudioEncoder(whisper), torch.tensor([1.2])
        sound = padded(voice(4 * SECOND))
        before = encoder(sound, peak)[0, :, 0]

        def moved(sample: int) -> bool:
            other = sound.clone()
            other[0, sample] += 100.0
            return not torch.allclose(encoder(other, peak)[0, row, 0], before[row], atol=1e-6)

        centre = 320 * row
        assert moved(centre + RECEPTIVE_SAMPLES - 1)
        assert not moved(centre + RECEPTIVE_SAMPLES)
        assert moved(centre - RECEPTIVE_SAMPLES + 1)
        assert not moved(centre - RECEPTIVE_SAMPLES)

    def test_the_newest_ready_picture_needs_no_sound_that_is_not_there(self, whisper: Any) -> None:
        encoder, sound, peak = AudioEncoder(whisper), voice(2 * SECOND), torch.tensor([1.2])
        whole = encoder(padded(sound), peak)
        window = SpeechWindow()
        window.append(sound[: 30 * 640 + LOOKAHEAD_SAMPLES])
        newest = window.ready_frames - 1
        assert newest == 30
        part = encoder(torch.from_numpy(window.samples)[None], peak)
        first = [window.first_row(newest)]
        ours, theirs = (windows_of(features, first, window.valid_rows)[0] for features in (part, whole))
        torch.testing.assert_close(ours[::LAYERS], theirs[::LAYERS], atol=1e-6, rtol=0)

    def test_an_answer_heard_at_once_is_the_published_way_picture_by_picture(
        self, extractor: Any, whisper: Any
    ) -> None:
        sound = voice(3 * SECOND)
        window = heard(sound)
        features = AudioEncoder(whisper)(torch.from_numpy(window.samples)[None], torch.tensor([window.peak]))
        firsts = [window.first_row(frame) for frame in range(window.ready_frames)]
        ours = windows_of(features, firsts, window.valid_rows)
        rows = published_features(whisper, published_mel(extractor, sound))[0, : int(len(sound) / SECOND * 50)]
        torch.testing.assert_close(ours, sliced(rows, 75, 25), atol=1e-5, rtol=0)


class TestWindows:
    @pytest.mark.parametrize("fps", [24, 25, 30])
    @pytest.mark.parametrize("samples", [3 * SECOND, 3 * SECOND + 321, 5_000])
    def test_rows_of_a_picture_are_those_of_the_published_slicer(self, fps: int, samples: int) -> None:
        valid = int(samples / SECOND * 50)
        frames = int(samples / SECOND * fps)
        features = torch.randn(1, WINDOW_ROWS, LAYERS, CHANNELS)
        ours = windows_of(features, [first_row(frame, fps) for frame in range(frames)], valid)
        assert torch.equal(ours, sliced(features[0, :valid], frames, fps))

    def test_a_picture_is_in_the_middle_of_its_window(self) -> None:
        assert [first_row(frame) for frame in (0, 1, 2, 100)] == [-4, -2, 0, 196]

    def test_rows_outside_the_sound_repeat_the_nearest_if_asked(self) -> None:
        features = torch.arange(WINDOW_ROWS, dtype=torch.float32)[None, :, None, None].expand(1, -1, 2, 3)
        windows = windows_of(features, [-4, 20], 25, edge="repeat")
        assert windows[0, ::2, 0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
        assert windows[1, ::2, 0].tolist() == [20, 21, 22, 23, 24, 24, 24, 24, 24, 24]

    def test_rows_outside_the_sound_are_zero_whatever_stands_there(self) -> None:
        features = torch.full((1, WINDOW_ROWS, 2, 3), torch.nan)
        assert not windows_of(features, [-10, 30, 1_499], 5)[:, 10 * 2 - 2 :].any()
        assert not windows_of(features, [5], 5).any()

    def test_each_picture_is_cut_from_its_own_session(self) -> None:
        features = torch.randn(3, WINDOW_ROWS, LAYERS, CHANNELS)
        session = torch.tensor([2, 0, 2])
        windows = gather_windows(features, session, torch.tensor([10, 10, 12]), torch.tensor([100, 100, 100]))
        for window, index, first in zip(windows, session.tolist(), (10, 10, 12), strict=True):
            assert torch.equal(window, features[index, first : first + 10].flatten(0, 1))
