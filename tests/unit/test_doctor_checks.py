"""Every verdict of every check on the machine, on each operating system."""

from pathlib import Path
from typing import Any

import pytest

from peer_local.doctor import devices, system
from peer_local.doctor.finding import Finding
from peer_local.doctor.fix import fetch_weights, make_cable
from peer_local.errors import DeviceError
from tests.unit.doctor_machine import FakeMachine, settings, sound

SYSTEMS = ("linux", "win32", "darwin")


def brief(finding: Finding) -> tuple[str, str]:
    """The verdict and what was found; whatever is wrong has a next step, whatever is right has none."""
    assert bool(finding.next_step) == (finding.verdict != "ok"), finding
    assert "\n" not in finding.found + (finding.next_step or "")
    return finding.verdict, finding.found


@pytest.mark.parametrize("platform", SYSTEMS)
def test_a_good_machine_has_no_next_steps(platform: str) -> None:
    machine = FakeMachine(platform)
    chosen = settings(camera={"webcam": "0"}, microphone={"real": "default"})
    for check in (
        *(system.python, system.processor, system.memory, system.gpu, system.weights),
        *(devices.virtual_camera, devices.webcam, devices.virtual_microphone, devices.real_microphone),
        devices.call_sound,
    ):
        assert brief(check(machine, chosen))[0] == "ok"


@pytest.mark.parametrize("version", [(3, 10, 12), (3, 14, 0)])
@pytest.mark.parametrize(("platform", "command"), [("linux", "apt-get"), ("win32", "winget"), ("darwin", "brew")])
def test_another_python_fails(platform: str, command: str, version: tuple[int, int, int]) -> None:
    machine = FakeMachine(platform)
    machine.python = version
    finding = system.python(machine, settings())
    assert brief(finding)[0] == "fail" and command in str(finding.next_step)


@pytest.mark.parametrize(
    ("cores", "avx2", "expected"),
    [
        (8, None, ("ok", "8 cores")),
        (2, True, ("ok", "2 cores, AVX2")),
        (1, True, ("warning", "1 core, AVX2")),
        (4, False, ("warning", "4 cores, no AVX2")),
    ],
)
def test_the_processor(cores: int, avx2: bool | None, expected: tuple[str, str]) -> None:
    machine = FakeMachine()
    machine.core_count, machine.avx2 = cores, avx2
    assert brief(system.processor(machine, settings())) == expected


@pytest.mark.parametrize(("gib", "verdict"), [(16, "ok"), (3, "warning"), (1, "fail")])
def test_memory(gib: int, verdict: str) -> None:
    machine = FakeMachine()
    machine.memory = gib << 30
    assert brief(system.memory(machine, settings())) == (verdict, f"{gib}.0 GiB")


@pytest.mark.parametrize(
    ("gpus", "asr", "expected"),
    [
        (0, {}, ("ok", "none; the processor does it")),
        (1, {}, ("ok", "1 CUDA device")),
        (0, {"device": "cuda"}, ("fail", "none, but asr.device asks for one")),
        (0, {"model": "whisper-large-v3-turbo"}, ("warning", "none for whisper-large-v3-turbo")),
    ],
)
def test_the_gpu(gpus: int, asr: dict[str, str], expected: tuple[str, str]) -> None:
    machine = FakeMachine()
    machine.gpus = gpus
    assert brief(system.gpu(machine, settings(asr=asr))) == expected


@pytest.mark.parametrize(
    ("gpus", "missing", "expected"),
    [
        (0, [], ("ok", "whisper-base, smart-turn-v3.2")),
        (1, [], ("ok", "whisper-large-v3-turbo, smart-turn-v3.2")),
        (0, ["whisper-base"], ("fail", "missing or damaged: whisper-base")),
        (0, ["smart-turn-v3.2"], ("fail", "missing or damaged: smart-turn-v3.2")),
        (
            1,
            ["whisper-large-v3-turbo"],
            ("warning", "whisper-large-v3-turbo missing; whisper-base, smart-turn-v3.2 in its place"),
        ),
        (
            1,
            ["whisper-large-v3-turbo", "smart-turn-v3.2"],
            ("fail", "missing or damaged: whisper-large-v3-turbo, smart-turn-v3.2"),
        ),
    ],
)
def test_weights(gpus: int, missing: list[str], expected: tuple[str, str]) -> None:
    machine = FakeMachine()
    machine.gpus, machine.missing = gpus, set(missing)
    assert brief(system.weights(machine, settings())) == expected


def test_weights_that_no_engine_loads_are_not_asked_for() -> None:
    machine = FakeMachine()
    machine.missing = {"whisper-base", "smart-turn-v3.2"}
    fake = settings(asr={"engine": "scripted"}, turn={"engine": "always"})
    assert brief(system.weights(machine, fake)) == ("ok", "none are needed")
    assert brief(system.weights(machine, settings(ears={"source": "none"}))) == ("ok", "none are needed")


@pytest.mark.parametrize(("kind", "verdict"), [("auto", "warning"), ("virtual", "fail")])
@pytest.mark.parametrize(
    ("platform", "hint"), [("linux", "modprobe v4l2loopback"), ("win32", "OBS"), ("darwin", "OBS")]
)
def test_a_missing_camera(platform: str, hint: str, kind: str, verdict: str) -> None:
    machine = FakeMachine(platform)
    machine.camera = DeviceError("There is no virtual camera: install something and start again.")
    finding = devices.virtual_camera(machine, settings(camera={"kind": kind}))
    assert brief(finding) == (verdict, "There is no virtual camera")
    assert hint in str(finding.next_step)


def test_a_camera_in_use_or_switched_off() -> None:
    machine = FakeMachine()
    machine.camera = DeviceError("Another program feeds the virtual camera: end it and start again (busy).")
    assert brief(devices.virtual_camera(machine, settings())) == ("warning", "in use, perhaps by this program")
    assert devices.virtual_camera(machine, settings(camera={"kind": "none"})).verdict == "ok"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((640, 480), ("ok", "1, 640x480")),
        (None, ("warning", "1 gives no pictures")),
        (DeviceError("There is no webcam called 1."), ("warning", "There is no webcam called 1.")),
    ],
)
@pytest.mark.parametrize("platform", SYSTEMS)
def test_the_webcam(platform: str, given: Any, expected: tuple[str, str]) -> None:
    machine = FakeMachine(platform)
    machine.webcam = given
    assert brief(devices.webcam(machine, settings(camera={"webcam": "1"}))) == expected


def test_a_takeover_needs_a_webcam_and_a_microphone() -> None:
    machine = FakeMachine()
    assert brief(devices.webcam(machine, settings()))[0] == "warning"
    assert brief(devices.real_microphone(machine, settings()))[0] == "warning"


@pytest.mark.parametrize(("kind", "verdict"), [("auto", "warning"), ("virtual", "fail")])
@pytest.mark.parametrize(
    ("platform", "hint"), [("linux", "pipewire"), ("win32", "vb-audio.com"), ("darwin", "blackhole-2ch")]
)
def test_a_missing_cable(platform: str, hint: str, kind: str, verdict: str) -> None:
    machine = FakeMachine(platform)
    machine.devices = []
    machine.cable = DeviceError("No sound server is running; start it.")
    finding = devices.virtual_microphone(machine, settings(microphone={"kind": kind}))
    assert brief(finding)[0] == verdict and hint in str(finding.next_step)


def test_a_cable_on_linux_can_be_made_by_the_doctor() -> None:
    machine = FakeMachine()
    machine.cable = False
    finding = devices.virtual_microphone(machine, settings())
    assert brief(finding) == ("ok", "not there yet; the program makes it at its start")
    assert make_cable(machine, settings(microphone={"kind": "none"})) == []
    (said,) = make_cable(machine, settings())
    assert machine.created == 1 and "pactl unload-module" in said
    assert make_cable(machine, settings()) == [] and machine.created == 1


def test_without_a_sound_server_nobody_is_told_to_connect_devices() -> None:
    machine = FakeMachine()
    machine.cable = machine.devices = machine.sink = DeviceError(
        "No sound server is running (pa_context_connect() failed: Connection refused); start PipeWire or PulseAudio."
    )
    for check in (devices.virtual_microphone, devices.call_sound, devices.real_microphone):
        finding = check(machine, settings(microphone={"real": "default"}))
        assert brief(finding)[1] == "No sound server is running" and "pipewire" in str(finding.next_step)


def test_without_a_webcam_nobody_is_told_to_name_it() -> None:
    machine = FakeMachine()
    machine.cameras = []
    finding = devices.webcam(machine, settings())
    assert brief(finding)[0] == "warning" and "WEBCAM" not in str(finding.next_step)


def test_a_cable_that_portaudio_does_not_see() -> None:
    machine = FakeMachine()
    machine.devices = [sound("default", "output", default=True)]
    finding = devices.virtual_microphone(machine, settings())
    assert brief(finding)[0] == "warning" and "libasound2-plugins" in str(finding.next_step)


def test_a_named_cable() -> None:
    machine = FakeMachine("win32")
    found = devices.virtual_microphone(machine, settings(microphone={"device": "CABLE"}))
    assert brief(found) == ("ok", "CABLE Input (VB-Audio Virtual Cable)")
    missing = devices.virtual_microphone(machine, settings(microphone={"device": "Voicemeeter"}))
    assert brief(missing)[0] == "warning" and "Voicemeeter" in missing.found
    assert devices.virtual_microphone(machine, settings(microphone={"kind": "none"})).verdict == "ok"


def test_the_doubles_own_microphone_is_no_microphone_of_a_person() -> None:
    machine = FakeMachine()
    machine.devices = [
        sound("Understudy Microphone", "input", server_name="understudy_microphone_source", default=True)
    ]
    assert brief(devices.real_microphone(machine, settings(microphone={"real": "default"})))[0] == "warning"
    machine.devices = []
    assert brief(devices.real_microphone(machine, settings(microphone={"real": "Headset"})))[0] == "warning"


def test_what_the_double_hears_on_linux() -> None:
    machine = FakeMachine()
    assert brief(devices.call_sound(machine, settings())) == ("ok", "what Speakers plays")
    assert brief(devices.call_sound(machine, settings(ears={"device": "Speak"}))) == ("ok", "what Speakers plays")
    assert brief(devices.call_sound(machine, settings(ears={"device": "xyz"})))[0] == "fail"
    machine.sink = "understudy_microphone"
    assert brief(devices.call_sound(machine, settings())) == (
        "fail",
        "the default output is the double's own microphone",
    )
    machine.sink = ""
    assert brief(devices.call_sound(machine, settings())) == ("fail", "there is no default output")


def test_what_the_double_hears_on_windows_and_macos() -> None:
    windows, mac = FakeMachine("win32"), FakeMachine("darwin")
    assert brief(devices.call_sound(windows, settings())) == ("ok", "what Speakers plays")
    windows.loopback = "The package soundcard is missing."
    assert brief(devices.call_sound(windows, settings()))[0] == "fail"
    assert brief(devices.call_sound(mac, settings())) == ("ok", "BlackHole 16ch")
    mac.devices = []
    finding = devices.call_sound(mac, settings())
    assert brief(finding)[0] == "fail" and "Multi-Output Device" in str(finding.next_step)


def test_other_ears() -> None:
    machine = FakeMachine()
    machine.files = {Path("question.wav")}
    for ears, verdict in (
        ({"source": "none"}, "ok"),
        ({"source": "microphone"}, "ok"),
        ({"source": "microphone", "device": "xyz"}, "fail"),
        ({"source": "file", "file": "question.wav"}, "ok"),
        ({"source": "file", "file": "gone.wav"}, "fail"),
        ({"source": "file"}, "fail"),
    ):
        assert brief(devices.call_sound(machine, settings(ears=ears)))[0] == verdict


def wrong(*ids: str) -> list[Finding]:
    return [Finding(id, id, "fail", "") for id in ids]


def test_fix_fetches_weights() -> None:
    machine = FakeMachine()
    machine.missing = {"whisper-base"}
    assert fetch_weights(machine, settings(), wrong("weights", "clock")) == ["Fetched the weights of whisper-base."]
    assert machine.fetched == ["whisper-base"]
    assert fetch_weights(machine, settings(), wrong("clock")) == []


def test_fix_says_what_it_could_not_do() -> None:
    from models.errors import WeightsMissing

    machine = FakeMachine()
    machine.cable, machine.missing = False, {"whisper-base"}
    machine.created, machine.fetched = DeviceError("No sound server is running."), WeightsMissing("No source delivers.")
    assert make_cable(machine, settings()) == [
        "The virtual microphone could not be created. No sound server is running."
    ]
    assert fetch_weights(machine, settings(), wrong("weights")) == [
        "The weights could not be fetched. No source delivers."
    ]
    assert make_cable(FakeMachine("win32"), settings()) == []
