"""Sound devices by PortAudio, with devices that fail like real ones."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from peer_local.devices import streams
from peer_local.devices.sound import PortAudio
from peer_local.devices.sound_devices import Endpoint
from peer_local.errors import DeviceError
from tests.unit.sound_fakes import BUSY, Clock, Failing, Machine, Notes, Ramp, Sine, device

CABLE = "BlackHole 2ch"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine() -> Machine:
    return Machine(device("Speaker", outputs=2, default=True), device(CABLE, outputs=2, inputs=2))


@pytest.fixture
def portaudio(machine: Machine, clock: Clock) -> Iterator[PortAudio]:
    opened = PortAudio(load=machine.library, now=clock)
    yield opened
    machine.hangs.set()
    opened.close()


def test_mono_sound_reaches_both_channels_in_order(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    (stream,) = machine.streams
    assert (stream.how["samplerate"], stream.how["latency"], stream.how["blocksize"]) == (48_000, 0.04, 480)
    heard = np.concatenate([stream.play(480), stream.play(100)])
    assert np.array_equal(heard[:, 0] * 65_536, np.arange(580))
    assert np.array_equal(heard[:, 0], heard[:, 1])
    assert output.alive
    assert output.name == CABLE


def test_the_time_of_a_sample_is_the_devices_in_this_machines_clock(
    portaudio: PortAudio, machine: Machine, clock: Clock
) -> None:
    source = Ramp()
    portaudio.open_output(CABLE, source, 40)
    (stream,) = machine.streams
    stream.play(480)  # it says nothing yet: the stream's own 50 ms
    clock.now_s += 0.01
    stream.play(480, current_s=5_000.0, dac_s=5_000.03)
    clock.now_s += 0.013  # 3 ms late, as when another thread held Python's lock
    stream.play(480, current_s=5_000.01, dac_s=5_000.04)
    assert [round(at_s, 4) for _, at_s in source.pulls] == [100.05, 100.04, 100.05]


def test_a_source_that_raises_is_silence_and_counted(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Failing(), 40)
    (stream,) = machine.streams
    assert not stream.play(480).any()
    assert not stream.play(480).any()
    assert output.failed_pulls == 2
    assert output.alive


def test_an_underrun_is_counted(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    machine.streams[0].play(480, underflow=True)
    machine.streams[0].play(480)
    assert output.underflows == 1


@pytest.mark.parametrize("only", [{"rates_hz": (44_100,), "rate_hz": 44_100}, {"channels": (2,)}, {"channels": (1,)}])
def test_a_device_with_its_own_format_still_plays_the_same_tone(machine: Machine, clock: Clock, only: Any) -> None:
    machine.devices.append(device("Odd", outputs=2, **only))
    portaudio = PortAudio(load=machine.library, now=clock)
    portaudio.open_output("Odd", Sine(1_000), 40)
    (stream,) = machine.streams
    rate_hz = stream.how["samplerate"]
    heard = np.concatenate([stream.play(rate_hz // 100) for _ in range(100)])[rate_hz // 2 :, 0]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * rate_hz / len(heard) == pytest.approx(1_000, abs=2)
    portaudio.close()


def test_a_converted_sample_is_heard_when_its_source_was_told(machine: Machine, clock: Clock) -> None:
    machine.devices.append(device("Odd", outputs=1, rate_hz=44_100, rates_hz=(44_100,)))
    portaudio = PortAudio(load=machine.library, now=clock)

    class Click:
        """One sample, and when it was said to be heard."""

        position = 0
        heard_s = 0.0

        def pull(self, count: int, at_s: float) -> Any:
            samples = np.zeros(count, np.float32)
            if self.position <= 24_000 < self.position + count:
                samples[24_000 - self.position] = 1.0
                self.heard_s = at_s + (24_000 - self.position) / 48_000
            self.position += count
            return samples

    click = Click()
    portaudio.open_output("Odd", click, 40)
    heard = []
    for block in range(100):
        clock.now_s = 100.0 + block / 100
        heard.append(machine.streams[0].play(441)[:, 0])
    peak_s = 100.0 + np.argmax(np.concatenate(heard)) / 44_100 + 0.05
    assert click.heard_s == pytest.approx(peak_s, abs=0.0005)
    portaudio.close()


def test_a_missing_device_names_what_there_is(portaudio: PortAudio) -> None:
    with pytest.raises(DeviceError, match="No sound output is named 'CABLE'; there are: Speaker; BlackHole 2ch"):
        portaudio.open_output("CABLE", Ramp(), 40)


def test_a_busy_device_says_so(machine: Machine, portaudio: PortAudio) -> None:
    machine.devices[1]["error"] = BUSY
    with pytest.raises(DeviceError, match="BlackHole 2ch is in use by another program; close that"):
        portaudio.open_output(CABLE, Ramp(), 40)


def test_a_device_that_takes_no_format_says_so(machine: Machine, portaudio: PortAudio) -> None:
    machine.devices[1]["channels"] = (7,)
    with pytest.raises(DeviceError, match="takes neither 48 kHz nor its own 48000 Hz"):
        portaudio.open_output(CABLE, Ramp(), 40)


def test_an_unplugged_device_is_found_again_when_it_comes_back(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    cable = machine.devices.pop()
    machine.streams[0].unplug()
    assert not output.alive
    output.close()
    with pytest.raises(DeviceError, match="No sound output is named"):
        portaudio.open_output(CABLE, Ramp(), 40)
    machine.devices.insert(0, cable)
    assert portaudio.open_output(CABLE, Ramp(), 40).alive


def test_a_device_that_comes_while_another_is_open_says_how_it_is_found(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    machine.devices.append(device("Headset", inputs=1))
    with pytest.raises(
        DeviceError, match=r"No sound input is named 'Headset'; .*If it was connected only now, restart"
    ):
        portaudio.open_input("Headset", Notes(), 48_000)
    assert not portaudio.refresh()
    assert output.alive
    assert portaudio.refresh(force=True)
    assert not output.alive
    output.close()
    assert portaudio.open_input("Headset", Notes(), 48_000).alive


def test_a_stream_that_two_threads_close_is_closed_once(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    machine.hangs.clear()
    closing = [threading.Thread(target=output.close) for _ in range(2)]
    for thread in closing:
        thread.start()
    machine.hangs.set()
    for thread in closing:
        thread.join(5)
    assert machine.streams[0].closed == 1


def test_a_device_that_stops_calling_is_dead_after_a_second(
    portaudio: PortAudio, machine: Machine, clock: Clock
) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    clock.now_s += 2.9  # an idle null sink wakes late
    assert output.alive
    clock.now_s += 1
    machine.streams[0].play(480)
    clock.now_s += 0.9
    assert output.alive
    clock.now_s += 0.2
    assert not output.alive


def test_a_device_that_never_calls_is_dead(portaudio: PortAudio, clock: Clock) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    clock.now_s += streams.STARTING_S + 0.1
    assert not output.alive


def test_nothing_is_pulled_after_close(portaudio: PortAudio, machine: Machine) -> None:
    source = Ramp()
    output = portaudio.open_output(CABLE, source, 40)
    output.close()
    output.close()
    assert not output.alive
    assert not machine.streams[0].open
    assert not machine.streams[0].play(480).any()
    assert source.pulls == []


def test_a_driver_that_hangs_does_not_hang_who_closes(
    portaudio: PortAudio, machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("peer_local.devices.sound.CLOSE_S", 0.01)
    monkeypatch.setattr("peer_local.devices.sound.OPEN_S", 0.01)
    output = portaudio.open_output(CABLE, Ramp(), 40)
    machine.hangs.clear()
    output.close()
    assert [record.message for record in caplog.records] == ["sound_device_hangs"]
    with pytest.raises(DeviceError, match="waits for a device that does not answer"):
        portaudio.devices()


def test_a_driver_that_hangs_does_not_keep_the_program_from_ending(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer_local.devices.sound.CLOSE_S", 0.01)
    forgotten: list[object] = []
    monkeypatch.setattr("atexit.unregister", forgotten.append)
    portaudio = PortAudio(load=machine.library)
    portaudio.open_output(CABLE, Ramp(), 40)
    machine.hangs.clear()
    portaudio.close()
    assert len(forgotten) == 1
    machine.hangs.set()


def test_the_list_is_read_anew_only_while_nothing_is_open(portaudio: PortAudio, machine: Machine) -> None:
    output = portaudio.open_output(CABLE, Ramp(), 40)
    machine.devices.append(device("USB Microphone", inputs=1))
    assert not portaudio.refresh()
    assert "USB Microphone" not in [each.name for each in portaudio.devices()]
    output.close()
    assert portaudio.refresh()
    assert "USB Microphone" in [each.name for each in portaudio.devices()]


def test_a_recording_is_mono_at_the_rate_asked_for_with_the_time_of_its_first_sample(
    machine: Machine, clock: Clock
) -> None:
    machine.devices.append(device("Mic", inputs=2, rates_hz=(48_000,), default=True))
    portaudio = PortAudio(load=machine.library, now=clock)
    notes = Notes()
    recorder = portaudio.open_input(None, notes, 16_000)
    (stream,) = machine.streams
    for block in range(100):
        clock.now_s = 100.0 + block / 100
        left = np.zeros((480, 2), np.float32)
        if block == 50:
            left[0, :] = (0.2, 0.8)
        stream.record(left, current_s=7.0 + block / 100, adc_s=6.98 + block / 100)
    starts = [(at_s, len(samples)) for samples, at_s in notes.pushes]
    ends = [at_s + count / 16_000 for at_s, count in starts]
    assert np.allclose(ends[:-1], [at_s for at_s, _ in starts[1:]], atol=1e-6)
    peak_s = starts[0][0] + np.argmax(notes.samples) / 16_000
    assert peak_s == pytest.approx(100.5 - 0.02, abs=0.0005)
    assert len(notes.samples) == pytest.approx(16_000, abs=800)
    assert recorder.alive
    portaudio.close()


def test_a_listener_that_raises_is_counted(portaudio: PortAudio, machine: Machine) -> None:
    recorder = portaudio.open_input(CABLE, Failing(), 48_000)
    machine.streams[0].record(np.zeros((480, 2), np.float32))
    assert recorder.failed_pushes == 1
    assert recorder.alive


def test_servers_devices_have_the_names_that_people_see(machine: Machine, clock: Clock) -> None:
    machine.devices[:] = [
        device("sink_understudy", "ALSA", outputs=32, inputs=32),
        device("hw:0", "ALSA", outputs=2),
    ]
    named = {"sink_understudy": Endpoint("Understudy (cable)", "understudy", "output", default=True)}
    portaudio = PortAudio(lambda: named, load=machine.library, now=clock)
    assert [str(each) for each in portaudio.devices()] == ["Understudy (cable) (PulseAudio)", "hw:0 (ALSA)"]
    portaudio.open_output("Understudy (cable)", Ramp(), 40)
    assert machine.streams[0].how["channels"] == 1
    portaudio.close()


def test_rates_are_asked_of_the_device(machine: Machine, portaudio: PortAudio) -> None:
    machine.devices[0]["rates_hz"] = (44_100, 48_000)
    assert portaudio.rates_hz(portaudio.devices()[0]) == (48_000, 44_100)


def test_a_machine_without_portaudio_says_what_to_install() -> None:
    def missing() -> Any:
        raise DeviceError("PortAudio does not start; install it.")

    with pytest.raises(DeviceError, match="install it"):
        PortAudio(load=missing).devices()


def test_the_private_names_of_sounddevice_are_there() -> None:
    try:
        import sounddevice
    except OSError:
        pytest.skip("needs PortAudio")
    assert sounddevice._lib is not None
    assert callable(sounddevice._exit_handler)
    assert callable(sounddevice._initialize)
    assert callable(sounddevice._terminate)
