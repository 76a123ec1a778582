"""Two device clocks in simulated time: one pushes blocks, the other pulls them."""

from collections.abc import Callable

import numpy as np
import pytest

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.on_air.own_voice import OwnVoice


def sine(start: int, count: int, hz: float = 220.0) -> Samples:
    place = np.arange(start, start + count)
    return (0.5 * np.sin(2 * np.pi * hz * place / SPEECH_RATE_HZ)).astype(np.float32)


STEP = float(2 * 0.5 * np.sin(np.pi * 220 / SPEECH_RATE_HZ))


def run(
    seconds: float,
    *,
    ppm: float = 0.0,
    push: int = 480,
    pull: int = 960,
    plugged: Callable[[float], bool] = lambda at_s: True,
    late_s: Callable[[float], float] = lambda at_s: 0.0,
) -> tuple[OwnVoice, Samples, list[float]]:
    """What is heard, and how much waited after each pull, when the microphone's clock is `ppm` fast."""
    voice = OwnVoice()
    heard: list[Samples] = []
    waiting: list[float] = []
    pushed = pulled = 0
    while pulled * pull < seconds * SPEECH_RATE_HZ:
        push_s = (pushed + 1) * push / SPEECH_RATE_HZ / (1 + ppm * 1e-6)
        pull_s = pulled * pull / SPEECH_RATE_HZ
        if push_s + late_s(push_s) <= pull_s:
            if plugged(push_s):
                voice.push(sine(pushed * push, push), push_s)
            pushed += 1
        else:
            heard.append(voice.pull(pull, pull_s))
            waiting.append(voice.waiting_ms)
            pulled += 1
    return voice, np.concatenate(heard), waiting


def largest_step(samples: Samples) -> float:
    return float(np.abs(np.diff(samples, prepend=np.float32(0))).max())


def test_without_a_microphone_there_is_silence() -> None:
    voice = OwnVoice()
    assert not np.concatenate([voice.pull(960, 0.0) for _ in range(10)]).any()
    assert voice.underruns == 0


@pytest.mark.parametrize(("push", "pull"), [(480, 480), (480, 960), (960, 480), (441, 1_024), (1_024, 441)])
def test_the_voice_comes_through_whole_within_two_blocks_and_15_ms(push: int, pull: int) -> None:
    voice, heard, waiting = run(20, push=push, pull=pull)
    assert voice.underruns == voice.overflows == 0
    start = np.flatnonzero(heard)[0] / SPEECH_RATE_HZ
    assert start < 0.1
    assert max(waiting[len(waiting) // 2 :]) < 15 + 2 * push * 1_000 / SPEECH_RATE_HZ
    assert largest_step(heard) <= STEP * 1.02
    assert np.abs(heard[SPEECH_RATE_HZ:]).max() == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("ppm", [-300.0, -100.0, 100.0, 300.0])
def test_drift_between_the_devices_is_absorbed_for_minutes(ppm: float) -> None:
    voice, heard, waiting = run(180, ppm=ppm)
    assert voice.underruns == voice.overflows == 0
    assert max(waiting[len(waiting) // 2 :]) < 40, "it never piles up"
    assert largest_step(heard) <= STEP * 1.02


def test_an_unplugged_microphone_fades_out_and_comes_back_without_a_click() -> None:
    voice, heard, _ = run(6, plugged=lambda at_s: not 2.0 < at_s < 4.0)
    assert voice.underruns == 1
    gone = heard[int(2.2 * SPEECH_RATE_HZ) : int(3.9 * SPEECH_RATE_HZ)]
    assert not gone.any()
    assert np.abs(heard[int(4.5 * SPEECH_RATE_HZ) :]).max() > 0.4
    assert largest_step(heard) <= STEP + 0.5 / 240


def test_a_burst_after_a_stall_is_jumped_over_without_a_click() -> None:
    # For half a second nothing arrives, then everything at once.
    voice, heard, waiting = run(8, late_s=lambda at_s: 2.5 - at_s if 2.0 < at_s < 2.5 else 0.0)
    assert voice.underruns == 1
    assert max(waiting[-50:]) < 80
    assert largest_step(heard) <= 2 * STEP + 0.5 / 240


def test_hiccups_ask_for_a_larger_reserve_and_it_is_given_back() -> None:
    def hiccup(at_s: float) -> float:
        return max(0.0, 0.03 - (at_s % 1.0)) if at_s % 1.0 < 0.03 and at_s < 20 else 0.0

    voice, heard, waiting = run(80, late_s=hiccup)
    assert 1 <= voice.underruns <= 3
    assert largest_step(heard) <= STEP + 0.5 / 240
    assert max(waiting[-50:]) < 40


def test_sound_that_nobody_pulls_is_bounded() -> None:
    voice = OwnVoice()
    for number in range(1_000):
        voice.push(sine(number * 480, 480), number * 0.01)
    assert voice.waiting_ms <= 1_000
    voice.pull(960, 10.0)
    assert voice.waiting_ms < 60


def test_the_microphones_level_is_known_while_it_is_not_on_air() -> None:
    voice = OwnVoice()
    for number in range(100):
        voice.push(sine(number * 480, 480), 0.0)
    assert voice.level.peak_dbfs == pytest.approx(-6, abs=0.1)
