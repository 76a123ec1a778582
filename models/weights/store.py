"""Where weight files lie, and what is known about the bytes that lie there.

    <directory>/<model>/<file>                 the weights
    <directory>/<model>/weights.lock.json      per file: sha256, size, mtime, where it came from
    <directory>/.incoming/                     unfinished downloads, kept so that they can go on
    <directory>/.lock                          held by the one process that fetches

The lock file serves two purposes: a file whose size and mtime are still those recorded needs no second hashing, and a
file whose sha256 the catalog does not know is held to the sha256 it had when it was first fetched.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from models.errors import WeightsCorrupt, WeightsMissing
from models.weights.catalog import Catalog, WeightFile

LOCK_NAME = "weights.lock.json"
CHUNK_BYTES = 1 << 20

Condition = Literal["verified", "unchecked", "absent", "wrong"]


@dataclass(frozen=True, slots=True)
class Record:
    """What was true of a file when its bytes were last read."""

    sha256: str
    size_bytes: int
    mtime_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What `verify` found out about one file."""

    model: str
    file: str
    ok: bool
    problem: str = ""


class Store:
    """The weight files below one directory. Safe to use from several threads."""

    def __init__(self, directory: Path, catalog: Catalog) -> None:
        self.directory = directory
        self.catalog = catalog
        self._lock = threading.Lock()

    def path(self, model: str, file: WeightFile) -> Path:
        return self.directory / model / file.name

    def expected_sha256(self, model: str, file: WeightFile) -> str | None:
        """What the catalog promises, else what was recorded at the first fetch."""
        record = self._records(model).get(file.name)
        return file.sha256 or (record.sha256 if record else None)

    def condition(self, model: str, file: WeightFile) -> Condition:
        """What can be said without reading the bytes."""
        try:
            stat = self.path(model, file).stat()
        except (FileNotFoundError, NotADirectoryError):
            return "absent"
        if file.size_bytes is not None and stat.st_size != file.size_bytes:
            return "wrong"
        record = self._records(model).get(file.name)
        if record is None:
            return "unchecked"
        if file.sha256 is not None and record.sha256 != file.sha256:
            return "wrong"
        return "verified" if (record.size_bytes, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns) else "unchecked"

    def record(self, model: str, file: WeightFile, sha256: str, source: str) -> None:
        """Remember that the file that lies there now has this sha256."""
        stat = self.path(model, file).stat()
        with self._lock:
            records = self._records(model)
            records[file.name] = Record(sha256, stat.st_size, stat.st_mtime_ns, source)
            target = self.directory / model / LOCK_NAME
            new = target.with_suffix(".new")
            new.write_text(
                json.dumps({name: asdict(entry) for name, entry in sorted(records.items())}, indent=2) + "\n"
            )
            os.replace(new, target)

    def check(self, model: str, file: WeightFile) -> bool:
        """Read and hash the file that lies there; True when it is the right one, which is then recorded."""
        expected = self.expected_sha256(model, file)
        try:
            found = sha256_of(self.path(model, file))
        except FileNotFoundError:
            return False
        if expected is not None and found != expected:
            return False
        known = self._records(model).get(file.name)
        with suppress(OSError):  # a directory that may only be read is hashed again the next time
            self.record(model, file, found, known.source if known else "found in place")
        return True

    def _records(self, model: str) -> dict[str, Record]:
        try:
            entries = json.loads((self.directory / model / LOCK_NAME).read_text())
            return {name: Record(**entry) for name, entry in entries.items()}
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, AttributeError):
            return {}


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return digest.hexdigest()


def locate(model: str, directory: Path, *, catalog: Catalog | None = None) -> Path:
    """Directory that holds the files of `model`. A file whose size and time are those recorded is not read again.

    Raises WeightsMissing when a file is absent, WeightsCorrupt when one is not what the catalog promises.
    """
    store = Store(directory, catalog or Catalog.read())
    for file in store.catalog.model(model).files:
        condition = store.condition(model, file)
        if condition == "absent":
            raise WeightsMissing(f"The weights of {model} are not complete; run `python -m models fetch {model}`.")
        if condition == "wrong" or (condition == "unchecked" and not store.check(model, file)):
            raise WeightsCorrupt(
                f"{file.name} of {model} is not the file that the catalog promises; "
                f"run `python -m models fetch {model}`."
            )
    return directory / model


def verify(
    names: Iterable[str],
    directory: Path,
    *,
    catalog: Catalog | None = None,
    on_bytes: Callable[[str, int], None] | None = None,
) -> list[Finding]:
    """Read and hash every file of the named models and groups, whatever was recorded before."""
    store = Store(directory, catalog or Catalog.read())
    return [
        _verify_file(store, model, file, on_bytes)
        for model in store.catalog.select(names)
        for file in store.catalog.models[model].files
    ]


def _verify_file(store: Store, model: str, file: WeightFile, on_bytes: Callable[[str, int], None] | None) -> Finding:
    path = store.path(model, file)
    if not path.is_file():
        return Finding(model, file.name, False, "is missing")
    found = sha256_of(path, (lambda count: on_bytes(model, count)) if on_bytes else None)
    expected = store.expected_sha256(model, file)
    if expected is None:
        return Finding(model, file.name, False, "was not fetched by this program, so nothing says what it should be")
    if found != expected:
        return Finding(model, file.name, False, f"has sha256 {found[:12]}…, expected {expected[:12]}…")
    return Finding(model, file.name, True)
