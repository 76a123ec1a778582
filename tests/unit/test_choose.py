"""From settings to devices."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peer_local.devices.choose import Sound
from peer_local.devices.paced import PacedOutput
from peer_local.devices.pulse import CABLE_SINK, CONFIG_VARIABLE, PulseServer
from peer_local.errors import DeviceError
from peer_local.settings import EarsSettings, MicrophoneSettings
from tests.unit.sound_fakes import FakePactl, Machine, Notes, Ramp, device

WINDOWS_CABLE = "CABLE Input (VB-Audio Virtual Cable)"
Build = Callable[..., Sound]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def server(machine: Machine) -> FakePactl:
    return FakePactl()


@pytest.fixture
def build(
    machine: Machine, server: FakePactl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Sound]]:
    """A Sound on the fake machine; on Linux its devices are the fake server's."""
    base = tmp_path / "base.conf"
    base.touch()
    monkeypatch.setenv(CONFIG_VARIABLE, str(base))
    built: list[Sound] = []

    def load(platform: str) -> Any:
        library = machine.library()
        if platform == "linux":
            start = library._initialize

            def initialize() -> None:
                machine.devices[:] = _pcms(tmp_path / "alsa.conf")
                start()

            library._initialize = initialize  # type: ignore[method-assign]
            library._terminate()
            library._initialize()
        return library

    def make(
        platform: str, microphone: MicrophoneSettings | None = None, ears: EarsSettings | None = None, **more: Any
    ) -> Sound:
        sound = Sound(
            microphone or MicrophoneSettings(),
            ears or EarsSettings(),
            platform=platform,
            server=PulseServer(server),
            load=lambda: load(platform),
            directory=tmp_path,
            **more,
        )
        built.append(sound)
        return sound

    yield make
    for sound in built:
        sound.close()


def _pcms(config: Path) -> list[dict[str, Any]]:
    lines = config.read_text().splitlines() if config.is_file() else []
    names = [line.split()[0].removeprefix("pcm.") for line in lines if line.startswith("pcm.")]
    return [device(name, "ALSA", outputs=32, inputs=32) for name in names]


def test_on_linux_the_virtual_microphone_is_made_played_to_and_taken_away(build: Build, server: FakePactl) -> None:
    sound = build("linux")
    assert sound.output()(Ramp()).name == "Understudy (cable)"
    assert CABLE_SINK in server.sinks
    sound.close()
    assert CABLE_SINK not in server.sinks


def test_on_linux_ears_that_open_first_do_not_hide_the_microphone(build: Build, server: FakePactl) -> None:
    sound = build("linux")
    output, ears = sound.output(), sound.ears()
    assert ears is not None
    assert ears(Notes(), 16_000).name == "Monitor of Built-in Speaker"
    assert output(Ramp()).name == "Understudy (cable)"


@pytest.mark.parametrize("kind", ["auto", "virtual"])
def test_a_named_device_is_played_to_and_no_cable_is_made(build: Build, server: FakePactl, kind: Any) -> None:
    sound = build("linux", MicrophoneSettings(kind=kind, device="built-in"))
    assert sound.output()(Ramp()).name == "Built-in Speaker"
    assert CABLE_SINK not in server.sinks


def test_nothing_is_made_when_no_microphone_is_wanted(build: Build, server: FakePactl) -> None:
    output = build("linux", MicrophoneSettings(kind="none")).output()(Ramp())
    assert isinstance(output, PacedOutput)
    output.close()
    assert CABLE_SINK not in server.sinks


@pytest.mark.parametrize("kind", ["auto", "virtual"])
def test_a_sound_server_that_starts_after_the_program_gets_its_microphone(
    build: Build, server: FakePactl, kind: Any
) -> None:
    server.running = False
    opener = build("linux", MicrophoneSettings(kind=kind)).output()
    with pytest.raises(DeviceError, match=r"No sound server is running .*; start PipeWire or PulseAudio"):
        opener(Ramp())
    server.running = True
    assert opener(Ramp()).name == "Understudy (cable)"


def test_a_microphone_whose_cable_another_program_took_away_is_made_again(build: Build, server: FakePactl) -> None:
    sound = build("linux")
    opener, ears = sound.output(), sound.ears()
    assert ears is not None
    ears(Notes(), 16_000)  # the list of devices is not read again while they are open
    output = opener(Ramp())
    output.close()
    server.restart()
    assert opener(Ramp()).name == "Understudy (cable)"
    assert CABLE_SINK in server.sinks


def test_the_double_falls_silent_when_the_server_moves_it_to_a_loudspeaker(
    build: Build, server: FakePactl, machine: Machine
) -> None:
    sound = build("linux")
    output = sound.output()(Ramp())
    server.playing = [(CABLE_SINK, os.getpid())]
    sound.watch.check()
    assert output.alive
    assert machine.streams[-1].play(480).any()
    server.restart()
    assert server.playing == [("speaker", os.getpid())]
    sound.watch.check()
    assert not output.alive
    assert not machine.streams[-1].open


def test_a_server_that_plays_a_missing_cable_on_the_loudspeaker_is_refused(
    build: Build, server: FakePactl, machine: Machine
) -> None:
    server.playing = [("speaker", os.getpid())]
    with pytest.raises(DeviceError, match="is gone; reconnect it"):
        build("linux").output()(Ramp())
    assert not machine.streams[-1].open


def test_a_full_disk_says_so(build: Build, server: FakePactl, tmp_path: Path) -> None:
    (tmp_path / "alsa.conf").mkdir()
    with pytest.raises(DeviceError, match=r"alsa\.conf cannot be written"):
        build("linux").output()(Ramp())


@pytest.mark.parametrize(
    ("platform", "next_step"), [("win32", "install it from vb-audio.com"), ("darwin", "brew install blackhole-2ch")]
)
def test_without_a_cable_virtual_says_what_to_install(build: Build, platform: str, next_step: str) -> None:
    with pytest.raises(DeviceError, match=next_step):
        build(platform, MicrophoneSettings(kind="virtual")).output()(Ramp())


def test_a_cable_that_is_lost_in_the_call_is_waited_for(build: Build, machine: Machine) -> None:
    machine.devices.append(device("BlackHole 2ch", outputs=2, inputs=2))
    opener = build("darwin").output()
    output = opener(Ramp())
    machine.devices.clear()
    machine.streams[-1].unplug()
    assert not output.alive
    output.close()
    with pytest.raises(DeviceError, match="BlackHole is not installed"):
        opener(Ramp())
    machine.devices.append(device("BlackHole 2ch", outputs=2, inputs=2))
    assert opener(Ramp()).name == "BlackHole 2ch"


def test_on_windows_the_cable_is_reached_by_wasapi(build: Build, machine: Machine) -> None:
    machine.devices += [
        device(WINDOWS_CABLE[:31], "MME", outputs=2),
        device(WINDOWS_CABLE, "Windows WASAPI", outputs=2),
    ]
    assert build("win32").output()(Ramp()).name == WINDOWS_CABLE
    assert machine.streams[-1].how["device"] == 1


def test_the_calls_sound_is_the_monitor_of_the_output_that_it_plays_on(build: Build, server: FakePactl) -> None:
    server.sinks["usb"] = "USB Headset"
    server.sources["usb.monitor"] = "Monitor of USB Headset"
    ears = build("linux", ears=EarsSettings(device="headset")).ears()
    assert ears is not None
    assert ears(Notes(), 16_000).name == "Monitor of USB Headset"


def test_the_ears_follow_the_call_to_a_headset_that_is_connected_in_the_call(
    build: Build, server: FakePactl, machine: Machine
) -> None:
    sound = build("linux")
    opener, output = sound.ears(), sound.output()(Ramp())
    assert opener is not None
    ears = opener(Notes(), 16_000)
    sound.watch.check()
    assert ears.alive
    server.sinks["usb"] = "USB Headset"
    server.sources["usb.monitor"] = "Monitor of USB Headset"
    server.default_sink = "usb"
    sound.watch.check()
    assert not ears.alive
    ears.close()
    ears = opener(Notes(), 16_000)
    assert ears.name == "Monitor of USB Headset"
    assert not output.alive  # PortAudio reads its list only when nothing is open; it is opened again at once
    sound.watch.check()
    assert ears.alive


def test_ears_that_are_told_where_the_call_plays_stay_there(build: Build, server: FakePactl) -> None:
    sound = build("linux", ears=EarsSettings(device="built-in"))
    opener = sound.ears()
    assert opener is not None
    ears = opener(Notes(), 16_000)
    server.default_sink = "usb"
    sound.watch.check()
    assert ears.alive


def test_ears_that_the_server_moved_to_the_doubles_own_voice_are_closed(build: Build, server: FakePactl) -> None:
    sound = build("linux")
    opener = sound.ears()
    assert opener is not None
    ears = opener(Notes(), 16_000)
    server.recording = [("webcam.mono", os.getpid())]
    sound.watch.check()
    assert not ears.alive


def test_a_device_that_is_nowhere_does_not_interrupt_the_others(build: Build) -> None:
    sound = build("linux", MicrophoneSettings(real="Rode"))
    output, real = sound.output()(Ramp()), sound.real_microphone()
    assert real is not None
    with pytest.raises(DeviceError, match="No sound input is named 'Rode'"):
        real(Notes(), 48_000)
    assert output.alive


def test_the_double_is_not_made_to_hear_itself(build: Build, server: FakePactl) -> None:
    server.default_sink = CABLE_SINK
    ears = build("linux").ears()
    assert ears is not None
    with pytest.raises(DeviceError, match=r"default output is no loudspeaker.*UNDERSTUDY_EARS__DEVICE"):
        ears(Notes(), 16_000)


@pytest.mark.parametrize("default", ["", "speaker.monitor", "understudy_microphone_source"])
def test_a_default_microphone_that_is_no_persons_is_refused(build: Build, server: FakePactl, default: str) -> None:
    server.default_source = default
    real = build("linux", MicrophoneSettings(real="default")).real_microphone()
    assert real is not None
    with pytest.raises(DeviceError, match="name one with UNDERSTUDY_MICROPHONE__REAL"):
        real(Notes(), 48_000)


def test_the_real_microphone_is_the_default_or_the_named_one(build: Build, machine: Machine) -> None:
    assert build("linux").real_microphone() is None
    real = build("linux", MicrophoneSettings(real="default")).real_microphone()
    assert real is not None
    assert real(Notes(), 48_000).name == "Webcam, Mono"


def test_a_sound_server_that_starts_later_is_found(build: Build, server: FakePactl) -> None:
    server.running = False
    sound = build("linux")
    ears = sound.ears()
    assert ears is not None
    with pytest.raises(DeviceError, match="No sound server is running"):
        ears(Notes(), 16_000)
    server.running = True
    assert ears(Notes(), 16_000).name == "Monitor of Built-in Speaker"
    assert CABLE_SINK not in server.sinks


def test_ears_of_other_kinds(build: Build, machine: Machine, tmp_path: Path) -> None:
    assert build("linux", ears=EarsSettings(source="none")).ears() is None
    microphone = build("linux", ears=EarsSettings(source="microphone", device="webcam")).ears()
    assert microphone is not None
    assert microphone(Notes(), 16_000).name == "Webcam, Mono"
    with pytest.raises(DeviceError, match="set UNDERSTUDY_EARS__FILE"):
        build("linux", ears=EarsSettings(source="file")).ears()
    missing = build("linux", ears=EarsSettings(source="file", file=tmp_path / "none.wav")).ears()
    assert missing is not None
    with pytest.raises(DeviceError, match="name a WAV file"):
        missing(Notes(), 16_000)


def test_on_macos_the_call_comes_through_a_second_blackhole(build: Build, machine: Machine) -> None:
    machine.devices.append(device("BlackHole 2ch", outputs=2, inputs=2))
    ears = build("darwin").ears()
    assert ears is not None
    with pytest.raises(DeviceError, match="brew install blackhole-16ch"):
        ears(Notes(), 16_000)
    machine.devices.append(device("BlackHole 16ch", outputs=16, inputs=16))
    assert ears(Notes(), 16_000).name == "BlackHole 16ch"


def test_on_windows_the_call_is_recorded_by_soundcard(build: Build) -> None:
    def load() -> Any:
        raise DeviceError("The package soundcard does not start; run `make setup`.")

    ears = build("win32", load_soundcard=load).ears()
    assert ears is not None
    with pytest.raises(DeviceError, match="soundcard does not start"):
        ears(Notes(), 16_000)
