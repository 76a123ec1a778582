"""Reading the user's recording: upright, 25 frames a second, of one size, or refused in one sentence."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from models.errors import AvatarError
from models.face.avatar.recording import (
    is_photo,
    nearest_in_time,
    planes_of,
    read_video,
    recorded,
    scaled_size,
    to_rgb,
)
from models.face.avatar.rules import Rules
from models.interfaces import Image
from tests.recordings import encode

RULES = Rules(shortest_s=0.4, longest_s=2.0)


def counted(count: int, width_px: int = 64, height_px: int = 48) -> list[Image]:
    """Frames whose brightness says which one it is."""
    return [np.full((height_px, width_px, 3), 40 + 5 * index, np.uint8) for index in range(count)]


def brightness(frames: Image) -> list[int]:
    return [round((to_rgb(frame).mean() - 40) / 5) for frame in frames]


def quarters() -> Image:
    """Red, green, blue and white quarters, clockwise from the top left."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32], rgb[:24, 32:], rgb[24:, 32:], rgb[24:, :32] = (220, 0, 0), (0, 220, 0), (0, 0, 220), (220, 220, 220)
    return rgb


def corner_colours(i420: Image) -> list[str]:
    rgb = to_rgb(i420)
    height, width = rgb.shape[:2]
    names = {(True, False, False): "red", (False, True, False): "green", (False, False, True): "blue"}
    places = ((0.25, 0.25), (0.25, 0.75), (0.75, 0.75), (0.75, 0.25))
    return [names.get(tuple(rgb[int(y * height), int(x * width)] > 110), "white") for y, x in places]


def test_every_frame_of_25_hz_is_taken_once(tmp_path: Path) -> None:
    video = read_video(encode(tmp_path / "a.mp4", counted(20)), tmp_path / "scratch", rules=RULES)
    assert brightness(video.frames) == list(range(20))
    assert (video.width_px, video.height_px, video.name, video.notes) == (64, 48, "a.mp4", ())
    assert isinstance(video.frames, np.memmap)


@pytest.mark.parametrize(
    ("rate_hz", "expected"), [(50, [0, 2, 4, 6, 8]), (30, [0, 1, 2, 4, 5, 6, 7]), (20, [0, 1, 2, 2, 3])]
)
def test_other_rates_are_converted_by_nearest_time(tmp_path: Path, rate_hz: int, expected: list[int]) -> None:
    video = read_video(encode(tmp_path / "a.mp4", counted(30), rate_hz=rate_hz), tmp_path / "scratch", rules=RULES)
    shown = brightness(video.frames)
    assert len(video.frames) == pytest.approx(30 * 25 / rate_hz, abs=1)
    assert shown == sorted(shown)
    assert shown[: len(expected)] == expected


def test_an_uneven_rate_is_evened_out_by_time() -> None:
    times = [Fraction(time, 1000) for time in (0, 35, 90, 100, 180)]
    assert list(nearest_in_time(zip(times, "abcde", strict=True), Fraction(1, 25))) == ["a", "b", "c", "d", "e"]


def test_a_time_between_two_frames_shows_the_nearer_one() -> None:
    shown = list(nearest_in_time([(Fraction(0), "a"), (Fraction(1), "b"), (Fraction(2), "c")], Fraction(2, 5)))
    assert shown == ["a", "a", "b", "b", "c", "c"]


def test_less_than_20_hz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match=r"slow\.mp4 has 15 pictures a second; record with 25"):
        read_video(encode(tmp_path / "slow.mp4", counted(20), rate_hz=15), tmp_path / "scratch", rules=RULES)


def test_too_short_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match=r"a\.mp4 is 0\.3 s long; record at least 2 s"):
        read_video(encode(tmp_path / "a.mp4", counted(8)), tmp_path / "scratch")


def test_of_a_long_recording_the_beginning_is_used_and_said(tmp_path: Path) -> None:
    rules = Rules(shortest_s=0.4, longest_s=1.0)
    shares: list[float] = []
    path = encode(tmp_path / "a.mp4", counted(30))
    video = read_video(path, tmp_path / "scratch", rules=rules, on_share=shares.append)
    assert len(video.frames) == 25
    assert video.notes == ("a.mp4 is longer than 1 s; its beginning is used.",)
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_missing_pictures_are_said(tmp_path: Path) -> None:
    times_ms = [20 * index if index < 15 else 500 + 20 * index for index in range(30)]
    video = read_video(encode(tmp_path / "a.mp4", counted(30), times_ms=times_ms), tmp_path / "scratch", rules=RULES)
    assert "stands still for 0.5 s" in video.notes[0]


@pytest.mark.parametrize(
    ("turn_deg", "size_px", "colours"),
    [
        (0, (64, 48), ["red", "green", "blue", "white"]),
        (90, (48, 64), ["white", "red", "green", "blue"]),
        (180, (64, 48), ["blue", "white", "red", "green"]),
        (270, (48, 64), ["green", "blue", "white", "red"]),
    ],
)
def test_a_telephone_held_upright_gives_an_upright_picture(
    tmp_path: Path, turn_deg: int, size_px: tuple[int, int], colours: list[str]
) -> None:
    path = encode(tmp_path / "a.mp4", [quarters()] * 15, turn_deg=turn_deg)
    video = read_video(path, tmp_path / "scratch", rules=RULES)
    assert (video.width_px, video.height_px) == size_px
    assert corner_colours(video.frames[7]) == colours


def test_a_large_picture_is_scaled_to_an_even_size(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", counted(12, 98, 70))
    video = read_video(path, tmp_path / "scratch", rules=Rules(shortest_s=0.4, height_px=33))
    assert (video.width_px, video.height_px) == (46, 32)
    assert scaled_size(1920, 1080, 720) == (1280, 720)
    assert scaled_size(1080, 1920, 720) == (404, 720)
    assert scaled_size(641, 361, 720) == (640, 360)


@pytest.mark.parametrize("bt709", [False, True])
def test_colours_are_those_of_the_recording_whatever_it_calls_them(tmp_path: Path, bt709: bool) -> None:
    colour = np.array((200, 40, 60), np.uint8)
    path = encode(tmp_path / "a.mp4", [np.tile(colour, (48, 64, 1))] * 12, bt709=bt709)
    read = to_rgb(read_video(path, tmp_path / "scratch", rules=RULES).frames[3])[24, 32]
    assert np.abs(read.astype(int) - colour).max() <= 4


def test_a_second_recording_takes_the_size_of_the_first(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", counted(12))
    video = read_video(path, tmp_path / "scratch", rules=RULES, size_px=(32, 24))
    assert (video.width_px, video.height_px) == (32, 24)
    with pytest.raises(AvatarError, match=r"does not have the shape of the main recording \(48x64\)"):
        read_video(path, tmp_path / "scratch2", rules=RULES, size_px=(48, 64))


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing of this kind")
    with pytest.raises(AvatarError, match="is no video that can be read"):
        read_video(tmp_path / "a.mp4", tmp_path / "scratch")
    with pytest.raises(AvatarError, match="There is no file"):
        read_video(tmp_path / "b.mp4", tmp_path / "scratch")


def test_pictures_that_were_drawn_are_a_recording_too(tmp_path: Path) -> None:
    drawn = recorded("me.jpg", (frame for frame in counted(5)), tmp_path / "scratch")
    assert brightness(drawn.frames) == [0, 1, 2, 3, 4]
    assert (drawn.name, drawn.width_px, drawn.height_px) == ("me.jpg", 64, 48)
    assert isinstance(drawn.frames, np.memmap)


def test_photos_are_told_from_videos_by_their_names() -> None:
    assert is_photo(Path("me.JPG"))
    assert is_photo(Path("me.png"))
    assert not is_photo(Path("me.mp4"))


def test_planes_are_views_of_the_picture() -> None:
    i420 = np.zeros((6, 4), np.uint8)
    luma, u, v = planes_of(i420)
    luma[:], u[:], v[:] = 1, 2, 3
    assert i420.reshape(-1).tolist() == [1] * 16 + [2] * 4 + [3] * 4
