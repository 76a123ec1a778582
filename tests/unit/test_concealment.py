"""What is heard in place of lost sound."""

import numpy as np
import pytest

from models.interfaces import Samples
from peer_local.playback.concealment import Concealer


def vowel(count: int, pitch_hz: float) -> Samples:
    at_s = np.arange(count) / 48_000
    begins = np.random.default_rng(2).uniform(0, 2 * np.pi, 12)
    sound = sum(np.sin(2 * np.pi * pitch_hz * k * at_s + begins[k]) / k for k in range(1, 12))
    return np.asarray(0.2 * sound, np.float32)


def hear(sound: Samples, lost: set[int]) -> Samples:
    concealer = Concealer()
    return np.concatenate(
        [
            concealer.lost() if index in lost else concealer.heard(sound[960 * index : 960 * index + 960])
            for index in range(len(sound) // 960)
        ]
    )


def longest_step(sound: Samples) -> float:
    return float(np.max(np.abs(np.diff(sound))))


@pytest.mark.parametrize("pitch_hz", [70, 98, 133, 187, 241, 350])
@pytest.mark.parametrize("lost", [{10}, {10, 12}, {10, 11, 14}, set(range(10, 30))])
def test_no_join_has_a_step_beyond_the_sounds_own(pitch_hz: float, lost: set[int]) -> None:
    sound = vowel(40 * 960, pitch_hz)
    assert longest_step(hear(sound, lost)) <= 1.05 * longest_step(sound)


@pytest.mark.parametrize("pitch_hz", [98, 133, 241])
def test_a_lost_packet_of_a_steady_vowel_is_hardly_missed(pitch_hz: float) -> None:
    sound = vowel(20 * 960, pitch_hz)
    wrong = hear(sound, {12}) - sound
    assert np.mean(wrong**2) < 0.01 * np.mean(sound**2)


def test_what_is_made_up_fades_to_silence_within_100_ms() -> None:
    concealer = Concealer()
    concealer.heard(vowel(9_600, 120))
    made = np.concatenate([concealer.lost() for _ in range(10)])
    assert np.max(np.abs(made[:960])) > 0.2
    assert np.all(made[4_800:] == 0)
    assert concealer.faded


def test_silence_stays_silence() -> None:
    assert np.all(hear(np.zeros(9_600, np.float32), {3, 4, 7}) == 0)
    assert np.all(Concealer().lost() == 0)


def test_sound_without_loss_is_not_touched() -> None:
    sound = vowel(9_600, 120)
    assert np.array_equal(hear(sound, set()), sound)


def test_noise_is_not_made_louder() -> None:
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, 48_000).astype(np.float32)
    assert np.max(np.abs(hear(noise, {5, 20, 21}))) <= 0.5
