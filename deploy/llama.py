"""A wheel of llama-cpp-python for this machine: cached, else prebuilt by its project, else built. Only the stdlib.

The package index has only its source. A build takes minutes and is tuned to this processor, so it goes into the user's
cache under a name made of everything it depends on: a new checkout takes it from there in seconds, and another
processor never gets it.
"""

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
PREBUILT_INDEX = "https://abetlen.github.io/llama-cpp-python/whl/cpu"
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

COMPILER_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
"""On processors with AMX: GCC drops the stores to ggml's tile configuration, so that the first token ends in a
segmentation fault (llama.cpp pull request 26954). AVX-512 with repacked weights is as fast for one conversation."""


class LlamaWheel:
    """Finds or makes the wheel of one version, with the Python at `python`."""

    def __init__(self, python: Path, version: str, apt: Apt, *, cache: Path | None = None) -> None:
        self._python = python
        self._version = version
        self._apt = apt
        self.directory = (cache or cache_directory()) / "wheels" / self._key()

    def path(self) -> Path:
        """The wheel's file. Raises SetupError when it can be neither found nor made."""
        return self.cached() or self._prebuilt() or self.build()

    def cached(self) -> Path | None:
        return next(iter(sorted(self.directory.glob("llama_cpp_python-*.whl"))), None)

    def build(self) -> Path:
        """Build it on this machine, in place of what is cached."""
        require_compiler(self._apt)
        minutes = max(1, round(CORE_SECONDS / cores() / 60))
        what = f"Building {PACKAGE}, about {minutes} min on {cores()} cores, once for this machine"
        environment = {
            **os.environ,
            "CMAKE_ARGS": os.environ.get("CMAKE_ARGS") or CMAKE_ARGS,
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
        request = urllib.request.Request(f"{PREBUILT_INDEX}/{PACKAGE}/", headers={"User-Agent": "understudy"})
        try:
            with urllib.request.urlopen(request, timeout=PROBE_TIMEOUT_S):
                pass
        except (urllib.error.URLError, OSError):
            return None
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            command = [str(self._python), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            command += ["--index-url", PREBUILT_INDEX, "--dest", folder, f"{PACKAGE}=={self._version}"]
            try:
                done = subprocess.run(command, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                return None
            if done.returncode != 0:
                return None
            say(f"Took the prebuilt wheel of {PACKAGE} {self._version} from its project.")
            return self._keep(Path(folder))

    def _keep(self, folder: Path) -> Path:
        wheel = next(folder.glob("*.whl"))
        for old in self.directory.glob("*.whl"):
            old.unlink()
        return Path(shutil.move(wheel, self.directory / wheel.name))

    def _key(self) -> str:
        options = os.environ.get("CMAKE_ARGS") or CMAKE_ARGS
        built_from = "\n".join((_processor(), self._version, options, _compiler_flags()))
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        return f"{tag}-{hashlib.sha256(built_from.encode()).hexdigest()[:16]}"


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
