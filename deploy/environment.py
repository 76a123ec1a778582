"""The virtual environment of one checkout, with exactly the versions of constraints.txt. Standard library only."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from deploy.console import SetupError, run_logged
from deploy.llama import PACKAGE as LLAMA
from deploy.llama import LlamaWheel
from deploy.system import Apt

STAMP = "understudy.json"
CHECK_TIMEOUT_S = 120


class Environment:
    """`.venv` below the repository's root."""

    def __init__(self, root: Path, apt: Apt, *, cuda: tuple[int, int] | None = None) -> None:
        """With `cuda`, the newest version that the driver can run, the language model computes on the GPU."""
        self._root = root
        self._apt = apt
        self._cuda = cuda
        self.directory = root / ".venv"
        windows = sys.platform == "win32"
        self.python = self.directory / ("Scripts/python.exe" if windows else "bin/python")

    def ensure(self, extras: Iterable[str] = ()) -> None:
        """Make it and install into it, unless nothing has changed since the last time. Raises SetupError."""
        wanted = set(extras)
        if not self._works():
            self._create()
        installed = self._stamp()
        if installed is not None and wanted <= installed:
            return
        self._install(sorted(wanted | (installed or set())))

    def _works(self) -> bool:
        """Whether it can be run and is of this Python's version, with pip."""
        if not self.python.is_file():
            return False
        ask = "import sys, pip; print(*sys.version_info[:2])"
        done = subprocess.run([self.python, "-c", ask], capture_output=True, text=True, timeout=CHECK_TIMEOUT_S)
        return done.returncode == 0 and done.stdout.split() == [str(part) for part in sys.version_info[:2]]

    def _create(self) -> None:
        command = [sys.executable, "-m", "venv", "--clear", str(self.directory)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S)
        if done.returncode != 0 and "ensurepip" in done.stdout + done.stderr:
            package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
            self._apt.install([package], f"Python's venv module ({package})")
            done = subprocess.run(command, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S)
        if done.returncode != 0:
            last = ((done.stderr or done.stdout).strip().splitlines() or ["no word"])[-1]
            raise SetupError(f"The virtual environment {self.directory} cannot be made: {last}")

    def _install(self, extras: list[str]) -> None:
        version = pinned_version(self._root / "constraints.txt", LLAMA)
        llama = LlamaWheel(self.python, version, self._apt, cuda=self._cuda)
        cached = llama.path()
        project = f".[{','.join(extras)}]" if extras else "."
        self._pip("Installing what Understudy needs, a minute or two", "-e", project, str(cached))
        if not self._llama_runs():
            # A prebuilt wheel can be linked against another C library, or use instructions that this processor lacks.
            self._pip("Installing the rebuilt wheel", "--force-reinstall", "--no-deps", str(llama.build()))
            if not self._llama_runs():
                raise SetupError(f"{LLAMA} does not run on this machine; see {llama.directory / 'build.log'}.")
        stamp = {"inputs": self._inputs(), "extras": extras}
        (self.directory / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")

    def _pip(self, what: str, *arguments: str) -> None:
        command = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command += ["--progress-bar", "off", "-c", "constraints.txt", *arguments]
        if not run_logged(command, what, self.directory / "install.log", cwd=self._root):
            raise SetupError("The dependencies cannot be installed; the lines above say why, mostly it is the network.")

    def _llama_runs(self) -> bool:
        ask = "import llama_cpp, sys; llama_cpp.llama_backend_init()"
        if self._cuda:
            ask += "; sys.exit(not llama_cpp.llama_supports_gpu_offload())"
        return subprocess.run([self.python, "-c", ask], capture_output=True, timeout=CHECK_TIMEOUT_S).returncode == 0

    def _stamp(self) -> set[str] | None:
        """Extras that are installed, or None when what they were installed from has changed."""
        try:
            stamp = json.loads((self.directory / STAMP).read_text(encoding="utf-8"))
            return set(stamp["extras"]) if stamp["inputs"] == self._inputs() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _inputs(self) -> str:
        digest = hashlib.sha256(f"{self._root} {self._cuda}".encode() if self._cuda else str(self._root).encode())
        for name in ("pyproject.toml", "constraints.txt"):
            digest.update((self._root / name).read_bytes())
        return digest.hexdigest()

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def pinned_version(constraints: Path, package: str) -> str:
    """The version of `package` in constraints.txt."""
    found = re.search(rf"^{re.escape(package)}==([^\s;]+)", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise SetupError(f"{constraints.name} does not say which version of {package} to use.")
    return found[1]
