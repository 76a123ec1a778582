"""The virtual microphone and the server's devices, without a server."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from peer_local.devices.pulse import (
    CABLE_SINK,
    CABLE_SOURCE,
    CONFIG_VARIABLE,
    PulseServer,
    VirtualMicrophone,
    name_devices,
    pactl,
)
from peer_local.errors import DeviceError
from tests.unit.sound_fakes import FakePactl


@pytest.mark.parametrize("old", [False, True])
def test_the_virtual_microphone_is_made_once_and_removed_by_who_made_it(old: bool) -> None:
    server = FakePactl(old=old)
    mine, other = VirtualMicrophone(PulseServer(server)), VirtualMicrophone(PulseServer(server))
    assert not mine.exists()
    mine.create()
    mine.create()
    other.create()
    assert mine.exists()
    assert len(server.modules) == 2
    assert {CABLE_SINK, "speaker"} == set(server.sinks)
    other.remove()
    assert mine.exists()
    mine.remove()
    mine.remove()
    assert not mine.exists()
    assert set(server.sinks) == {"speaker"}


def test_a_half_made_microphone_is_completed() -> None:
    server = FakePactl()
    VirtualMicrophone(PulseServer(server)).create()
    server.sources.pop(CABLE_SOURCE)
    mine = VirtualMicrophone(PulseServer(server))
    mine.create()
    mine.remove()
    assert CABLE_SINK in server.sinks
    assert CABLE_SOURCE not in server.sources


def test_a_cable_that_another_program_plays_on_stays() -> None:
    server = FakePactl()
    mine = VirtualMicrophone(PulseServer(server))
    mine.create()
    server.playing = [("speaker", 1), (CABLE_SINK, 2)]
    mine.remove()
    assert mine.exists()
    assert server.playing == [("speaker", 1), (CABLE_SINK, 2)]


def test_a_call_that_records_the_double_is_not_moved_to_a_real_microphone() -> None:
    server = FakePactl()
    mine = VirtualMicrophone(PulseServer(server))
    mine.create()
    server.recording = [(CABLE_SOURCE, 2)]
    mine.remove()
    assert mine.exists()


def test_modules_that_a_restarted_server_gave_the_same_numbers_are_left_alone() -> None:
    server = FakePactl()
    mine = VirtualMicrophone(PulseServer(server))
    mine.create()
    server.restart()
    for name in ("headset", "recorder"):
        server(("load-module", "module-null-sink", f"sink_name={name}"))
    mine.remove()
    assert set(server.sinks) == {"speaker", "headset", "recorder"}

    mine.create()
    mine.remove()
    assert set(server.sinks) == {"speaker", "headset", "recorder"}
    assert not mine.exists()


def test_a_stream_has_moved_when_its_process_plays_on_another_sink() -> None:
    server = FakePactl()
    pulse = PulseServer(server)
    VirtualMicrophone(pulse).create()
    index = pulse.index("output", CABLE_SINK)
    assert index is not None
    assert pulse.index("output", "understudy") is None
    for playing, moved in (
        ([], False),
        ([(CABLE_SINK, 7), ("speaker", 8)], False),
        ([("speaker", 7)], True),
        ([("speaker", 7), (CABLE_SINK, 7)], False),
    ):
        server.playing = playing
        assert pulse.moved("output", index, 7) == moved
    assert not pulse.moved("input", index, 7)


def test_a_stream_on_its_way_between_two_sinks_has_not_moved() -> None:
    on_its_way = 'Sink Input #3\n\tSink: 4294967295\n\tProperties:\n\t\tapplication.process.id = "7"\n'
    assert not PulseServer(lambda _: on_its_way).moved("output", 1, 7)


def test_a_server_that_is_gone_does_not_disturb_the_end() -> None:
    server = FakePactl()
    mine = VirtualMicrophone(PulseServer(server))
    mine.create()
    server.running = False
    mine.remove()
    with pytest.raises(DeviceError, match=r"No sound server is running .*; start PipeWire or PulseAudio"):
        mine.exists()


def test_devices_are_named_for_portaudio_by_what_people_see(tmp_path: Path) -> None:
    base = tmp_path / "base.conf"
    base.touch()
    environment = {CONFIG_VARIABLE: str(base)}
    server = FakePactl()
    server.sinks["usb:1.analog"] = "USB Köpfhörer"
    server.sinks["usb_1_analog"] = "Another"
    named = name_devices(PulseServer(server), tmp_path / "cache", environment)
    assert [(each.name, each.server_name, each.direction, each.default) for each in named.values()] == [
        ("Built-in Speaker", "speaker", "output", True),
        ("USB Köpfhörer", "usb:1.analog", "output", False),
        ("Another", "usb_1_analog", "output", False),
        ("Monitor of Built-in Speaker", "speaker.monitor", "input", False),
        ("Webcam, Mono", "webcam.mono", "input", True),
    ]
    written = (tmp_path / "cache" / "alsa.conf").read_text()
    assert written.startswith(f"<{base}>\n")
    assert 'pcm.sink_usb_1_analog { type pulse device "usb:1.analog" }' in written
    assert 'pcm.sink_usb_1_analog_ { type pulse device "usb_1_analog" }' in written
    assert environment[CONFIG_VARIABLE] == str(tmp_path / "cache" / "alsa.conf")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["alsa.conf"]


def test_a_machine_without_alsa_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="install -y libasound2-plugins"):
        name_devices(PulseServer(FakePactl()), tmp_path, {CONFIG_VARIABLE: str(tmp_path / "none.conf")})


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    base = tmp_path / "base.conf"
    base.touch()
    with pytest.raises(DeviceError, match=r"alsa\.conf cannot be written .*make room for it"):
        name_devices(PulseServer(FakePactl()), base / "sound", {CONFIG_VARIABLE: str(base)})


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (FileNotFoundError(), "pactl is missing; on Debian and Ubuntu `sudo apt-get install -y pulseaudio-utils`"),
        (PermissionError(13, "Permission denied"), r"pactl cannot be run \(.*Permission denied.*\); run the doctor"),
        (subprocess.TimeoutExpired("pactl", 3), "The sound server did not answer within 3 s; restart it"),
        ("Connection failure: Connection refused", "No sound server is running .*start PipeWire or PulseAudio"),
        ("Failure: Module initialization failed", "The sound server refused `pactl info`"),
    ],
)
def test_what_goes_wrong_with_pactl_is_one_sentence(
    outcome: Exception | str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **how: Any) -> Any:
        assert how["timeout"] == 3
        if isinstance(outcome, Exception):
            raise outcome
        return subprocess.CompletedProcess(command, 1, "", outcome + "\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DeviceError, match=sentence):
        pactl(("info",))
