"""`python -m models.face`: prepare an avatar of a recording, look at one, and draw a face for another process."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from models.errors import AvatarError, ModelError
from models.face.avatar.rules import Rules
from models.face.avatar.store import load, read_meta, refuse_taken, verify
from models.face.remote.command import add_serve
from models.interfaces import BEATS_PER_SECOND
from models.settings import WeightsSettings
from models.weights import fetch
from models.weights.environment import weights_directory

if TYPE_CHECKING:
    from models.face.avatar.create import FaceEncoder
    from models.face.landmarks import FaceFinder
    from models.interfaces import Image

AVATARS = Path("avatars")
"""Where avatars are put that are given no place."""
_PLAIN_WEIGHTS = ("face-landmarks", "person-mask")
"""What preparing needs besides MuseTalk's own."""
_STOPPED = 130
_WORTH_SAYING_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 with one sentence on standard error when something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "serve":
            from models.face.remote.serve import serve

            return serve(options)
        with _ended_like_interrupted():
            return _show(options.avatar) if options.command == "show" else _prepare(options)
    except ModelError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        if options.command != "serve":
            print("Stopped; no avatar was written.", file=sys.stderr)
        return _STOPPED
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.face",
        description="Avatars for MuseTalk, made once of a recording and used on a GPU; and a face as a service.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{prepare,show,serve}")
    prepare = commands.add_parser(
        "prepare",
        help="make an avatar of a recording or a photo",
        description="Make an avatar of a recording of you, silent and looking at the camera, or of a photo.",
        epilog="Several recordings are joined: the first is the main one, the others are further things that you do "
        "while you listen. A contact sheet and a report are put into the avatar's folder: look at them. "
        '`make avatar ARGS="me.mp4"` does the same with --fetch.',
    )
    prepare.add_argument("recordings", nargs="+", type=Path, metavar="RECORDING", help="a video, or one photo")
    prepare.add_argument("--out", type=Path, metavar="DIR", help="where the avatar is put (default: avatars/RECORDING)")
    prepare.add_argument("--fetch", action="store_true", help="first fetch and convert the weights that are not here")
    prepare.add_argument("--version", choices=("1.5", "1.0"), default="1.5", help="of MuseTalk (default: 1.5)")
    prepare.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="where the network runs")
    prepare.add_argument(
        "--height",
        type=_height_px,
        default=720,
        metavar="PX",
        help="larger pictures are scaled down to it (default: 720)",
    )
    prepare.add_argument("--force", action="store_true", help="replace the avatar that is there")
    prepare.add_argument("--weights", type=Path, metavar="DIR", help="where the weights lie")
    show = commands.add_parser(
        "show",
        help="say what an avatar is and check it",
        description="Say what an avatar is and read every byte of it.",
    )
    show.add_argument("avatar", type=Path, metavar="DIR")
    add_serve(commands)
    return parser


def _height_px(text: str) -> int:
    if not text.isdecimal() or not 144 <= int(text) <= 2160:
        raise argparse.ArgumentTypeError("give a number of pixels from 144 to 2160")
    return int(text)


def _prepare(options: argparse.Namespace) -> int:
    place = options.out or AVATARS / options.recordings[0].stem
    refuse_taken(place, force=options.force)
    weights = options.weights or weights_directory()
    # Heavy imports come late, so that --help and refusals do not wait for them.
    from models.face.avatar.create import prepare
    from models.face.avatar.report import SHEET_NAME
    from models.face.landmarks import create_finder

    _refuse_unreadable(options.recordings)
    if options.fetch:
        _fetch(weights, options)
    settings = WeightsSettings(dir=weights)
    finder = create_finder(settings)
    encoder, name, device = _encoder(weights, options)
    console = Console(stderr=True)
    if device == "cpu":
        console.print(
            "The network runs on this processor and takes seconds a frame; a GPU takes milliseconds.", soft_wrap=True
        )
    with _Bars(console) as bars:
        report = prepare(
            options.recordings,
            place,
            finder=finder,
            encoder=encoder,
            encoder_name=name,
            animate=lambda photo, height_px: _animated(photo, height_px, finder, settings),
            rules=Rules(version=options.version, height_px=options.height),
            force=options.force,
            stages=bars,
        )
    for warning in report.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    print(f"The avatar is in {place}; look at {place / SHEET_NAME}, and use it with UNDERSTUDY_FACE__AVATAR={place}.")
    return 0


def _refuse_unreadable(recordings: Sequence[Path]) -> None:
    """Raises AvatarError for what can be told at once, before gigabytes are fetched."""
    from models.face.avatar.create import refuse_mixture
    from models.face.avatar.recording import is_photo, refuse_no_video
    from models.face.puppet.portrait import read_photo

    refuse_mixture(recordings)
    for path in recordings:
        if is_photo(path):
            read_photo(path)
        else:
            refuse_no_video(path)


def _fetch(weights: Path, options: argparse.Namespace) -> None:
    with _needing_extra():
        from models.face.musetalk.conversion import convert, is_converted
    fetch(_PLAIN_WEIGHTS, weights)
    if not is_converted(options.version, weights):
        convert(options.version, weights, fetch_first=True)


def _animated(path: Path, highest_px: int, finder: "FaceFinder", weights: WeightsSettings) -> "Iterator[Image]":
    """A photo as if its person had been filmed. Raises AvatarError, WeightsMissing."""
    from models.face.avatar.recording import scaled_size
    from models.face.puppet.clip import idle_clip
    from models.face.puppet.person_mask import create_mask
    from models.face.puppet.portrait import read_photo

    photo = read_photo(path)
    height, width = photo.shape[:2]
    return idle_clip(photo, finder, create_mask(weights), longest_px=max(scaled_size(width, height, highest_px)))


def _encoder(weights: Path, options: argparse.Namespace) -> "tuple[FaceEncoder, str, str]":
    with _needing_extra():
        from models.face.musetalk.preparing import create_encoder, device_of, encoder_name
    encoder = create_encoder(weights, options.version, options.device)
    return encoder, encoder_name(weights, options.version), device_of(encoder)


@contextmanager
def _needing_extra() -> Iterator[None]:
    """Around imports of what the extra `musetalk` brings. Raises AvatarError when it is not installed."""
    try:
        yield
    except ImportError as error:
        raise AvatarError(
            f"Preparing an avatar needs the Python package {(error.name or 'torch').partition('.')[0]}; use `make "
            "avatar`, which installs it, or `python -m pip install -c constraints.txt -e '.[musetalk]'`."
        ) from error


def _show(directory: Path) -> int:
    meta = read_meta(directory).meta
    pack = load(directory)
    face_width_px, face_height_px = pack.boxes[0, 2:] - pack.boxes[0, :2]
    rows = (
        ("recordings", ", ".join(meta.recordings)),
        ("made", meta.made),
        ("for", f"MuseTalk {meta.musetalk}, {meta.encoder}"),
        ("picture", f"{pack.width_px}x{pack.height_px} px, face {face_width_px:.0f}x{face_height_px:.0f} px"),
        ("mouth region", f"{pack.roi_width_px}x{pack.roi_height_px} px"),
        ("frames", f"{pack.frame_count}, repeated after {len(pack.schedule) / BEATS_PER_SECOND:.1f} s ({meta.loop})"),
        ("disk", f"{sum(file.size_bytes for file in read_meta(directory).files.values()) / 1e6:.0f} MB"),
    )
    for name, value in rows:
        print(f"{name:13} {value}")
    for warning in meta.warnings:
        print(f"warning       {warning}")
    verify(directory)
    print("Every byte is right.")
    return 0


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """SIGTERM, which ends a program at once, clears up like Ctrl-C. Only the main thread may catch signals."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Bars:
    """A bar for each stage, on a terminal; a line for each stage elsewhere. Says so when a stage will take long."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._progress = Progress(
            TextColumn("{task.description:20}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, title: str, total: float) -> Callable[[float], None]:
        if not self._console.is_terminal:
            self._console.print(f"{title}…")
        task = self._progress.add_task(title, total=total)
        started_s = self._clock()
        done = 0.0

        def advance(step: float) -> None:
            nonlocal done
            self._progress.advance(task, step)
            if done == 0 and step > 0:
                left_s = (self._clock() - started_s) * (total - step) / step
                if left_s > _WORTH_SAYING_S:
                    self._console.print(f"{title} takes about {_duration(left_s)}.")
            done += step

        return advance


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"


if __name__ == "__main__":
    sys.exit(main())
