import pytest

from peer_local.devices.recording_time import RecordingTime

RATE_HZ = 48_000


def test_sound_follows_sound_and_pictures_lie_where_they_were_seen() -> None:
    time = RecordingTime(RATE_HZ)
    for number in range(100):
        assert time.sound(960, 50.0 + number * 0.02) == (0, 0)
    assert time.picture_s(51.5) == pytest.approx(1.5)
    assert time.position_samples == 96_000


def test_sound_that_begins_after_the_pictures_waits_for_its_place() -> None:
    time = RecordingTime(RATE_HZ)
    assert time.picture_s(50.0) == 0
    assert time.sound(960, 50.05) == (2_400, 0)
    assert time.picture_s(50.05) == pytest.approx(0.05)


def test_sound_from_before_the_first_picture_is_left_out() -> None:
    time = RecordingTime(RATE_HZ)
    time.picture_s(50.0)
    assert time.sound(960, 49.99) == (0, 480)
    assert time.sound(960, 50.01) == (0, 0)
    assert time.picture_s(50.5) == pytest.approx(0.5)


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_drifting_device_moves_the_pictures_with_its_sound(ppm: int) -> None:
    time = RecordingTime(RATE_HZ)
    at_s = 50.0
    for _ in range(50 * 3_600):  # one hour by the device's clock
        assert time.sound(960, at_s) == (0, 0)
        at_s += 0.02 * (1 + ppm * 1e-6)
    assert time.picture_s(at_s) == pytest.approx(3_600, abs=0.005)


def test_jitter_of_the_device_makes_no_seam() -> None:
    time = RecordingTime(RATE_HZ)
    for number in range(500):
        assert time.sound(960, 50.0 + number * 0.02 + (0.03 if number % 7 == 0 else -0.005)) == (0, 0)
    assert time.picture_s(60.0) == pytest.approx(10.0, abs=0.01)


def test_a_hole_becomes_silence_and_an_overlap_is_left_out() -> None:
    time = RecordingTime(RATE_HZ)
    for number in range(50):
        time.sound(960, 50.0 + number * 0.02)
    assert time.sound(960, 53.0) == (96_000, 0)
    assert time.picture_s(53.02) == pytest.approx(3.02)
    # The next device is 0.5 s ahead of what the last one promised: 25 blocks have been heard already.
    skipped = sum(time.sound(960, 52.52 + number * 0.02)[1] for number in range(40))
    assert skipped / RATE_HZ == pytest.approx(0.5, abs=0.12)
    assert time.picture_s(54.0) == pytest.approx(4.0, abs=0.12)
