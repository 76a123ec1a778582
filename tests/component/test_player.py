"""What is heard from a SpeechPlayer when the network and the clocks are as they are in life."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.interfaces import Samples
from peer_local.interfaces import RtpPacket
from peer_local.playback.player import SpeechPlayer
from peer_local.settings import PlayoutSettings
from tests.component.playout import START_S, Playout, SlicingDecoder, longest_step, voice
from tests.component.test_opus import encode

RAMP: Samples = np.linspace(0.05, 0.95, 96_000, endpoint=False, dtype=np.float32)
"""Says by its value which sample it is."""


def losing(share: float, jitter_s: float = 0.0, seed: int = 1) -> Callable[[int], list[float]]:
    random = np.random.default_rng(seed)
    return lambda index: [] if random.random() < share else [0.05 + random.uniform(0, jitter_s)]


def error_s(playout: Playout, sample: int, value: float) -> float:
    """How far the timestamp that the player gives for a sample is from what that sample of the RAMP is."""
    timestamp = playout.player.timestamp_at(playout.heard_s(sample))
    assert timestamp is not None
    apart = (playout.place_of(timestamp) - (value - 0.05) / 0.9 * 96_000) % 96_000
    return float(min(apart, 96_000 - apart)) / 48_000


def silence_before(sound: Samples) -> int:
    return int(np.flatnonzero(np.abs(sound) > 1e-6)[0])


@pytest.mark.parametrize("block", [128, 441, 480, 960, 2_048])
def test_a_clean_network_is_heard_bit_for_bit_40_ms_late(block: int) -> None:
    playout = Playout(voice(2, pauses=False), block=block)
    heard = playout.run(1.9)
    start = silence_before(heard)
    assert start / 48_000 < 0.05 + 0.04 + 2 * block / 48_000
    begun = start + 480
    places = np.flatnonzero(playout.sound == heard[begun])
    assert any(np.array_equal(heard[begun:], playout.sound[place:][: len(heard) - begun]) for place in places)
    figures = playout.player.figures()
    assert figures.buffer_ms == pytest.approx(40, abs=5)
    assert (figures.lost, figures.late, figures.concealed_ms, figures.rebuffered) == (0, 0, 0, 0)


def test_a_device_that_asks_in_bursts_and_late_hears_no_gap() -> None:
    playout = Playout(RAMP, report_noise_s=0.008, burst_blocks=4, lateness_s=0.015)
    playout.run(1)
    concealed_ms = playout.player.figures().concealed_ms
    playout.run(20)
    assert concealed_ms <= 40
    assert playout.player.figures().concealed_ms == concealed_ms
    assert playout.player.figures().buffer_ms == pytest.approx(40, abs=8)


@pytest.mark.parametrize("pauses", [True, False])
def test_five_percent_loss_makes_no_click(pauses: bool) -> None:
    playout = Playout(voice(pauses=pauses))
    heard = playout.run(30, losing(0.05))
    assert longest_step(heard) <= 1.05 * longest_step(playout.sound)
    figures = playout.player.figures()
    assert figures.lost > 50
    assert figures.late == 0
    assert figures.concealed_ms < 0.08 * 30_000


@pytest.mark.parametrize("pauses", [True, False])
def test_the_delay_is_short_again_after_a_bad_time(pauses: bool) -> None:
    playout = Playout(voice(pauses=pauses))
    playout.run(30, losing(0.05, 0.05))
    assert 55 < playout.player.figures().buffer_ms < 80
    concealed_ms = playout.player.figures().concealed_ms
    assert concealed_ms < 0.08 * 30_000
    playout.run(8)
    assert playout.player.figures().target_ms == 40
    playout.run(2)
    figures = playout.player.figures()
    assert figures.buffer_ms < 50
    assert figures.concealed_ms - concealed_ms <= 40


def test_packets_out_of_order_lose_nothing() -> None:
    playout = Playout(RAMP)
    playout.run(20, lambda index: [0.05 + 0.025 * (index % 3 == 0)])
    figures = playout.player.figures()
    assert (figures.lost, figures.late, figures.concealed_ms) == (0, 0, 0)


def test_packets_that_come_twice_are_heard_once() -> None:
    playout = Playout(voice())
    twice = playout.run(6, lambda index: [0.05, 0.06, 0.3])
    once = Playout(voice()).run(6)
    assert np.array_equal(twice, once)
    assert playout.player.figures().duplicates > 500
    assert playout.player.figures().late == 0


def test_a_broken_packet_is_concealed() -> None:
    playout = Playout(voice(pauses=False))
    heard = playout.run(4, make=lambda index: playout.packet(index, payload=b"?" if index % 40 == 39 else None))
    assert playout.player.figures().broken in (4, 5)
    assert longest_step(heard) <= 1.05 * longest_step(playout.sound)


def test_a_longer_way_is_followed() -> None:
    playout = Playout(voice())
    playout.run(5)
    playout.run(15, lambda index: [0.17])
    figures = playout.player.figures()
    assert figures.concealed_ms < 500
    assert figures.buffer_ms == pytest.approx(40, abs=8)


def test_a_way_longer_than_any_buffer_is_followed_too() -> None:
    playout = Playout(voice())
    playout.run(5)
    heard = playout.run(15, lambda index: [0.55])
    assert playout.player.figures().rebuffered == 1
    assert playout.player.figures().buffer_ms == pytest.approx(40, abs=8)
    assert np.max(np.abs(heard[48_000:])) > 0.3
    assert longest_step(heard) <= 1.05 * longest_step(playout.sound)


@pytest.mark.parametrize("burst", [True, False], ids=["late", "lost"])
def test_a_stall_of_one_second_fades_and_comes_back_in_time(burst: bool) -> None:
    playout = Playout(voice(pauses=False))
    playout.run(5)
    stalled = range(245, 295)
    heard = playout.run(
        5, lambda index: [0.05] if index not in stalled else [0.05 + (295 - index) * 0.02] if burst else []
    )
    assert longest_step(np.concatenate(playout.heard)) <= 1.05 * longest_step(playout.sound)
    silent = np.abs(heard) < 1e-6
    assert np.all(silent[12_000:36_000])
    assert np.count_nonzero(silent) < 48_000 * 1.05
    figures = playout.player.figures()
    assert figures.rebuffered == 0
    # Never faster than 1 %, and as late as before.
    assert max(each.ratio for each in playout.figures) <= 1.0101
    assert figures.buffer_ms < 80


@pytest.mark.parametrize("sender_ppm, device_ppm", [(200, 0), (-200, 0), (0, 200), (-100, 100)])
def test_clocks_that_run_apart_stay_together(sender_ppm: float, device_ppm: float) -> None:
    playout = Playout(
        RAMP, sender_ppm=sender_ppm, device_ppm=device_ppm, block=960, report_noise_s=0.005, keep_sound=False
    )
    worst_s = 0.0
    for _ in range(15):
        playout.run(19.7)
        value = float(playout.last[0])
        # Not near the edge of the RAMP, where the value says nothing.
        if 0.1 < value < 0.9:
            worst_s = max(worst_s, error_s(playout, playout.samples - playout.block, value))
    figures = playout.player.figures()
    assert worst_s < 0.002
    assert (figures.concealed_ms, figures.inserted_ms, figures.removed_ms, figures.rebuffered) == (0, 0, 0, 0)
    assert figures.buffer_ms == pytest.approx(40, abs=10)
    assert figures.drift_ppm == pytest.approx(sender_ppm - device_ppm, abs=20)


def test_timestamps_are_those_of_what_is_heard_also_with_loss_and_jitter() -> None:
    playout = Playout(RAMP, report_noise_s=0.004)
    way = losing(0.03, 0.03)
    asked: list[float] = []
    for step in range(200):
        playout.run(0.1, way)
        timestamp = playout.player.timestamp_at(playout.now_s + 0.01)
        assert timestamp is None or not asked or timestamp >= asked[-1]
        asked += [] if timestamp is None else [timestamp]
        value = float(playout.heard[-1][0])
        # Not where something made up is heard, nor near the edge of the RAMP.
        if step > 5 and playout.figures[-1].concealed_ms == playout.figures[-8].concealed_ms and 0.1 < value < 0.9:
            assert error_s(playout, playout.samples - playout.block, value) < 0.003
    assert asked[-1] - asked[0] == pytest.approx((len(asked) - 1) * 4_800, abs=2_400)


def test_hush_is_silent_within_10_ms_and_nothing_old_is_heard_after_reopen() -> None:
    playout = Playout(RAMP)
    playout.run(1)
    playout.player.hush()
    hushed = playout.run(0.31)
    assert np.all(hushed[480:] == 0)
    assert longest_step(hushed) < 0.01
    opening = 96_000 + 960 * 75 + 100
    playout.player.reopen(opening - 312)
    heard = playout.run(0.5)
    first = silence_before(heard)
    value = float(heard[first + 300])
    assert value == pytest.approx(RAMP[960 * 75 + 100 + 300], abs=1e-4)
    assert longest_step(heard) < 0.01
    assert np.all(heard[first:] > 0)
    at = playout.player.timestamp_at(playout.heard_s(playout.samples - len(heard) + first))
    assert at == pytest.approx(opening - 312, abs=60)


def test_reopen_at_what_was_heard_already_opens_at_once() -> None:
    playout = Playout(RAMP)
    playout.run(1)
    playout.player.hush()
    playout.run(0.2)
    playout.player.reopen(0)
    assert silence_before(playout.run(0.1)) == 0


def test_a_sender_that_begins_anew_is_heard_soon() -> None:
    playout = Playout(voice(pauses=False))
    playout.run(3)
    playout.player.hush()
    playout.player.reopen(1e12)

    def other(index: int) -> RtpPacket:
        packet = playout.packet(index)
        return RtpPacket(packet.sequence + 9_000, packet.timestamp + 1_900_000_000, False, packet.payload, 0.0)

    heard = playout.run(3, make=other)
    figures = playout.player.figures()
    assert (figures.restarts, figures.rebuffered) == (1, 1)
    assert np.max(np.abs(heard[12_000:])) > 0.3
    timestamp = playout.player.timestamp_at(playout.now_s)
    assert timestamp is not None and timestamp > 1_900_000_000
    assert longest_step(np.concatenate(playout.heard)) <= 1.05 * longest_step(playout.sound)


def test_a_stray_packet_from_another_time_changes_nothing() -> None:
    playout = Playout(voice())
    playout.run(2)
    playout.player.receive(RtpPacket(1, 4_000_000_000, False, b"", playout.now_s))
    playout.run(2)
    assert playout.player.figures().restarts == 0
    assert playout.player.figures().concealed_ms == 0


@pytest.mark.parametrize("pause_s", [0.3, 2.5])
def test_a_device_that_stops_and_comes_back_plays_what_is_new(pause_s: float) -> None:
    playout = Playout(RAMP)
    playout.run(3)
    playout.pause(pause_s)
    playout.run(10)
    figures = playout.player.figures()
    assert figures.rebuffered == 1
    assert figures.buffer_ms == pytest.approx(40, abs=8)
    assert figures.interruptions == 1
    assert error_s(playout, playout.samples - playout.block, float(playout.last[0])) < 0.002


@pytest.mark.parametrize("device_ppm", [0, 3_000])
def test_the_double_is_heard_again_after_a_device_that_stopped_while_the_pace_was_corrected(device_ppm: float) -> None:
    playout = Playout(voice(pauses=False), device_ppm=device_ppm)
    playout.run(3)
    playout.pause(0.3)
    playout.run(1.5)
    assert playout.player.figures().rebuffered == 1
    assert silence_before(playout.run(0.5)) < 480
    assert longest_step(np.concatenate(playout.heard)) <= 1.05 * longest_step(playout.sound)


def test_the_onset_of_speech_is_told() -> None:
    sound = np.concatenate((np.zeros(48_000, np.float32), voice(1, pauses=False)))
    playout = Playout(sound)
    assert playout.player.last_onset_s is None
    heard = playout.run(1.6)
    onset = silence_before(np.where(np.abs(heard) > 0.002, heard, 0))
    assert playout.player.last_onset_s == pytest.approx(playout.heard_s(onset), abs=0.001)
    assert playout.player.last_onset_timestamp == pytest.approx(96_000 + 48_000 - 312, abs=48)


def test_a_click_through_opus_is_heard_at_its_media_time() -> None:
    place = np.arange(96_000) - 60_137
    click = (0.5 * np.exp(-((place / 40) ** 2)) * np.cos(2 * np.pi * 1_500 * place / 48_000)).astype(np.float32)
    payloads = encode(click)
    playout = Playout(click)
    playout.player = SpeechPlayer(playout.rules, clock=lambda: playout.now_s)
    heard = playout.run(1.8, make=lambda index: playout.packet(index, payload=payloads[index]))
    peak = int(np.argmax(heard))
    timestamp = playout.player.timestamp_at(playout.heard_s(peak))
    assert timestamp == pytest.approx(playout.first_timestamp + 60_137, abs=5)
    # 50 ms of network, 20 ms to fill the packet and its way through the buffer, and the device's own latency.
    sent_s = START_S + 60_137 / 48_000
    assert playout.heard_s(peak) - sent_s == pytest.approx(0.05 + 0.03 + 0.03 + 0.0065, abs=0.015)


def test_nothing_is_heard_before_anything_has_come() -> None:
    player = SpeechPlayer(PlayoutSettings(), clock=lambda: START_S)
    assert np.array_equal(player.pull(480, START_S), np.zeros(480, np.float32))
    assert player.timestamp_at(START_S) is None
    assert not player.figures().playing


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60),
            st.sampled_from([0, 1, 480, 48_000 * 20, -48_000 * 90]),
            st.floats(-0.5, 0.5),
            st.sampled_from(["", "hush", "reopen", "ask", "break"]),
        ),
        max_size=120,
    ),
    st.sampled_from([64, 480, 960, 3_000]),
)
def test_no_order_of_arrival_does_harm(steps: list[tuple[int, int, float, str]], block: int) -> None:
    now_s = START_S
    sound = voice(1, pauses=False) * 3
    player = SpeechPlayer(PlayoutSettings(), clock=lambda: now_s, make_decoder=lambda: SlicingDecoder(sound))
    for number, (index, offset, hurry_s, what) in enumerate(steps):
        index += number // 2
        payload = b"" if what == "break" else (index * 960).to_bytes(8, "big")
        player.receive(RtpPacket(index, 96_000 + index * 960 + offset, False, payload, now_s + hurry_s))
        if what == "hush":
            player.hush()
        elif what == "reopen":
            player.reopen(96_000 + index * 960)
        elif what == "ask":
            player.timestamp_at(now_s + hurry_s)
            player.figures()
        heard = player.pull(block, now_s + hurry_s)
        assert heard.shape == (block,) and heard.dtype == np.float32
        assert np.all(np.isfinite(heard)) and np.max(np.abs(heard)) <= 1
        now_s += max(0.0, block / 48_000 + (hurry_s if number % 7 == 0 else 0))
