"""A `sounddevice` whose devices fail like real ones, a `pactl` that remembers, and sources and listeners."""

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.interfaces import Samples
from peer_local.errors import DeviceError

BUSY, BAD_RATE, BAD_CHANNELS, GONE = -9985, -9997, -9998, -9996


class PortAudioError(Exception):
    """As sounddevice raises it: text and number."""


class Machine:
    """Devices by (name, host), and what is wrong with each; the list that a library sees is as old as its start."""

    def __init__(self, *devices: dict[str, Any]) -> None:
        self.devices = list(devices)
        self.starts = 0
        self.streams: list[FakeStream] = []
        self.hangs = threading.Event()
        """Set while closing a device may return."""
        self.hangs.set()

    def library(self) -> "FakeSounddevice":
        return FakeSounddevice(self)


def device(
    name: str,
    host: str = "Core Audio",
    *,
    outputs: int = 0,
    inputs: int = 0,
    rate_hz: int = 48_000,
    rates_hz: Sequence[int] = (),
    channels: Sequence[int] = (),
    error: int = 0,
    default: bool = False,
) -> dict[str, Any]:
    """A device that takes only `rates_hz` and `channels` if given; `error` is PortAudio's number for every opening."""
    return {
        "name": name,
        "host": host,
        "outputs": outputs,
        "inputs": inputs,
        "rate_hz": rate_hz,
        "rates_hz": rates_hz,
        "channels": channels,
        "error": error,
        "default": default,
    }


class FakeSounddevice:
    """The part of the module `sounddevice` that is used."""

    PortAudioError = PortAudioError
    _lib = "PortAudio itself"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._running = False
        self._initialize()

    def _initialize(self) -> None:
        assert not self._running
        self._running = True
        self.machine.starts += 1
        self._seen = list(self.machine.devices)
        self._hosts = list(dict.fromkeys(each["host"] for each in self._seen))

    def _terminate(self) -> None:
        assert not any(stream.open for stream in self.machine.streams), "tore open streams down"
        self._running = False

    def _exit_handler(self) -> None:
        raise AssertionError("ran at exit")

    def query_hostapis(self) -> tuple[dict[str, Any], ...]:
        def default(host: str, side: str) -> int:
            chosen = [i for i, each in enumerate(self._seen) if each["host"] == host and each["default"] and each[side]]
            return chosen[0] if chosen else -1

        return tuple(
            {
                "name": host,
                "default_output_device": default(host, "outputs"),
                "default_input_device": default(host, "inputs"),
            }
            for host in self._hosts
        )

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": each["name"],
                "hostapi": self._hosts.index(each["host"]),
                "max_output_channels": each["outputs"],
                "max_input_channels": each["inputs"],
                "default_samplerate": float(each["rate_hz"]),
            }
            for each in self._seen
        ]

    def OutputStream(self, **how: Any) -> "FakeStream":
        return self._opened("outputs", how)

    def InputStream(self, **how: Any) -> "FakeStream":
        return self._opened("inputs", how)

    def check_output_settings(self, **how: Any) -> None:
        self._check("outputs", how)

    def _opened(self, side: str, how: dict[str, Any]) -> "FakeStream":
        self._check(side, how)
        stream = FakeStream(self.machine, how)
        self.machine.streams.append(stream)
        return stream

    def _check(self, side: str, how: dict[str, Any]) -> None:
        each = self._seen[how["device"]]
        if each["error"]:
            raise PortAudioError("Error opening stream", each["error"])
        if each not in self.machine.devices:
            raise PortAudioError("Error opening stream", GONE)
        if each["rates_hz"] and how["samplerate"] not in each["rates_hz"]:
            raise PortAudioError("Invalid sample rate", BAD_RATE)
        if how["channels"] > each[side] or (each["channels"] and how["channels"] not in each["channels"]):
            raise PortAudioError("Invalid number of channels", BAD_CHANNELS)


class FakeStream:
    """Calls back when a test says so."""

    latency = 0.05

    def __init__(self, machine: Machine, how: dict[str, Any]) -> None:
        self._machine = machine
        self.how = how
        self.closed = 0

    @property
    def open(self) -> bool:
        return not self.closed

    def start(self) -> None:
        pass

    def abort(self) -> None:
        assert self._machine.hangs.wait(10)

    def close(self) -> None:
        self.closed += 1

    def unplug(self) -> None:
        """The driver ends the stream, as when a cable is pulled."""
        self.how["finished_callback"]()

    def play(
        self, frames: int, *, current_s: float = 0.0, dac_s: float = 0.0, underflow: bool = False
    ) -> NDArray[np.float32]:
        """One callback of an output: what it wrote, [frames, channels]."""
        out = np.full((frames, self.how["channels"]), np.nan, np.float32)
        times = SimpleNamespace(currentTime=current_s, outputBufferDacTime=dac_s, inputBufferAdcTime=0.0)
        self.how["callback"](out, frames, times, SimpleNamespace(output_underflow=underflow, input_overflow=False))
        return out

    def record(self, samples: NDArray[np.float32], *, current_s: float = 0.0, adc_s: float = 0.0) -> None:
        """One callback of an input with [frames, channels]."""
        times = SimpleNamespace(currentTime=current_s, outputBufferDacTime=0.0, inputBufferAdcTime=adc_s)
        self.how["callback"](samples, len(samples), times, None)


class Clock:
    """A clock that a test sets."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Ramp:
    """A source whose samples count up by 1/65536, so that order and gaps show."""

    def __init__(self) -> None:
        self.position = 0
        self.pulls: list[tuple[int, float]] = []

    def pull(self, count: int, at_s: float) -> Samples:
        self.pulls.append((count, at_s))
        place = np.arange(self.position, self.position + count)
        self.position += count
        return (place / 65_536).astype(np.float32)


class Sine:
    """A source of one frequency at 48 kHz."""

    def __init__(self, frequency_hz: float) -> None:
        self._frequency_hz = frequency_hz
        self.position = 0

    def pull(self, count: int, at_s: float) -> Samples:
        place = np.arange(self.position, self.position + count)
        self.position += count
        return np.asarray(0.5 * np.sin(2 * np.pi * self._frequency_hz / 48_000 * place), np.float32)


class Failing:
    """A source and listener that break their contract."""

    def pull(self, count: int, at_s: float) -> Samples:
        raise RuntimeError("broken")

    def push(self, samples: Samples, at_s: float) -> None:
        raise RuntimeError("broken")


class Notes:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.pushes: list[tuple[Samples, float]] = []

    def push(self, samples: Samples, at_s: float) -> None:
        self.pushes.append((samples, at_s))

    @property
    def samples(self) -> Samples:
        return np.concatenate([samples for samples, _ in self.pushes])


class FakePactl:
    """A sound server as `pactl` shows it: loads and unloads modules, lists their sinks, sources, and who uses them."""

    def __init__(self, *, old: bool = False, running: bool = True) -> None:
        self.old = old
        """Without JSON and without the argument norewinds, as before PulseAudio 15."""
        self.running = running
        self.default_sink = "speaker"
        self.default_source = "webcam.mono"
        self.modules: dict[int, tuple[str, ...]] = {}
        self.asked: list[tuple[str, ...]] = []
        self.playing: list[tuple[str, int]] = []
        """Streams: the sink, and the process that plays."""
        self.recording: list[tuple[str, int]] = []
        """Streams: the source, and the process that records."""
        self._numbers: dict[str, int] = {}
        self.sinks: dict[str, str] = {"speaker": "Built-in Speaker"}
        self.sources: dict[str, str] = {"speaker.monitor": "Monitor of Built-in Speaker", "webcam.mono": "Webcam, Mono"}

    def __call__(self, arguments: Sequence[str]) -> str:
        self.asked.append(tuple(arguments))
        if not self.running:
            raise DeviceError("No sound server is running (Connection refused); start PipeWire or PulseAudio.")
        match tuple(arguments):
            case ("info",):
                return f"Server Name: fake\nDefault Sink: {self.default_sink}\nDefault Source: {self.default_source}\n"
            case ("-f", "json", "list", kind):
                if self.old:
                    raise DeviceError("The sound server refused `pactl -f` (invalid option -- 'f'); run the doctor.")
                return str([{"name": n, "description": t} for n, t in self._listed(kind)]).replace("'", '"')
            case ("list", "short", "modules"):
                return "".join(f"{i}\t{module[0]}\t{' '.join(module[1:])}\t\n" for i, module in self.modules.items())
            case ("list", "short", kind):
                return "".join(f"{self._index(name)}\t{name}\tmodule\n" for name, _ in self._listed(kind))
            case ("list", "sink-inputs"):
                return "".join(self._stream("Sink Input", "Sink", *each) for each in self.playing)
            case ("list", "source-outputs"):
                return "".join(self._stream("Source Output", "Source", *each) for each in self.recording)
            case ("load-module", *module):
                return self._load(tuple(module))
            case ("unload-module", index):
                self._unload(int(index))
                return ""
        raise AssertionError(f"pactl does not know {arguments}")

    def _listed(self, kind: str) -> list[tuple[str, str]]:
        return list((self.sinks if kind == "sinks" else self.sources).items())

    def restart(self) -> None:
        """Everything that was loaded is gone, and modules are counted from the start again."""
        for index in list(self.modules):
            self._unload(index)

    def _index(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _stream(self, what: str, kind: str, device: str, process: int) -> str:
        return (
            f"{what} #{process}\n\tDriver: protocol-native.c\n\t{kind}: {self._index(device)}\n\tMute: no\n"
            f'\tProperties:\n\t\tmedia.name = "ALSA Playback"\n\t\tapplication.process.id = "{process}"\n\n'
        )

    def _load(self, module: tuple[str, ...]) -> str:
        if self.old and "norewinds=1" in module:
            raise DeviceError("The sound server refused `pactl load-module` (Module initialization failed).")
        index = 10 + len(self.modules)
        self.modules[index] = module
        values = dict(part.split("=", 1) for part in module[1:])
        if "sink_name" in values:
            self.sinks[values["sink_name"]] = "Understudy (cable)"
            self.sources[f"{values['sink_name']}.monitor"] = "Monitor of Understudy (cable)"
        else:
            self.sources[values["source_name"]] = "Understudy Microphone"
        return f"{index}\n"

    def _unload(self, index: int) -> None:
        values = dict(part.split("=", 1) for part in self.modules.pop(index)[1:])
        gone = values.get("sink_name", "")
        self._numbers[f"gone {len(self._numbers)}"] = self._numbers.pop(gone, -1)  # no other one gets its number
        self.sinks.pop(gone, None)
        self.playing = [(self.default_sink if sink == gone else sink, process) for sink, process in self.playing]
        self.sources.pop(f"{values.get('sink_name', '')}.monitor", None)
        self.sources.pop(values.get("source_name", ""), None)


def stepping(clock: Clock, steps: int, late_s: Callable[[int], float] = lambda step: 0.0) -> Callable[[float], bool]:
    """A `wait` that moves the clock instead of sleeping, `late_s(step)` too far, and says stop after `steps`."""
    count = iter(range(steps + 1))

    def wait(seconds: float) -> bool:
        step = next(count)
        clock.now_s += seconds + late_s(step)
        return step == steps

    return wait
