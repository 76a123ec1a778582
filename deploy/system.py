"""What the operating system must bring: graphics and sound libraries, a compiler; for tests a browser, a sound server.

On Debian and Ubuntu, as root (a container, a rented machine), missing packages are installed; elsewhere one sentence
says which command does it. Standard library only.
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
APT_LOCK_S = 120
"""How long another one may be at work, as after a machine's boot."""
LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libexpat.so.1": "libexpat1",
    "libportaudio.so.2": "libportaudio2",
}
"""What skia-python and sounddevice link to outside their wheels, and the Debian package that has it."""
PULSE_PLUGIN = "libasound_module_pcm_pulse.so"
PULSE_PLUGIN_PACKAGE = "libasound2-plugins"
"""Through it PortAudio reaches PulseAudio and PipeWire, and so the virtual microphone."""
SOUND_SERVER = {"pulseaudio": "pulseaudio", "pactl": "pulseaudio-utils", "parec": "pulseaudio-utils"}
NETWORK_LAB = {"turnserver": "coturn", "iptables": "iptables", "ip": "iproute2"}
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
        options = ["-y", "-qq", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={APT_LOCK_S}"]
        update, install = ["apt-get", "update", "-qq"], ["apt-get", "install", *options, *packages]
        for step in (update, install):
            try:
                done = subprocess.run(step, env=quiet, capture_output=True, text=True, timeout=APT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise SetupError(f"{' '.join(step)} took over {APT_TIMEOUT_S} s; run it by hand.") from None
            # One source of several that does not answer is no reason to end: installing shows whether it matters.
            if done.returncode != 0 and step is install:
                last = (done.stderr.strip().splitlines() or ["no word"])[-1]
                raise SetupError(f"{command} failed ({last}); run it by hand.")


def require_libraries(
    apt: Apt, *, loads: Callable[[str], bool] | None = None, has_plugin: Callable[[], bool] | None = None
) -> None:
    """The shared libraries that drawing and sound need, on Linux."""
    if sys.platform != "linux":
        return
    loads = loads or _loads
    packages = {name: package for name, package in LIBRARIES.items() if not loads(name)}
    if not (has_plugin or _has_pulse_plugin)():
        packages[PULSE_PLUGIN] = PULSE_PLUGIN_PACKAGE
    if packages:
        apt.install(list(packages.values()), f"The library {' and '.join(packages)}")


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


def require_sound_server(apt: Apt) -> None:
    """PulseAudio, of which the sound tests start one of their own, on Linux.

    Only where it can be installed at once: on a person's machine it might displace PipeWire, and the tests do without.
    """
    if sys.platform != "linux":
        return
    missing = [program for program in SOUND_SERVER if shutil.which(program) is None]
    if not missing:
        return
    if not apt.usable:
        say(f"Without {' and '.join(missing)} the tests of real sound devices are skipped.")
        return
    apt.install(sorted({SOUND_SERVER[program] for program in missing}), "A sound server (PulseAudio) for the tests")


def require_network_lab(apt: Apt) -> None:
    """coturn and iptables, with which the tests of home networks and TURN build namespaces of their own, on Linux.

    Only where they can be installed at once: a person's machine gets no server that starts by itself.
    """
    if sys.platform != "linux":
        return
    places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    missing = [program for program in NETWORK_LAB if shutil.which(program, path=places) is None]
    if not missing:
        return
    if not apt.usable:
        say(f"Without {' and '.join(missing)} the tests of home networks (NAT) and TURN are skipped.")
        return
    apt.install(sorted({NETWORK_LAB[program] for program in missing}), "A TURN server (coturn) for the tests")


def cache_directory() -> Path:
    """The user's cache directory of this product, the same one that holds the weights."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(local) / "understudy" / "understudy" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "understudy"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "understudy"


def _has_pulse_plugin() -> bool:
    """In the folder of ALSA's plugins; where it is on other systems than Debian's is not ours to know."""
    return shutil.which("apt-get") is None or any(
        any(Path("/usr").glob(f"{folder}/alsa-lib/{PULSE_PLUGIN}")) for folder in ("lib", "lib64", "lib/*", "local/lib")
    )


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
