"""Which device a name means."""

import pytest

from peer_local.devices.sound_devices import Direction, SoundDevice, find
from peer_local.errors import DeviceError


def listed(*devices: tuple[str, str], direction: Direction = "output", default: int = -1) -> list[SoundDevice]:
    return [
        SoundDevice(index, name, host, direction, 2, 48_000, index == default)
        for index, (name, host) in enumerate(devices)
    ]


WINDOWS = listed(
    ("Speakers (Realtek(R) Audio)", "MME"),
    ("CABLE Input (VB-Audio Virtual C", "MME"),
    ("Speakers (Realtek(R) Audio)", "Windows WASAPI"),
    ("CABLE Input (VB-Audio Virtual Cable)", "Windows WASAPI"),
    ("CABLE Input (VB-Audio Virtual Cable)", "Windows DirectSound"),
    default=0,
)


@pytest.mark.parametrize("wanted", ["CABLE Input (VB-Audio Virtual Cable)", "cable input", "VB-Audio"])
def test_of_one_device_on_several_hosts_the_best_hosts_is_taken(wanted: str) -> None:
    assert find(WINDOWS, wanted, "output").host == "Windows WASAPI"


def test_a_host_can_be_asked_for() -> None:
    assert find(WINDOWS, "CABLE Input (VB-Audio Virtual C (MME)", "output").host == "MME"


def test_a_whole_name_wins_over_longer_ones() -> None:
    devices = listed(("USB", "Core Audio"), ("USB 2", "Core Audio"))
    assert find(devices, "usb", "output").name == "USB"


def test_a_part_of_several_names_lists_them() -> None:
    with pytest.raises(DeviceError, match=r"'\(' names several sound outputs; write one of: Speakers \(R.*; CABLE In"):
        find(WINDOWS, "(", "output")


def test_a_missing_name_lists_what_there_is() -> None:
    with pytest.raises(DeviceError, match="No sound output is named 'Voicemeeter'; there are: Speakers"):
        find(WINDOWS, "Voicemeeter", "output")
    with pytest.raises(DeviceError, match="No sound input is named 'Voicemeeter'; there is none at all"):
        find(WINDOWS, "Voicemeeter", "input")


def test_without_a_name_the_best_hosts_default_is_taken() -> None:
    devices = listed(("A", "MME"), ("B", "Windows WASAPI"), direction="input", default=1)
    assert find(devices, None, "input").name == "B"
    with pytest.raises(DeviceError, match="no default sound input"):
        find(listed(("A", "MME"), direction="input"), None, "input")
