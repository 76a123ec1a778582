"""What the operating system must bring: two graphics libraries, a compiler, for tests a browser. Standard library only.

On Debian and Ubuntu, as root (a container, a rented machine), missing packages are installed; elsewhere one sentence
says which command does it.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.console import SetupError, say

APT_TIMEOUT_S = 900
LIBRARIES = {"libEGL.so.1": "libegl1", "libGL.so.1": "libgl1", "libexpat.so.1": "libexpat1"}
"""What skia-python links to outside its wheel, and the Debian package that has it."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
)


class Apt:
    """Debian's package manager, which may be used only by root."""

    def __init__(self) -> None:
        self.usable = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None

    def install(self, packages: Sequence[str], why: str) -> None:
        """Install `packages`, or raise SetupError with the command that a person can run."""
        command = f"apt-get install -y {' '.join(packages)}"
        if not self.usable:
            raise SetupError(f"{why} is missing; install it, on Debian and Ubuntu with `sudo {command}`.")
        say(f"{why} is missing; running {command} …")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        for step in (["apt-get", "update", "-qq"], install):
            try:
                done = subprocess.run(step, env=quiet, capture_output=True, text=True, timeout=APT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise SetupError(f"{' '.join(step)} took over {APT_TIMEOUT_S} s; run it by hand.") from None
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["no word"])[-1]
                raise SetupError(f"{' '.join(step)} failed ({last}); run it by hand.")


def require_libraries(apt: Apt, *, loads: Callable[[str], bool] | None = None) -> None:
    """The shared libraries that the drawing library needs, on Linux."""
    if sys.platform != "linux":
        return
    loads = loads or _loads
    missing = [name for name in LIBRARIES if not loads(name)]
    if missing:
        apt.install([LIBRARIES[name] for name in missing], f"The graphics library {' and '.join(missing)}")


def require_compiler(apt: Apt) -> None:
    """A C and C++ compiler, which building llama-cpp-python needs."""
    if sys.platform == "win32" or any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        return
    apt.install(["build-essential"], "A C++ compiler")


def require_browser(apt: Apt) -> None:
    """Chrome or Chromium, which the browser tests drive."""
    if any(shutil.which(name) for name in BROWSERS) or any(Path(place).is_file() for place in BROWSER_PLACES):
        return
    apt.install(["chromium"], "A browser (Chromium or Chrome) for the tests")


def cache_directory() -> Path:
    """The user's cache directory of this product, the same one that holds the weights."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(local) / "understudy" / "understudy" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "understudy"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "understudy"


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
