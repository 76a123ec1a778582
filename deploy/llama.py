"""A wheel of llama-cpp-python for this machine: cached, else prebuilt by its project, else built. Only the stdlib.

The package index has only its source. A build takes minutes and is tuned to this processor, so it goes into the user's
cache under a name made of everything it depends on: a new checkout takes it from there in seconds, and another
processor never gets it.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from deploy.console import SetupError, cores, run_logged, say
from deploy.system import Apt, cache_directory, require_compiler

PACKAGE = "llama-cpp-python"
PREBUILT_INDEXES = "https://abetlen.github.io/llama-cpp-python/whl"
CUDA_INDEXES = ((13, 2), (13, 0), (12, 5), (12, 4), (12, 3), (12, 2), (12, 1))
"""Versions of CUDA for which there are wheels, newest first."""
PROBE_TIMEOUT_S = 3.0
DOWNLOAD_TIMEOUT_S = 300
CORE_SECONDS = 420
"""A build: 3 min 27 s on two cores of a 2.7 GHz server processor."""
CMAKE_ARGS = " ".join(
    (
        "-DGGML_NATIVE=ON",
        "-DLLAVA_BUILD=OFF",
        "-DLLAMA_BUILD_TOOLS=OFF",
        "-DLLAMA_BUILD_COMMON=OFF",
        "-DLLAMA_BUILD_EXAMPLES=OFF",
        "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_SERVER=OFF",
    )
)

CUDA_CMAKE_ARGS = "-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native"
CUDA_CORE_SECONDS = 3_600
"""A guess: the kernels for one architecture are most of it."""
COMPILER_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
"""On processors with AMX: GCC drops the stores to ggml's tile configuration, so that the first token ends in a
segmentation fault (llama.cpp pull request 26954). AVX-512 with repacked weights is as fast for one conversation."""


class LlamaWheel:
    """Finds or makes the wheel of one version, with the Python at `python`."""

    def __init__(
        self,
        python: Path,
        version: str,
        apt: Apt,
        *,
        cache: Path | None = None,
        cuda: tuple[int, int] | None = None,
    ) -> None:
        """`cuda` is the newest version that the driver can run; None makes a wheel for the processor alone."""
        self._python = python
        self._version = version
        self._apt = apt
        self._cuda = cuda
        self.directory = (cache or cache_directory()) / "wheels" / self._key()

    def path(self) -> Path:
        """The wheel's file. Raises SetupError when it can be neither found nor made."""
        return self.cached() or self._prebuilt() or self.build()

    def cached(self) -> Path | None:
        return next(iter(sorted(self.directory.glob("llama_cpp_python-*.whl"))), None)

    def build(self) -> Path:
        """Build it on this machine, in place of what is cached."""
        require_compiler(self._apt)
        nvcc = _nvcc() if self._cuda else None
        if self._cuda and nvcc is None:
            raise SetupError(
                f"{PACKAGE} for this GPU can be neither fetched nor built; use an image with CUDA's nvcc "
                "(a name with -devel-)."
            )
        minutes = max(1, round((CUDA_CORE_SECONDS if self._cuda else CORE_SECONDS) / cores() / 60))
        what = f"Building {PACKAGE}, about {minutes} min on {cores()} cores, once for this machine"
        environment = {
            **os.environ,
            "CMAKE_ARGS": self._options(),
            **({"CUDACXX": nvcc} if nvcc else {}),
            "CMAKE_BUILD_PARALLEL_LEVEL": str(cores()),
            **{name: f"{os.environ.get(name, '')} {_compiler_flags()}".strip() for name in ("CFLAGS", "CXXFLAGS")},
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            command = [str(self._python), "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "--verbose"]
            command += ["--wheel-dir", folder, f"{PACKAGE}=={self._version}"]
            if not run_logged(command, what, self.directory / "build.log", env=environment):
                raise SetupError(
                    f"{PACKAGE} could not be built; it needs a C++ compiler and the package index, "
                    "the lines above say what went wrong."
                )
            return self._keep(Path(folder))

    def _prebuilt(self) -> Path | None:
        """What the project publishes for this platform, if its page can be reached at all."""
        flavours = ["cpu"] if self._cuda is None else cuda_flavours(self._cuda, cuda_runtime())
        return next((wheel for flavour in flavours if (wheel := self._download(flavour)) is not None), None)

    def _download(self, flavour: str) -> Path | None:
        index = f"{PREBUILT_INDEXES}/{flavour}"
        request = urllib.request.Request(f"{index}/{PACKAGE}/", headers={"User-Agent": "understudy"})
        try:
            with urllib.request.urlopen(request, timeout=PROBE_TIMEOUT_S):
                pass
        except (urllib.error.URLError, OSError):
            return None
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            command = [str(self._python), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            command += ["--index-url", index, "--dest", folder, f"{PACKAGE}=={self._version}"]
            try:
                done = subprocess.run(command, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                return None
            if done.returncode != 0:
                return None
            say(f"Took the prebuilt wheel of {PACKAGE} {self._version} ({flavour}) from its project.")
            return self._keep(Path(folder))

    def _keep(self, folder: Path) -> Path:
        wheel = next(folder.glob("*.whl"))
        for old in self.directory.glob("*.whl"):
            old.unlink()
        return Path(shutil.move(wheel, self.directory / wheel.name))

    def _options(self) -> str:
        options = os.environ.get("CMAKE_ARGS") or CMAKE_ARGS
        return f"{options} {CUDA_CMAKE_ARGS}" if self._cuda else options

    def _key(self) -> str:
        built_from = "\n".join((_processor(), self._version, self._options(), _compiler_flags()))
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        return f"{tag}-{hashlib.sha256(built_from.encode()).hexdigest()[:16]}"


def cuda_flavours(driver: tuple[int, int], runtime: int | None) -> list[str]:
    """Wheels that can run here, best first: not newer than the driver, linked to the runtime library that is here."""
    return [
        f"cu{major}{minor}" for major, minor in CUDA_INDEXES if (major, minor) <= driver and runtime in (None, major)
    ]


def cuda_runtime() -> int | None:
    """The major version of the CUDA runtime library that programs find here, the newest of several."""
    for major in sorted({major for major, _ in CUDA_INDEXES}, reverse=True):
        try:
            ctypes.CDLL(f"libcudart.so.{major}")
        except OSError:
            continue
        return major
    return None


def _nvcc() -> str | None:
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def _compiler_flags() -> str:
    return COMPILER_FLAGS if " amx_" in _processor() else ""


def _processor() -> str:
    """What a native build depends on: the architecture and the instructions that the processor has."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                return f"{platform.machine()} {' '.join(sorted(line.partition(':')[2].split()))}"
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return (
            f"{platform.machine()} {subprocess.run(asked, capture_output=True, text=True, timeout=10).stdout.strip()}"
        )
    return f"{platform.machine()} {platform.processor()}"
