"""A pack on disk: one directory with pack.json and .npy files, without pickles; the frames are memory-mapped.

    avatars/me/pack.json      what it is, how it was made, and size and sha256 of every array
    avatars/me/frames.npy     I420, by far the largest; never read whole
    avatars/me/latents.npy masks.npy boxes.npy rois.npy schedule.npy
    avatars/me/report.txt contact-sheet.jpg

A pack is written into a hidden directory beside its place and renamed when it is complete, so that a place holds
either a whole pack or none.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import AvatarError
from models.face.avatar.pack import AvatarPack, problem_of

FORMAT = "understudy-avatar"
FORMAT_VERSION = 1
PACK_NAME = "pack.json"
_ARRAYS = ("frames", "latents", "masks", "boxes", "rois", "schedule")
_MAPPED = ("frames",)
"""Too large to be hashed whenever a pack is opened: their size is compared, and `verify` reads them."""
_CHUNK_BYTES = 1 << 20
_AGAIN = "prepare it again with `python -m models.face prepare`"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArrayFile(_Part):
    """One .npy file, as it was written."""

    size_bytes: int
    sha256: str
    dtype: str
    shape: tuple[int, ...]


class PackMeta(_Part):
    """How a pack was made."""

    musetalk: Literal["1.5", "1.0"]
    """The version whose crop rule the boxes follow."""
    encoder: str
    """Which weights made the latents: a name that is equal only for equal weights."""
    made: str
    """ISO 8601, UTC."""
    recordings: tuple[str, ...]
    """File names, the main one first."""
    loop: Literal["loop", "mixture", "ping-pong", "still"]
    warnings: tuple[str, ...] = ()


class PackFile(_Part):
    """The content of pack.json."""

    format: Literal["understudy-avatar"] = "understudy-avatar"
    version: Literal[1] = 1
    meta: PackMeta
    roi_width_px: int
    roi_height_px: int
    files: dict[str, ArrayFile]


class Draft:
    """A pack that is being written. Use as a context: without `finish` nothing is left behind.

    Raises AvatarError when the place is taken: a pack is replaced only with `force`, anything else never.
    """

    def __init__(self, place: Path, *, force: bool = False) -> None:
        self._place = place
        self._force = force
        refuse_taken(place, force=force)
        self.directory = place
        """Where files for the finished pack may be put; made when the context is entered."""

    def __enter__(self) -> Self:
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self.directory = Path(tempfile.mkdtemp(prefix=f".{self._place.name}-", dir=self._place.parent))
        except OSError as error:
            raise AvatarError(f"Nothing can be written to {self._place.parent}: {error.strerror}.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.directory != self._place:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def scratch(self) -> Path:
        """Where files may be put that do not belong to the finished pack."""
        path = self.directory / "scratch"
        path.mkdir(exist_ok=True)
        return path

    @contextmanager
    def frames(self, count: int, width_px: int, height_px: int) -> Iterator["FrameWriter"]:
        """Write the frames one by one, so that a minute of video need not be in memory."""
        with open(self.directory / "frames.npy", "wb") as file:
            writer = FrameWriter(file, count, width_px, height_px)
            yield writer
            writer.close()

    def written_frames(self) -> NDArray[np.uint8]:
        """The frames that were written, memory-mapped."""
        frames: NDArray[np.uint8] = np.load(self.directory / "frames.npy", mmap_mode="r", allow_pickle=False)
        return frames

    def finish(self, pack: AvatarPack, meta: PackMeta) -> None:
        """Complete the pack and move it to its place. Frames written before are taken as they are.

        Raises ValueError for a pack that contradicts itself.
        """
        problem = problem_of(pack)
        if problem:
            raise ValueError(problem)
        for name in _ARRAYS:
            path = self.directory / f"{name}.npy"
            if not path.exists():
                np.save(path, np.ascontiguousarray(getattr(pack, name)), allow_pickle=False)
        files = {name: _describe(self.directory / f"{name}.npy", getattr(pack, name)) for name in _ARRAYS}
        content = PackFile(
            meta=meta, roi_width_px=pack.roi_width_px, roi_height_px=pack.roi_height_px, files=files
        ).model_dump_json(indent=2)
        (self.directory / PACK_NAME).write_text(content + "\n", encoding="utf-8")
        shutil.rmtree(self.directory / "scratch", ignore_errors=True)
        self.directory.chmod(0o755)
        self._take_place()

    def _take_place(self) -> None:
        refuse_taken(self._place, force=self._force)
        before: Path | None = None
        if self._place.is_dir():
            before = Path(tempfile.mkdtemp(prefix=f".{self._place.name}-", dir=self._place.parent))
            self._place.replace(before / "before")
        try:
            self.directory.replace(self._place)
        except OSError:
            if before is not None:
                (before / "before").replace(self._place)
            raise
        finally:
            if before is not None:
                shutil.rmtree(before, ignore_errors=True)
        self.directory = self._place


class FrameWriter:
    """Appends I420 frames to a .npy file whose length is known beforehand."""

    def __init__(self, file: Any, count: int, width_px: int, height_px: int) -> None:
        self._file = file
        self._left = count
        self._shape = (height_px * 3 // 2, width_px)
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *self._shape)}
        np.lib.format.write_array_header_1_0(file, header)

    def put(self, i420: NDArray[np.uint8]) -> None:
        """Append uint8 [H * 3 // 2, W]."""
        if i420.shape != self._shape or i420.dtype != np.uint8 or self._left == 0:
            raise ValueError(f"a frame of {i420.dtype} {i420.shape} does not fit; {self._left} are missing")
        self._file.write(np.ascontiguousarray(i420).data)
        self._left -= 1

    def close(self) -> None:
        """Raises ValueError when frames are missing."""
        if self._left:
            raise ValueError(f"{self._left} frames are missing")


def save(pack: AvatarPack, directory: Path, meta: PackMeta, *, force: bool = False) -> None:
    """Write a whole pack. Raises AvatarError when the place is taken and ValueError when the pack is not sound."""
    with Draft(directory, force=force) as draft:
        draft.finish(pack, meta)


def load(directory: Path, *, encoder: str | None = None, musetalk: str | None = None) -> AvatarPack:
    """The pack in `directory`, its frames memory-mapped, all other arrays compared with their sha256.

    `encoder` and `musetalk` say what is in use; None accepts any. Raises AvatarError.
    """
    content = read_meta(directory)
    _refuse_other_weights(directory, content.meta, encoder, musetalk)
    arrays = {name: _read(directory, name, content) for name in _ARRAYS}
    pack = AvatarPack(**arrays, roi_width_px=content.roi_width_px, roi_height_px=content.roi_height_px)
    problem = problem_of(pack)
    if problem:
        raise AvatarError(f"The avatar in {directory} is damaged ({problem}); {_AGAIN}.")
    return pack


def verify(directory: Path) -> PackFile:
    """Read every byte of a pack and compare it with pack.json. Raises AvatarError."""
    content = read_meta(directory)
    load(directory)
    for name in _MAPPED:
        if _sha256(directory / f"{name}.npy") != content.files[name].sha256:
            raise AvatarError(f"{name}.npy in {directory} is damaged; {_AGAIN}.")
    return content


def read_meta(directory: Path) -> PackFile:
    """What pack.json says. Raises AvatarError when there is no pack, or one that this version cannot read."""
    if not directory.is_dir():
        raise AvatarError(f"There is no avatar in {directory}; make one with `python -m models.face prepare`.")
    try:
        raw = json.loads((directory / PACK_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AvatarError(f"{directory} holds no avatar: {PACK_NAME} is missing; {_AGAIN}.") from None
    except (OSError, ValueError):
        raise AvatarError(f"{PACK_NAME} in {directory} cannot be read; {_AGAIN}.") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise AvatarError(f"{PACK_NAME} in {directory} does not describe an avatar; choose another directory.")
    version = raw.get("version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise AvatarError(
            f"The avatar in {directory} was made by a newer version of this program (format {version}, this one reads "
            f"{FORMAT_VERSION}); update the program or {_AGAIN}."
        )
    try:
        content = PackFile.model_validate_json(json.dumps(raw))
    except ValidationError:
        raise AvatarError(f"{PACK_NAME} in {directory} is damaged; {_AGAIN}.") from None
    if set(content.files) != set(_ARRAYS):
        raise AvatarError(f"{PACK_NAME} in {directory} does not name the right files; {_AGAIN}.")
    return content


def refuse_taken(place: Path, *, force: bool) -> None:
    """Raises AvatarError when nothing may be written at `place`."""
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not (place / PACK_NAME).is_file():
        raise AvatarError(f"{place} exists and is no avatar; choose another place with --out.")
    if not force:
        raise AvatarError(
            f"{place} already holds an avatar; replace it with --force or choose another place with --out."
        )


def _refuse_other_weights(directory: Path, meta: PackMeta, encoder: str | None, musetalk: str | None) -> None:
    if musetalk is not None and meta.musetalk != musetalk:
        raise AvatarError(
            f"The avatar in {directory} was prepared for MuseTalk {meta.musetalk}, and {musetalk} is in use; "
            f"prepare it again with --version {musetalk} or choose {meta.musetalk}."
        )
    if encoder is not None and meta.encoder != encoder:
        raise AvatarError(
            f"The avatar in {directory} was made with other weights ({meta.encoder}) than those in use ({encoder}); "
            f"{_AGAIN}."
        )


def _read(directory: Path, name: str, content: PackFile) -> NDArray[Any]:
    path = directory / f"{name}.npy"
    expected = content.files[name]
    try:
        size_bytes = path.stat().st_size
    except OSError:
        raise AvatarError(f"{path.name} is missing in {directory}; {_AGAIN}.") from None
    if size_bytes != expected.size_bytes or (name not in _MAPPED and _sha256(path) != expected.sha256):
        raise AvatarError(f"{path.name} in {directory} is damaged; {_AGAIN}.")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if name in _MAPPED else None, allow_pickle=False)
    except (OSError, ValueError):
        raise AvatarError(f"{path.name} in {directory} cannot be read; {_AGAIN}.") from None
    if array.shape != expected.shape or str(array.dtype) != expected.dtype:
        raise AvatarError(f"{path.name} in {directory} does not have the shape that {PACK_NAME} states; {_AGAIN}.")
    return array


def _describe(path: Path, array: NDArray[Any]) -> ArrayFile:
    return ArrayFile(
        size_bytes=path.stat().st_size, sha256=_sha256(path), dtype=str(array.dtype), shape=tuple(array.shape)
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
