"""Reads the user's recording: 25 upright frames a second of one size, in I420, memory-mapped.

The frames go to a file at once, because a minute of 720p takes 2 GB.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from models.errors import AvatarError
from models.face.avatar.rules import DEFAULT_RULES, Rules
from models.interfaces import BEATS_PER_SECOND, Image

Item = TypeVar("Item")

PHOTO_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_PERIOD_S = Fraction(1, BEATS_PER_SECOND)
_RATE_TOLERANCE_HZ = 0.5
"""Rates are counted over a short recording, and 20 Hz cameras run at 19.9."""
_FROZEN_S = 0.3
_SHAPE_TOLERANCE = 0.02
_HD_LINES = 720
"""From this height on, video that does not state its colours is BT.709 (as players assume), below BT.601."""
_HDR_TRANSFERS = (16, 18)
"""SMPTE ST 2084 and HLG, as ITU-T H.273 numbers them."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One clip, ready to be looked at."""

    name: str
    frames: Image
    """[N, H * 3 // 2, W] I420 at 25 fps, BT.601 limited range; memory-mapped."""
    notes: tuple[str, ...] = field(default=())
    """What the user should know about how it was read."""
    loops: bool = False
    """The last frame is followed by the first one."""

    @property
    def width_px(self) -> int:
        return int(self.frames.shape[2])

    @property
    def height_px(self) -> int:
        return int(self.frames.shape[1]) * 2 // 3

    def rgb(self, frame: int) -> Image:
        """uint8 [H, W, 3]. Takes 0.5 ms at 720p."""
        return to_rgb(self.frames[frame])


def is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_ENDINGS


def recorded(name: str, pictures: Iterable[Image], scratch: Path) -> Recording:
    """RGB pictures of one even size, the last followed by the first, as a recording that is written to `scratch`."""
    count = 0
    shape: tuple[int, int] = (0, 0)
    with open(scratch, "wb") as file:
        for rgb in pictures:
            i420 = to_i420(rgb)
            shape = (i420.shape[0], i420.shape[1])
            file.write(i420.data)
            count += 1
    frames: Image = np.memmap(scratch, np.uint8, "r", shape=(count, *shape))
    return Recording(name, frames, loops=True)


def read_video(
    path: Path,
    scratch: Path,
    *,
    rules: Rules = DEFAULT_RULES,
    size_px: tuple[int, int] | None = None,
    on_share: Callable[[float], None] = lambda share: None,
) -> Recording:
    """The first `rules.longest_s` of a video, written to `scratch`. Raises AvatarError.

    `size_px` is the width and height of another recording that this one has to match. `on_share` hears how much is
    done, 0 to 1.
    """
    with _opened(path) as container:
        return _Reader(path, container, rules, size_px).read(scratch, on_share)


def refuse_no_video(path: Path) -> None:
    """Raises AvatarError when `path` is no file that holds video; decodes none of it."""
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The container of a video, whose errors are AvatarErrors."""
    if path.is_dir():
        raise AvatarError(f"{path} is a folder; give the recording that is in it.")
    if not path.is_file():
        raise AvatarError(f"There is no file {path}.")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise AvatarError(f"{path.name} holds no video; record one with a camera.")
            yield container
    except (av.FFmpegError, ValueError) as error:
        raise AvatarError(f"{path.name} is no video that can be read; give an MP4, MOV or WebM file.") from error


def scaled_size(width_px: int, height_px: int, highest_px: int) -> tuple[int, int]:
    """Even width and height, scaled down where the height is above `highest_px`."""
    share = min(1.0, highest_px / height_px)
    return max(2, 2 * round(width_px * share / 2)), max(2, 2 * int(height_px * share / 2 + 1e-6))


def nearest_in_time(timed: Iterable[tuple[Fraction, Item]], period_s: Fraction) -> Iterator[Item]:
    """For each multiple of `period_s` the item whose time is nearest; times rise and begin at 0.

    The last item is shown for one period, whatever its own length.
    """
    position = 0
    before: tuple[Fraction, Item] | None = None
    for time_s, item in timed:
        while before is not None and 2 * position * period_s <= before[0] + time_s:
            yield before[1]
            position += 1
        before = (time_s, item)
    while before is not None and 2 * position * period_s < 2 * before[0] + period_s:
        yield before[1]
        position += 1


def to_rgb(i420: Image) -> Image:
    """uint8 [H * 3 // 2, W], BT.601 limited range, to uint8 [H, W, 3]."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(i420), cv2.COLOR_YUV2RGB_I420), np.uint8)


def to_i420(rgb: Image) -> Image:
    """uint8 [H, W, 3], both even, to uint8 [H * 3 // 2, W], BT.601 limited range."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)


def planes_of(i420: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Views of Y, U and V of a contiguous I420 picture."""
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    u, v = i420[height:].reshape(2, height // 2, width // 2)
    return i420[:height], u, v


class _Reader:
    """Decodes one video. The size and the turn are those of its first frame."""

    def __init__(self, path: Path, container: Any, rules: Rules, size_px: tuple[int, int] | None) -> None:
        self._name = path.name
        self._container = container
        self._rules = rules
        self._wanted_px = size_px
        self._size_px: tuple[int, int] | None = None
        self._times: list[Fraction] = []
        self._notes: list[str] = []
        self._cut = False

    def read(self, scratch: Path, on_share: Callable[[float], None]) -> Recording:
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        expected_s = self._expected_s(stream)
        count = 0
        shape: tuple[int, int] = (0, 0)
        with open(scratch, "wb") as file:
            for frame in nearest_in_time(self._timed(stream), _PERIOD_S):
                i420 = self._i420(frame)
                shape = (i420.shape[0], i420.shape[1])
                file.write(i420.data)
                count += 1
                on_share(min(1.0, count / BEATS_PER_SECOND / expected_s))
        self._refuse_rate_and_length(count)
        if self._cut:
            self._notes.append(f"{self._name} is longer than {self._rules.longest_s:.0f} s; its beginning is used.")
        frames: Image = np.memmap(scratch, np.uint8, "r", shape=(count, *shape))
        return Recording(self._name, frames, tuple(self._notes))

    def _expected_s(self, stream: Any) -> float:
        length_s = self._rules.longest_s
        if stream.duration and stream.time_base:
            length_s = min(length_s, float(stream.duration * stream.time_base))
        elif self._container.duration:
            length_s = min(length_s, self._container.duration / av.time_base)
        return max(length_s, 0.04)

    def _timed(self, stream: Any) -> Iterator[tuple[Fraction, VideoFrame]]:
        """Every frame of the stream with its time after the first one."""
        first_s: Fraction | None = None
        for frame in self._container.decode(stream):
            if frame.pts is None or frame.is_corrupt:
                continue
            time_s = Fraction(frame.pts * frame.time_base)
            first_s = time_s if first_s is None else first_s
            time_s -= first_s
            if self._times and time_s <= self._times[-1]:
                continue
            if time_s >= self._rules.longest_s:
                self._cut = True
                return
            self._times.append(time_s)
            yield time_s, frame

    def _i420(self, frame: VideoFrame) -> Image:
        turns = round(frame.rotation / 90) % 4
        width_px, height_px = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        width_px, height_px = self._size(width_px, height_px)
        if frame.color_trc in _HDR_TRANSFERS:
            self._note_once(
                f"{self._name} was recorded in HDR, its colours may look pale; turn HDR off and record again."
            )
        stated = frame.colorspace in tuple(av.video.reformatter.Colorspace)
        converted = frame.reformat(
            width=height_px if turns % 2 else width_px,
            height=width_px if turns % 2 else height_px,
            format="yuv420p",
            src_colorspace=None if stated else ("ITU709" if min(frame.width, frame.height) >= _HD_LINES else "ITU601"),
            dst_colorspace="ITU601",
            dst_color_range="MPEG",
            interpolation="AREA" if width_px * height_px < frame.width * frame.height else "BICUBIC",
        )
        upright = converted.to_ndarray()
        if turns:
            turned = [np.rot90(plane, turns).reshape(-1) for plane in planes_of(upright)]
            upright = np.concatenate(turned).reshape(height_px * 3 // 2, width_px)
        return np.ascontiguousarray(upright, np.uint8)

    def _size(self, width_px: int, height_px: int) -> tuple[int, int]:
        if self._size_px is None:
            self._size_px = self._wanted_px or scaled_size(width_px, height_px, self._rules.height_px)
            self._refuse_other_shape(width_px, height_px)
        return self._size_px

    def _refuse_other_shape(self, width_px: int, height_px: int) -> None:
        if self._wanted_px is None:
            return
        wanted_width_px, wanted_height_px = self._wanted_px
        if abs(width_px / height_px * wanted_height_px / wanted_width_px - 1) > _SHAPE_TOLERANCE:
            raise AvatarError(
                f"{self._name} is {width_px}x{height_px} and does not have the shape of the main recording "
                f"({wanted_width_px}x{wanted_height_px}); record all clips with the same camera, held the same way."
            )

    def _note_once(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)

    def _refuse_rate_and_length(self, count: int) -> None:
        rules = self._rules
        length_s = count / BEATS_PER_SECOND
        if length_s < rules.shortest_s:
            raise AvatarError(
                f"{self._name} is {length_s:.1f} s long; record at least {rules.shortest_s:.0f} s, better 10 s or more."
            )
        rate_hz = (len(self._times) - 1) / float(self._times[-1])
        if rate_hz < rules.lowest_rate_hz - _RATE_TOLERANCE_HZ:
            raise AvatarError(
                f"{self._name} has {rate_hz:.0f} pictures a second; record with 25, and with no less than "
                f"{rules.lowest_rate_hz:.0f}."
            )
        longest_s = max(float(after - before) for before, after in zip(self._times, self._times[1:], strict=False))
        if longest_s > _FROZEN_S:
            self._notes.append(
                f"{self._name} stands still for {longest_s:.1f} s in one place: pictures are missing there."
            )
