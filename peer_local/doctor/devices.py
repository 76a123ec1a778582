"""Cameras and sound devices."""

import re

from peer_local.devices.camera import MODPROBE
from peer_local.devices.choose import CABLES, CALL_CABLE_DARWIN
from peer_local.devices.pulse import CABLE_SINK, CABLE_SOURCE, CABLE_SOURCE_TITLE
from peer_local.devices.sound_devices import Direction, SoundDevice, find
from peer_local.doctor.finding import Finding, Verdict, step
from peer_local.doctor.machine import Machine
from peer_local.errors import DeviceError
from peer_local.settings import Settings

WEBCAM_PATIENCE_S = 5.0

_CAMERA_STEPS = {
    "linux": f"sudo apt-get install -y v4l2loopback-dkms && {MODPROBE}",
    "win32": "Install OBS Studio (winget install OBSProject.OBSStudio), press Start Virtual Camera once, close OBS.",
    "darwin": "brew install --cask obs, press Start Virtual Camera once, then System Settings > General > Login Items "
    "& Extensions > Camera Extensions > OBS.",
}
_START_SOUND_SERVER = "systemctl --user start pipewire pipewire-pulse, or pulseaudio --start"
_CABLE_STEPS = {
    "linux": 'make local ARGS="doctor --fix"',
    "win32": "Install VB-Audio Virtual Cable from vb-audio.com/Cable as administrator, then restart Windows.",
    "darwin": "brew install blackhole-2ch, then restart the Mac.",
}
_CALL_STEPS = {
    "linux": "Connect a loudspeaker or headphones, or name the call's output: UNDERSTUDY_EARS__DEVICE=NAME in .env",
    "win32": "Settings > System > Sound > Output: choose a loudspeaker or headphones.",
    "darwin": "brew install blackhole-16ch; Audio MIDI Setup > + > Multi-Output Device: tick it and your loudspeaker; "
    "choose that as speaker in the call.",
}
_PRIVACY_STEPS = {
    "linux": "Unplug it and plug it in again, or see who uses it: fuser -v /dev/video*",
    "win32": "Settings > Privacy & security > Camera: let desktop apps use it; close other programs that use it.",
    "darwin": "System Settings > Privacy & Security > Camera: allow the terminal; close other programs that use it.",
}


def virtual_camera(machine: Machine, settings: Settings) -> Finding:
    make = _make("virtual_camera", "Virtual camera")
    if settings.camera.kind == "none":
        return make("ok", "switched off by camera.kind")
    try:
        name = machine.open_camera(settings.camera)
    except DeviceError as error:
        if str(error).startswith("Another program feeds"):
            return make("warning", "in use, perhaps by this program", "End the other program, unless it is the double.")
        missing: Verdict = "fail" if settings.camera.kind == "virtual" else "warning"
        return make(missing, _brief(error), step(machine.platform, _CAMERA_STEPS))
    size = f"{settings.camera.width_px}x{settings.camera.height_px} at {settings.camera.fps} fps"
    return make("ok", f"{name}, {size}")


def webcam(machine: Machine, settings: Settings) -> Finding:
    make = _make("webcam", "Your webcam")
    device = settings.camera.webcam
    if device is None and machine.webcams() == []:
        return make(
            "warning", "there is none: a takeover shows the card", "Connect one, if you want to be seen yourself."
        )
    if device is None:
        return make(
            "warning",
            "none is named: a takeover shows the card",
            "Name it: UNDERSTUDY_CAMERA__WEBCAM=0 in .env (on Linux its name does, too)",
        )
    try:
        size = machine.webcam_size_px(device, WEBCAM_PATIENCE_S)
    except DeviceError as error:
        return make("warning", str(error), "Name another one: UNDERSTUDY_CAMERA__WEBCAM=NUMBER in .env")
    if size is None:
        return make("warning", f"{device} gives no pictures", step(machine.platform, _PRIVACY_STEPS))
    return make("ok", f"{device}, {size[0]}x{size[1]}")


def virtual_microphone(machine: Machine, settings: Settings) -> Finding:
    make = _make("virtual_microphone", "Virtual microphone")
    microphone = settings.microphone
    if microphone.kind == "none":
        return make("ok", "switched off by microphone.kind")
    missing: Verdict = "fail" if microphone.kind == "virtual" else "warning"
    here = step(machine.platform, _CABLE_STEPS)
    try:
        if machine.platform in CABLES or microphone.device is not None:
            wanted = microphone.device or CABLES[machine.platform]
            return make("ok", find(machine.sound_devices(), wanted, "output").name)
        if not machine.cable_exists():
            return make("ok", "not there yet; the program makes it at its start")
        if not any(device.server_name == CABLE_SINK for device in machine.sound_devices()):
            step_text = "sudo apt-get install -y libasound2-plugins"
            return make(missing, "on the sound server, but PortAudio cannot reach it", step_text)
    except DeviceError as error:
        if microphone.device is not None:
            return make(missing, str(error), "UNDERSTUDY_MICROPHONE__DEVICE=NAME in .env, with one of the names above")
        return make(missing, _brief(error), _server_step(machine, error) or here)
    return make("ok", f"{CABLE_SOURCE_TITLE}: choose it in the call")


def real_microphone(machine: Machine, settings: Settings) -> Finding:
    make = _make("real_microphone", "Your microphone")
    wanted = settings.microphone.real
    if wanted is None:
        return make(
            "warning", "none is named: a takeover is silent", "Name it: UNDERSTUDY_MICROPHONE__REAL=default in .env"
        )
    return _input(machine, make, "warning", None if wanted == "default" else wanted, "UNDERSTUDY_MICROPHONE__REAL")


def call_sound(machine: Machine, settings: Settings) -> Finding:
    make = _make("call_sound", "What the double hears")
    ears = settings.ears
    if ears.source == "none":
        return make("ok", "nothing but typed lines, by ears.source")
    if ears.source == "file":
        if ears.file is None or not machine.is_file(ears.file):
            return make("fail", f"no such file: {ears.file}", "UNDERSTUDY_EARS__FILE=FILE in .env, with a WAV file")
        return make("ok", f"the file {ears.file.name}")
    if ears.source == "microphone":
        return _input(machine, make, "fail", ears.device, "UNDERSTUDY_EARS__DEVICE")
    try:
        return _call(machine, make, ears.device)
    except DeviceError as error:
        server = _server_step(machine, error)
        return make("fail", _brief(error) if server else str(error), server or step(machine.platform, _CALL_STEPS))


class _make:
    """Findings of one check."""

    def __init__(self, id: str, title: str) -> None:
        self._id = id
        self._title = title

    def __call__(self, verdict: Verdict, found: str, next_step: str | None = None) -> Finding:
        return Finding(self._id, self._title, verdict, found, next_step)


def _call(machine: Machine, make: _make, wanted: str | None) -> Finding:
    """The other participants, as this machine plays them."""
    if machine.platform == "darwin":
        return make("ok", find(machine.sound_devices(), wanted or CALL_CABLE_DARWIN, "input").name)
    if machine.platform == "win32":
        if (problem := machine.can_record_loopback()) is not None:
            return make("fail", problem, "python deploy/bootstrap.py setup")
        return make("ok", f"what {find(machine.sound_devices(), wanted, 'output').name} plays")
    if wanted is not None:
        return make("ok", f"what {find(machine.sound_devices(), wanted, 'output').name} plays")
    sink = machine.default_sink()
    if sink in ("", CABLE_SINK):
        found = "the default output is the double's own microphone" if sink else "there is no default output"
        return make("fail", found, step(machine.platform, _CALL_STEPS))
    return make("ok", f"what {_title(machine.sound_devices(), sink, 'output')} plays")


def _input(machine: Machine, make: _make, without: Verdict, wanted: str | None, variable: str) -> Finding:
    try:
        device = find(machine.sound_devices(), wanted, "input")
    except DeviceError as error:
        server = _server_step(machine, error)
        another = f"Connect a microphone, or name another one: {variable}=NAME in .env"
        return make(without, _brief(error) if server else str(error), server or another)
    if device.server_name == CABLE_SOURCE or (device.server_name or "").endswith(".monitor"):
        return make(
            without,
            f"{device.name} is no microphone of a person",
            f"{variable}=NAME in .env, with the name of a real one",
        )
    return make("ok", device.name)


def _title(devices: list[SoundDevice], server_name: str, direction: Direction) -> str:
    named = [each.name for each in devices if each.server_name == server_name and each.direction == direction]
    return named[0] if named else server_name


def _brief(error: Exception) -> str:
    """What is wrong; what to do about it is said by the next step."""
    return re.sub(r" \((?:[^()]|\(\))*\)", "", str(error)).partition("; ")[0].partition(": ")[0].rstrip(".")


def _server_step(machine: Machine, error: Exception) -> str | None:
    """What to do when it is Linux' sound server that is missing, and no device."""
    if machine.platform != "linux":
        return None
    if str(error).startswith("pactl"):
        return "sudo apt-get install -y pulseaudio-utils"
    no_server = str(error).startswith(("No sound server", "The sound server"))
    return _START_SOUND_SERVER if no_server else None
