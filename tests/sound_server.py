"""A private, headless PulseAudio for tests and benches, and recordings of what an application would hear from it.

PortAudio looks at the machine once per process: give `server.environment` to a subprocess, or set it before first use.
"""

import contextlib
import ctypes.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Samples
from peer_local.devices.pulse import pactl

START_S = 10.0
STOP_S = 5.0
IDLE_EXIT_S = 600
"""The server ends by itself when whoever started it was killed."""
SPEAKER = "speaker"
"""The default output, whose monitor is "the call's own sound"."""
SCRIPT = f"""
.fail
load-module module-native-protocol-unix auth-anonymous=1
load-module module-null-sink sink_name={SPEAKER} rate=48000 norewinds=1 sink_properties=device.description=Speaker
set-default-sink {SPEAKER}
"""


def available() -> bool:
    """Whether this machine has the server, its tools and PortAudio."""
    programs = all(shutil.which(name) for name in ("pulseaudio", "pactl", "parec", "pacat"))
    return programs and ctypes.util.find_library("portaudio") is not None


@dataclass
class Recording:
    """What came from a source, piece by piece, with the monotonic time of each arrival."""

    rate_hz: int
    pieces: list[bytes] = field(default_factory=list)
    arrivals_s: list[float] = field(default_factory=list)

    @property
    def samples(self) -> Samples:
        """Mono float32, as a copy that no longer grows."""
        data = b"".join(list(self.pieces))
        return np.frombuffer(data[: len(data) // 4 * 4], np.float32)

    def arrived_s(self) -> tuple[Samples, Samples]:
        """Of every piece: how many samples there were with it, and when its last one arrived (both float64)."""
        arrivals_s = list(self.arrivals_s)
        counts = np.cumsum([len(piece) / 4 for piece in self.pieces[: len(arrivals_s)]])
        return counts, np.array(arrivals_s)

    def wait_for(self, samples: int, timeout_s: float) -> None:
        """Until so many samples are there. Raises TimeoutError."""
        end_s = time.monotonic() + timeout_s
        while sum(map(len, list(self.pieces))) < 4 * samples:
            if time.monotonic() > end_s:
                raise TimeoutError(f"{len(self.samples)} of {samples} samples came within {timeout_s} s")
            time.sleep(0.01)


class SoundServer:
    """`environment` is what a client of it needs, PulseAudio's own or an application such as Chromium."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        socket = folder / "pulse" / "native"
        self.environment: Mapping[str, str] = {
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PULSE_RUNTIME_PATH": str(folder / "pulse"),
            "PULSE_SERVER": f"unix:{socket}",
            "PULSE_COOKIE": str(folder / "cookie"),
        }

    def pactl(self, arguments: Sequence[str]) -> str:
        """As peer_local.devices.pulse.pactl, which a PulseServer takes; asks this server."""
        return pactl(("--server", self.environment["PULSE_SERVER"], *arguments))

    @contextlib.contextmanager
    def recording(self, source: str, rate_hz: int = SPEECH_RATE_HZ) -> Iterator[Recording]:
        """Record a source, mono, in pieces of some 5 ms, while the context lasts; it begins when sound arrives."""
        command = [
            "parec", "--device", source, "--format=float32le", f"--rate={rate_hz}", "--channels=1", "--raw",
            "--latency-msec=5",
        ]  # fmt: skip
        recording = Recording(rate_hz)
        with subprocess.Popen(
            command, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            pipe = process.stdout.fileno()

            def read() -> None:
                while piece := os.read(pipe, 65_536):
                    recording.pieces.append(piece)
                    recording.arrivals_s.append(time.monotonic())

            reader = threading.Thread(target=read, name="parec-reader")
            reader.start()
            try:
                recording.wait_for(1, START_S)
                yield recording
            finally:
                process.terminate()
                reader.join(STOP_S)
                if process.poll() is None:
                    process.kill()

    def record(self, source: str, seconds: float, rate_hz: int = SPEECH_RATE_HZ) -> Recording:
        """Record for `seconds` of sound."""
        with self.recording(source, rate_hz) as recording:
            recording.wait_for(round(seconds * rate_hz), seconds + START_S)
            return recording


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Start a server of one's own, with one output named SPEAKER, and end it."""
    with tempfile.TemporaryDirectory(prefix="us-") as name:  # short, because a socket's path has at most 107 letters
        folder = Path(name)
        script = folder / "server.pa"
        script.write_text(SCRIPT)
        server = SoundServer(folder)
        (folder / "pulse").mkdir(mode=0o700)
        command = [
            "pulseaudio", "-n", "-F", str(script), "--daemonize=no", f"--exit-idle-time={IDLE_EXIT_S}",
            "--disable-shm=yes", "--use-pid-file=no", "--log-target=stderr", "--log-level=error",
        ]  # fmt: skip
        own = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DBUS_"))},
            **{name: value for name, value in server.environment.items() if name != "PULSE_SERVER"},
            "HOME": name,
        }
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(command, env=own, stdout=log, stderr=log)
        try:
            _wait_until_it_answers(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)


def _wait_until_it_answers(server: SoundServer, process: "subprocess.Popen[bytes]") -> None:
    end_s = time.monotonic() + START_S
    while True:
        try:
            server.pactl(("info",))
            return
        except Exception as error:
            if process.poll() is not None or time.monotonic() > end_s:
                said = (server.folder / "server.log").read_text(errors="replace")
                raise RuntimeError(f"PulseAudio does not start: {said or error}") from error
            time.sleep(0.05)


def level_breaks(samples: Samples, frequency_hz: float, rate_hz: int = SPEECH_RATE_HZ) -> int:
    """How often a sine of `frequency_hz` breaks off or jumps: where x[n] is not 2 cos(w) x[n-1] - x[n-2]."""
    step = 2 * np.cos(2 * np.pi * frequency_hz / rate_hz)
    off = np.abs(samples[2:] - step * samples[1:-1] + samples[:-2]) > 0.01
    return int(np.count_nonzero(np.diff(np.flatnonzero(off), prepend=-100) > 10))
