from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.interfaces import Who
from peer_local.on_air.mixer import FADE_SAMPLES, Mixer

BLOCK = 960


class Tone:
    """A sine that counts what was pulled."""

    def __init__(self, hz: float, level: float = 0.5) -> None:
        self.hz, self.level, self.position = hz, level, 0

    def pull(self, count: int, at_s: float) -> Samples:
        place = np.arange(self.position, self.position + count)
        self.position += count
        samples: Samples = (self.level * np.sin(2 * np.pi * self.hz * place / SPEECH_RATE_HZ)).astype(np.float32)
        return samples

    @property
    def step(self) -> float:
        """The largest step between two of its samples."""
        return float(2 * self.level * np.sin(np.pi * self.hz / SPEECH_RATE_HZ))


class Noise:
    """Speech-like noise: most of it below 1 kHz."""

    def __init__(self, seed: int) -> None:
        white = np.random.default_rng(seed).normal(0, 1, 2 * SPEECH_RATE_HZ)
        low = np.convolve(white, np.hanning(48) / 24, "same")
        self.samples = (0.5 * low / np.abs(low).max()).astype(np.float32)
        self.position = 0
        self.step = float(np.abs(np.diff(self.samples)).max())

    def pull(self, count: int, at_s: float) -> Samples:
        self.position += count
        return self.samples[self.position - count : self.position]


class Broken:
    def __init__(self, result: Callable[[int], Samples]) -> None:
        self.result = result

    def pull(self, count: int, at_s: float) -> Samples:
        return self.result(count)


def play(mixer: Mixer, blocks: int, *changes: tuple[int, Callable[[], None]], count: int = BLOCK) -> Samples:
    """What is heard in `blocks` pulls, each change made before the pull of its number."""
    heard = []
    for number in range(blocks):
        for when, change in changes:
            if when == number:
                change()
        heard.append(mixer.pull(count, number * count / SPEECH_RATE_HZ))
    return np.concatenate(heard)


def largest_step(samples: Samples) -> float:
    return float(np.abs(np.diff(samples)).max())


@pytest.mark.parametrize("who", ["double", "self", "nobody"])
def test_exactly_who_is_on_air_is_heard(who: Who) -> None:
    mixer = Mixer(own_voice=Tone(300), who=who)
    mixer.play(Tone(200))
    heard = play(mixer, 5)[FADE_SAMPLES:]
    expected = {"double": Tone(200).pull(5 * BLOCK, 0), "self": Tone(300).pull(5 * BLOCK, 0)}.get(who)
    assert np.allclose(heard, expected[FADE_SAMPLES:] if expected is not None else 0, atol=1e-6)


def test_without_any_source_there_is_silence() -> None:
    assert not play(Mixer(who="self"), 3).any()


@pytest.mark.parametrize("count", [64, 441, 960, 1_920])
@pytest.mark.parametrize("way", [("double", "self"), ("self", "double"), ("double", "nobody"), ("nobody", "self")])
@pytest.mark.parametrize("sounds", ["tones", "noises", "tone and noise"])
def test_no_switch_clicks(sounds: str, way: tuple[Who, Who], count: int) -> None:
    one: Tone | Noise = Noise(1) if sounds == "noises" else Tone(440)
    other: Tone | Noise = Tone(523) if sounds == "tones" else Noise(2)
    mixer = Mixer(own_voice=other, who=way[0])
    mixer.play(one)
    heard = play(mixer, 12, (5, lambda: mixer.switch(way[1])), count=count)
    # Where both swing against each other, the ramp itself adds a little: at most pi / 2 / FADE_SAMPLES of a swing.
    assert largest_step(heard) <= max(one.step, other.step) + 1.0 * np.pi / 2 / FADE_SAMPLES


def test_sines_switch_without_any_step_above_their_own() -> None:
    one, other = Tone(440), Tone(440)
    mixer = Mixer(own_voice=other)
    mixer.play(one)
    for number in range(6):
        who: Who = "self" if number % 2 else "double"
        assert largest_step(play(mixer, 4, (1, partial(mixer.switch, who)))[BLOCK:]) <= one.step * 1.001


def test_a_takeover_is_done_within_10_ms_of_sound() -> None:
    mixer = Mixer(own_voice=Tone(300))
    mixer.play(Tone(200))
    heard = play(mixer, 6, (3, lambda: mixer.switch("self")))[3 * BLOCK :]
    own = Tone(300).pull(6 * BLOCK, 0)[3 * BLOCK :]
    assert np.allclose(heard[FADE_SAMPLES:], own[FADE_SAMPLES:], atol=1e-6)


def test_the_kill_switch_is_silent_after_10_ms() -> None:
    mixer = Mixer(own_voice=Tone(300))
    mixer.play(Tone(200))
    heard = play(mixer, 6, (3, lambda: mixer.switch("nobody")))[3 * BLOCK :]
    assert heard[: FADE_SAMPLES - 10].any() and not heard[FADE_SAMPLES:].any()


def test_who_is_not_heard_does_not_fall_behind() -> None:
    double, own = Tone(200), Tone(300)
    mixer = Mixer(own_voice=own)
    mixer.play(double)
    play(mixer, 10, (4, lambda: mixer.switch("self")))
    assert double.position == own.position == 10 * BLOCK


def test_switching_back_and_forth_within_a_fade_is_smooth() -> None:
    one, other = Tone(440), Tone(440)
    mixer = Mixer(own_voice=other)
    mixer.play(one)
    play(mixer, 100, count=48)
    names: list[Who] = ["self", "double", "nobody", "double", "self", "nobody"]
    heard = np.concatenate(
        [play(mixer, 4, (0, partial(mixer.switch, who)), count=48) for who in names for _ in range(3)]
    )
    assert float(np.abs(np.diff(heard)).max()) <= one.step + 0.5 * np.pi / 2 / FADE_SAMPLES


def test_a_new_connection_takes_over_from_the_old_one_without_a_click() -> None:
    old, new = Tone(440), Tone(440)
    mixer = Mixer()
    mixer.play(old)
    heard = play(mixer, 8, (4, lambda: mixer.play(new)))
    assert largest_step(heard) <= old.step + 1.0 * np.pi / 2 / FADE_SAMPLES
    assert old.position == 5 * BLOCK, "the old one is let go after its fade"
    assert new.position == 4 * BLOCK
    heard = play(mixer, 3, (1, lambda: mixer.play(None)))
    assert largest_step(heard[1:]) <= old.step + 0.5 * np.pi / 2 / FADE_SAMPLES
    assert not heard[-BLOCK:].any()


def _raise(count: int) -> Samples:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    "result",
    [_raise, lambda count: np.zeros(count + 1, np.float32), lambda count: np.full(count, np.nan, np.float32)],
    ids=["raises", "too long", "not a number"],
)
def test_a_broken_source_is_silence_and_comes_back_softly(result: Callable[[int], Samples]) -> None:
    tone = Tone(300, 0.9)
    broken = False
    mixer = Mixer()
    mixer.play(Broken(lambda count: result(count) if broken else tone.pull(count, 0)))
    before = play(mixer, 4, count=500)
    broken = True
    silent = play(mixer, 3, count=500)
    broken = False
    after = play(mixer, 3, count=500)
    assert mixer.failures == 3
    assert not silent[FADE_SAMPLES:].any()
    assert largest_step(np.concatenate([before, silent, after])) <= tone.step + 0.9 * np.pi / 2 / FADE_SAMPLES
    assert np.abs(after).max() > 0.5


def test_taps_get_exactly_what_was_put_out_and_one_that_fails_disturbs_nobody() -> None:
    mixer = Mixer()
    mixer.play(Tone(200))
    taken: list[tuple[Samples, float]] = []

    def failing(samples: Samples, at_s: float) -> None:
        raise OSError("full")

    def taking(samples: Samples, at_s: float) -> None:
        taken.append((samples, at_s))

    mixer.add_tap(failing)
    mixer.add_tap(taking)
    heard = play(mixer, 3)
    assert np.array_equal(np.concatenate([samples for samples, _ in taken]), heard)
    assert [at_s for _, at_s in taken] == [0.0, 0.02, 0.04]
    assert mixer.failures == 3
    mixer.remove_tap(taking)
    play(mixer, 1)
    assert len(taken) == 3


def test_the_level_is_that_of_what_is_put_out() -> None:
    mixer = Mixer()
    mixer.play(Tone(1_000, 0.5))
    assert mixer.level.peak_dbfs == mixer.level.rms_dbfs == -90
    play(mixer, 100)
    assert mixer.level.peak_dbfs == pytest.approx(-6.0, abs=0.1)
    assert mixer.level.rms_dbfs == pytest.approx(-9.0, abs=0.2)
    mixer.switch("nobody")
    play(mixer, 500)
    assert mixer.level.peak_dbfs == mixer.level.rms_dbfs == -90
