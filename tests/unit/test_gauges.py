"""What the screen says about devices that are not there."""

from pathlib import Path

from peer_local.gauges import CAMERA_GONE, NO_CAMERA, NO_MICROPHONE, OPENING_S, Gauges, listed
from peer_local.settings import CameraSettings, MicrophoneSettings, Settings

WANTED = Settings()
UNWANTED = Settings(camera=CameraSettings(kind="none"), microphone=MicrophoneSettings(kind="none"))


def missing(gauges: Gauges, now_s: float, camera: str | None, microphone: str | None, *known: str) -> list[str]:
    return gauges._missing(WANTED, camera, microphone, known, now_s)


def test_devices_that_are_missing_are_warned_of_once_they_had_time_to_open() -> None:
    gauges = Gauges()
    assert missing(gauges, 0.0, None, None) == []
    assert missing(gauges, OPENING_S, None, None) == [NO_CAMERA, NO_MICROPHONE]
    assert missing(gauges, OPENING_S, None, None, "VB-Cable is missing.") == [NO_CAMERA]
    assert missing(gauges, OPENING_S, "OBS", "CABLE") == []
    assert missing(gauges, OPENING_S, None, "CABLE") == [CAMERA_GONE]


def test_devices_that_nobody_wants_are_not_missed() -> None:
    gauges = Gauges()
    for now_s in (0.0, OPENING_S):
        assert gauges._missing(UNWANTED, None, None, (), now_s) == []


def test_devices_are_named_as_the_call_application_names_them(tmp_path: Path) -> None:
    (tmp_path / "video10").mkdir()
    (tmp_path / "video10" / "name").write_text("Understudy Camera\n")
    assert listed("Understudy (cable)") == "Understudy Microphone"
    assert listed("CABLE Input (VB-Audio Virtual Cable)") == "CABLE Output (VB-Audio Virtual Cable)"
    assert listed("BlackHole 2ch") == "BlackHole 2ch"
    assert listed("/dev/video10", tmp_path) == "Understudy Camera"
    assert listed("/dev/video11", tmp_path) == "/dev/video11"
