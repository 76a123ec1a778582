"""The double's own voice is taken out of what an input hears, with the real canceller and speech-like noise."""

import logging

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from peer_local.listening import echo
from peer_local.listening.echo import (
    PROCESSING_S,
    EchoCanceller,
    RestOfEcho,
    echo_canceller,
)
from peer_local.listening.echo_filter import EchoFilter
from peer_local.listening.reference import FRAME_SAMPLES, Reference, StreamClock

BLOCK_S = 0.01


def babble(seconds: float, seed: int) -> Samples:
    """Noise with the spectrum and the syllables of speech, at 16 kHz and about -24 dBFS."""
    random = np.random.default_rng(seed)
    count = round(seconds * HEARING_RATE_HZ)
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / HEARING_RATE_HZ)
    spectrum *= np.exp(-((np.log2(np.maximum(frequency, 20) / 500)) ** 2) / 4) * (frequency > 150)
    noise = np.fft.irfft(spectrum, count)
    time_s = np.arange(count) / HEARING_RATE_HZ
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time_s) + 0.5, 0, None)
    phrases = (0.4 * time_s + seed / 10) % 1 < 0.85
    voice = noise * syllables * phrases
    scaled: Samples = (voice * 0.06 / np.sqrt(np.mean(voice**2))).astype(np.float32)
    return scaled


def delayed(samples: Samples, seconds: float) -> Samples:
    count = round(seconds * HEARING_RATE_HZ)
    return np.concatenate((np.zeros(count, np.float32), samples))[: len(samples)]


def level_db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def loudness(samples: Samples) -> Samples:
    """RMS of every 20 ms: what is kept of speech when its phase is not."""
    power: Samples = np.mean(samples[: len(samples) // 320 * 320].reshape(-1, 320) ** 2, axis=1)
    return np.sqrt(power)


def likeness(one: Samples, other: Samples) -> float:
    count = min(len(one), len(other))
    return float(np.corrcoef(loudness(one[:count]), loudness(other[:count]))[0, 1])


def cleaned(
    played: Samples,
    recorded: Samples,
    *,
    output_latency_s: float = 0.04,
    input_latency_s: float = 0.02,
    jitter_s: float = 0.0,
    drift: float = 0.0,
    canceller: EchoCanceller | None = None,
) -> Samples:
    """Play and record both (16 kHz, the same moments) in blocks, in the order in which devices would.

    `drift`: the input's clock is so much faster than the output's, while both tell the true time.
    """
    canceller = canceller or EchoCanceller()
    random = np.random.default_rng(1)
    speech = soxr.resample(played, HEARING_RATE_HZ, SPEECH_RATE_HZ).astype(np.float32)
    out_count, in_count = round(BLOCK_S * SPEECH_RATE_HZ), round(BLOCK_S * HEARING_RATE_HZ)
    if drift:
        recorded = soxr.resample(recorded, 1.0, 1.0 + drift).astype(np.float32)
    output_at, input_at = 0, 0
    results = []
    now_s = 0.0
    while input_at + in_count <= len(recorded):
        now_s += BLOCK_S / 10
        heard_s = output_at / SPEECH_RATE_HZ
        if heard_s <= now_s + output_latency_s and output_at < len(speech):
            at_s = heard_s + random.uniform(-jitter_s, jitter_s)
            canceller.played(speech[output_at : output_at + out_count], at_s)
            output_at += out_count
        recorded_s = input_at / HEARING_RATE_HZ / (1 + drift)
        if recorded_s + BLOCK_S + input_latency_s <= now_s:
            at_s = recorded_s + random.uniform(-jitter_s, jitter_s)
            results.append(canceller.clean(recorded[input_at : input_at + in_count], at_s))
            input_at += in_count
    return np.concatenate(results)


def attenuation_db(played: Samples, recorded: Samples, **how: float) -> float:
    """How much quieter the echo is, once the canceller has had 3 s to learn."""
    result = cleaned(played, recorded, **how)  # type: ignore[arg-type]
    settled = slice(3 * HEARING_RATE_HZ, len(result))
    return level_db(recorded[settled]) - level_db(result[settled])


@pytest.mark.parametrize("delay_s", [0.0, 0.08, 0.3])
def test_a_digital_copy_of_what_is_played_is_taken_out(delay_s: float) -> None:
    played = babble(8, 1)
    assert attenuation_db(played, 0.6 * delayed(played, delay_s)) > 30


def test_a_room_s_echo_is_taken_out() -> None:
    played = babble(8, 1)
    random = np.random.default_rng(2)
    room = random.standard_normal(1_600) * np.exp(-np.arange(1_600) / 250)
    room[0] = 8.0
    recorded = np.convolve(played, 0.03 * room)[: len(played)].astype(np.float32)
    assert attenuation_db(played, delayed(recorded, 0.02)) > 20


@pytest.mark.parametrize("early_s", [-0.05, 0.05])
def test_devices_that_err_about_their_times_are_put_up_with(early_s: float) -> None:
    played = babble(8, 1)
    recorded = 0.6 * delayed(played, 0.05)
    shifted = delayed(recorded, early_s) if early_s > 0 else np.roll(recorded, round(early_s * HEARING_RATE_HZ))
    assert attenuation_db(played, shifted) > 25


def test_times_that_jitter_and_clocks_that_drift_do_no_harm() -> None:
    played = babble(12, 1)
    recorded = 0.6 * delayed(played, 0.08)
    assert attenuation_db(played, recorded, jitter_s=0.004) > 25
    assert attenuation_db(played, recorded, drift=100e-6) > 20


def test_an_output_that_tells_late_what_it_plays_is_waited_for() -> None:
    played = babble(8, 1)
    recorded = 0.6 * delayed(played, 0.05)
    canceller = EchoCanceller()
    result = cleaned(played, recorded, output_latency_s=0.0, input_latency_s=0.0, canceller=canceller)
    assert canceller.starved == 0
    assert len(recorded) - len(result) < 0.1 * HEARING_RATE_HZ
    assert level_db(result[3 * HEARING_RATE_HZ :]) < level_db(recorded) - 30


@pytest.mark.parametrize("gain", [0.2, 0.6])
def test_another_talker_is_heard_through_the_double_s_own_voice(gain: float) -> None:
    played = babble(12, 1)
    talker = babble(12, 7)
    talker[: 8 * HEARING_RATE_HZ] = 0
    result = cleaned(played, talker + gain * delayed(played, 0.08))
    spoken = slice(8 * HEARING_RATE_HZ, len(result))
    assert likeness(talker[spoken], result[spoken]) > 0.95
    assert abs(level_db(result[spoken]) - level_db(talker[spoken])) < 2


def filtered(played: Samples, recorded: Samples) -> Samples:
    echo_filter = EchoFilter(FRAME_SAMPLES)
    frames = range(0, len(played) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    return np.concatenate(
        [
            echo_filter.process(played[start : start + FRAME_SAMPLES], recorded[start : start + FRAME_SAMPLES])
            for start in frames
        ]
    )


def test_the_filter_learns_a_path_while_somebody_talks_over_it_and_leaves_them_alone() -> None:
    played = babble(12, 1)
    talker = babble(12, 7)
    result = filtered(played, talker + 0.6 * delayed(played, 0.14))
    learnt = slice(8 * HEARING_RATE_HZ, 12 * HEARING_RATE_HZ)
    assert level_db((result - talker)[learnt]) < level_db(talker[learnt]) - 15


def test_the_filter_begins_anew_when_it_makes_things_worse() -> None:
    played = babble(12, 1)
    recorded = 0.6 * delayed(played, 0.05)
    recorded[6 * HEARING_RATE_HZ :] *= -1
    result = filtered(played, recorded)
    assert level_db(result[10 * HEARING_RATE_HZ :]) < level_db(recorded[10 * HEARING_RATE_HZ :]) - 15
    assert np.abs(result).max() < 3 * np.abs(recorded).max()


def test_the_filter_survives_what_is_no_sound() -> None:
    played = babble(2, 1)
    recorded = 0.6 * played
    recorded[16_000:16_100] = np.nan
    result = filtered(played, recorded)
    assert np.isfinite(result[17_000:]).all()


def test_while_nothing_is_played_sound_passes_as_it_is() -> None:
    talker = babble(4, 7)
    canceller = EchoCanceller()
    result = canceller.clean(talker, 5.0)
    delay = round(PROCESSING_S * HEARING_RATE_HZ)
    assert canceller.delay_s == pytest.approx(PROCESSING_S)
    assert np.array_equal(result[delay:], talker[:-delay])


def test_blocks_of_any_length_lose_nothing() -> None:
    canceller = EchoCanceller(lambda: lambda played, recorded: recorded)
    sound = babble(1, 3)
    taken = [canceller.clean(sound[start : start + 333], start / HEARING_RATE_HZ) for start in range(0, 16_000, 333)]
    result = np.concatenate(taken)
    assert len(sound) - len(result) < FRAME_SAMPLES
    delay = round(PROCESSING_S * HEARING_RATE_HZ)
    assert np.array_equal(result[delay:], sound[: len(result) - delay])


def test_a_canceller_that_fails_lets_sound_pass(caplog: pytest.LogCaptureFixture) -> None:
    def broken(played: NDArray[np.int16], recorded: NDArray[np.int16]) -> NDArray[np.int16]:
        raise RuntimeError("no")

    canceller = EchoCanceller(lambda: broken)
    sound = babble(1, 3)
    assert np.array_equal(canceller.clean(sound, 0.0), sound)
    assert not canceller.works
    assert [record.message for record in caplog.records] == ["echo_cancellation_failed"]


def test_without_the_library_there_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> echo.Processor:
        raise ImportError("libstdc++ is too old")

    monkeypatch.setattr(echo, "webrtc", missing)
    with caplog.at_level(logging.WARNING):
        assert echo_canceller(True) is None
    assert [record.message for record in caplog.records] == ["echo_cancellation_off"]
    assert echo_canceller(False) is None


def test_a_stream_s_clock_smooths_jitter_and_follows_gaps() -> None:
    clock = StreamClock(1_000)
    assert clock.push(10, 5.0) == 0
    assert clock.push(10, 5.015) == 0
    assert clock.end_s == pytest.approx(5.0201)
    assert clock.push(10, 5.5201) == pytest.approx(0.5)
    assert clock.end_s == pytest.approx(5.5301)
    assert clock.push(10, 5.4301) == pytest.approx(-0.1)
    assert clock.end_s == pytest.approx(5.4401)


def test_what_was_played_is_found_by_its_time() -> None:
    reference = Reference(HEARING_RATE_HZ)
    assert reference.position(1.0) is None
    reference.push(np.arange(16_000, dtype=np.float32), 10.0)
    reference.push(np.arange(16_000, 17_600, dtype=np.float32), 12.0)  # a second of nothing before it
    position = reference.position(10.5)
    assert position is not None and reference.has(position)
    assert reference.frame(position)[0] == pytest.approx(8_000, rel=0.01)
    position = reference.position(12.01)
    assert position is not None and not reference.has(position + 2_000)
    assert not reference.frame(position - 8_000).any()
    assert reference.position(13.0) is None
    assert len(reference.frame(-50)) == FRAME_SAMPLES


def test_where_no_echo_comes_back_the_input_is_left_alone() -> None:
    played = babble(5, 1)
    talker = babble(5, 7)
    talker[: 3 * HEARING_RATE_HZ] *= 0.001
    canceller = EchoCanceller()
    result = cleaned(played, talker, canceller=canceller)
    delay = round(PROCESSING_S * HEARING_RATE_HZ)
    spoken = slice(3 * HEARING_RATE_HZ, len(result) - delay)
    assert np.array_equal(result[spoken.start + delay :], talker[spoken])


def test_an_echo_that_begins_later_is_taken_out_within_seconds() -> None:
    played = babble(14, 1)
    recorded = 0.4 * delayed(played, 0.08)
    recorded[: 5 * HEARING_RATE_HZ] *= 0.001
    result = cleaned(played, recorded)
    assert level_db(result[9 * HEARING_RATE_HZ :]) < level_db(recorded[9 * HEARING_RATE_HZ :]) - 25


def push(rest: RestOfEcho, played: float, left: float, frames: int = 300) -> str:
    """What is left has the ups and downs of speech, unless there is next to nothing."""
    for frame in range(frames):
        rest.push(played, 1e-3, left * (0.01 if frame % 4 == 0 else 1.33))
    return rest.way


def test_aec3_works_until_the_filter_has_learnt_and_again_when_it_has_to() -> None:
    rest = RestOfEcho()
    assert push(rest, 1e-2, 1e-4) == "cancelled"
    assert push(rest, 1e-1, 5e-5) == "cancelled"
    assert push(rest, 1e-2, 5e-6) == "both"
    assert push(rest, 1e-2, 1e-8) == "filtered"
    push(rest, 0.0, 1e-3)
    assert push(rest, 1e-2, 1e-8, frames=1) == "filtered"
    assert push(rest, 1e-2, 1e-3) == "cancelled"


def test_an_echo_below_the_noise_of_the_room_needs_no_cancelling() -> None:
    rest = RestOfEcho()
    for _ in range(300):
        rest.push(1e-2, 1e-5, 1e-5)
    assert rest.way == "untouched"


def test_an_echo_is_expected_until_shortly_after_the_double_has_spoken() -> None:
    rest = RestOfEcho()
    assert push(rest, 0.0, 1e-3, frames=1) == "untouched"
    assert push(rest, 1e-3, 1e-3, frames=1) == "cancelled"
    assert push(rest, 0.0, 1e-3, frames=60) == "cancelled"
    assert push(rest, 0.0, 1e-3, frames=20) == "untouched"


@pytest.mark.parametrize("late_frames", [5, 20, 38])
@pytest.mark.parametrize("phase", range(0, 60, 7))
def test_the_first_and_last_words_do_not_pass_for_words_without_an_echo(late_frames: int, phase: int) -> None:
    rest = RestOfEcho()
    spoken = ([0.0] * (60 + phase) + [1e-2] * 300) * 3
    for frame, played in enumerate(spoken):
        echo_power = spoken[frame - late_frames] * 0.3 if frame >= late_frames else 0.0
        rest.push(played, echo_power + 1e-8, echo_power + 1e-8)
        if played:
            assert rest.way == "cancelled"


def test_who_interrupts_the_first_words_is_heard_as_they_are_where_no_echo_is_expected() -> None:
    sound = np.random.default_rng(3).standard_normal(HEARING_RATE_HZ).astype(np.float32) * 0.1
    silent = EchoCanceller(lambda: lambda played, recorded: np.zeros_like(recorded), expected=False)
    muffled = EchoCanceller(lambda: lambda played, recorded: np.zeros_like(recorded))
    for canceller, share in ((silent, 1.0), (muffled, 0.0)):
        canceller.played(np.repeat(sound, 3), 10.0)
        heard = canceller.clean(sound[: HEARING_RATE_HZ // 2], 10.0)
        tail = slice(HEARING_RATE_HZ // 5, HEARING_RATE_HZ // 4)
        assert np.mean(heard[tail] ** 2) == pytest.approx(share * 0.01, rel=0.2, abs=1e-6)
