"""PulseAudio, or PipeWire in its place: the virtual microphone, and its devices under names that PortAudio can open.

    what the double says ─► sink "Understudy (cable)" ─ monitor ─► source "Understudy Microphone" ─► call application
    call application ─► the user's loudspeaker ─ monitor ─► ears

PortAudio reaches the server through ALSA's pulse plugin and lists only what an ALSA configuration names; one that names
every sink and source is written before PortAudio starts, and used by this process alone.
"""

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from peer_local.devices.sound_devices import Direction, Endpoint
from peer_local.errors import DeviceError

PACTL_S = 3.0
CABLE_SINK = "understudy_microphone"
CABLE_SINK_TITLE = "Understudy (cable)"
CABLE_SOURCE = "understudy_microphone_source"
CABLE_SOURCE_TITLE = "Understudy Microphone"
ALSA_CONFIG = "/usr/share/alsa/alsa.conf"
CONFIG_VARIABLE = "ALSA_CONFIG_PATH"

Run = Callable[[Sequence[str]], str]

_KINDS = {"output": "sinks", "input": "sources"}
_NOWHERE = 0xFFFF_FFFF
"""The device of a stream that is on its way from one to another."""


@dataclass(frozen=True, slots=True)
class PulseDevice:
    """A sink or a source of the server."""

    name: str
    """The server's own name for it."""
    title: str
    """What the system's settings show."""
    direction: Direction
    monitor_of: str | None = None
    """The sink that this source listens to."""


@dataclass(frozen=True, slots=True)
class PulseStream:
    """A program that plays to a sink or records from a source."""

    device: int
    """The sink's or source's index."""
    process: int | None


def pactl(arguments: Sequence[str]) -> str:
    """What `pactl` prints. Raises DeviceError."""
    # In the C locale pactl writes no valid JSON for names that are not ASCII, and decimal commas in others.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            ["pactl", *arguments], env=environment, capture_output=True, encoding="utf-8", errors="replace",
            stdin=subprocess.DEVNULL, timeout=PACTL_S,
        )  # fmt: skip
    except FileNotFoundError:
        raise DeviceError(
            "pactl is missing; on Debian and Ubuntu `sudo apt-get install -y pulseaudio-utils`."
        ) from None
    except subprocess.TimeoutExpired:
        raise DeviceError(f"The sound server did not answer within {PACTL_S:g} s; restart it.") from None
    except OSError as error:
        raise DeviceError(f"pactl cannot be run ({error}); run the doctor.") from error
    if done.returncode:
        word = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        if "onnection" in word:
            raise DeviceError(f"No sound server is running ({word}); start PipeWire or PulseAudio.")
        raise DeviceError(f"The sound server refused `pactl {arguments[0]}` ({word}); run the doctor.")
    return done.stdout


class PulseServer:
    """Questions to the server; each takes some 10 ms and at most PACTL_S, and raises DeviceError."""

    def __init__(self, run: Run = pactl) -> None:
        self.run = run

    def sinks(self) -> list[PulseDevice]:
        return self._devices("sinks", "output")

    def sources(self) -> list[PulseDevice]:
        """Every source, the monitors of the sinks among them."""
        return self._devices("sources", "input")

    def default_sink(self) -> str:
        return self._default("sink")

    def default_source(self) -> str:
        return self._default("source")

    def index(self, direction: Direction, name: str) -> int | None:
        """The index of a sink (output) or source (input): no other gets it as long as the server runs."""
        listed = (line.split("\t") for line in self.run(("list", "short", _KINDS[direction])).splitlines())
        return next((int(fields[0]) for fields in listed if fields[1:2] == [name]), None)

    def streams(self, direction: Direction) -> list[PulseStream]:
        """Who plays, or records."""
        kind, device = ("sink-inputs", "Sink") if direction == "output" else ("source-outputs", "Source")
        found = []
        for entry in re.split(r"^(?=\S)", self.run(("list", kind)), flags=re.MULTILINE):
            if on := re.search(rf"^\t{device}: (\d+)$", entry, re.MULTILINE):
                process = re.search(r'^\t\tapplication\.process\.id = "(\d+)"$', entry, re.MULTILINE)
                found.append(PulseStream(int(on[1]), int(process[1]) if process else None))
        return found

    def moved(self, direction: Direction, device: int, process: int) -> bool:
        """Whether `process` has streams in that direction and none of them is at the device with that index.

        When a device goes away, the server moves what plays on it to another one, and so do people.
        """
        at = {stream.device for stream in self.streams(direction) if stream.process == process} - {_NOWHERE}
        return bool(at) and device not in at

    def _default(self, kind: str) -> str:
        # `pactl get-default-sink` came with 15.
        for line in self.run(("info",)).splitlines():
            if line.startswith(f"Default {kind.capitalize()}: "):
                return line.partition(": ")[2].strip()
        return ""

    def _devices(self, kind: str, direction: Direction) -> list[PulseDevice]:
        try:
            entries = json.loads(self.run(("-f", "json", "list", kind)))
            return [
                PulseDevice(
                    name=entry["name"],
                    title=entry.get("description") or entry["name"],
                    direction=direction,
                    monitor_of=_monitored(entry) if direction == "input" else None,
                )
                for entry in entries
            ]
        except (DeviceError, ValueError, KeyError, TypeError):  # before 16 there is no JSON
            names = [line.split("\t")[1] for line in self.run(("list", "short", kind)).splitlines() if "\t" in line]
            return [PulseDevice(name, name, direction, _monitored({"name": name})) for name in names]


class VirtualMicrophone:
    """The cable on the server: a null sink, and a source that call applications see as a microphone.

    It belongs to the object that made it; one that was there already is used and left alone. Any thread may call.
    """

    def __init__(self, server: PulseServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._made: list[str] = []
        """Indices of modules."""

    def exists(self) -> bool:
        """Raises DeviceError without a server."""
        return self._sink() and self._source()

    def create(self) -> None:
        """Make what is missing. Raises DeviceError."""
        with self._lock:
            self._create()

    def remove(self) -> None:
        """Take away what this object made, unless somebody uses it; quiet when the server has gone with it.

        The server would move who plays on the cable to a loudspeaker, and who records from it to another microphone.
        """
        with self._lock:
            made, self._made = self._made, []
            try:
                if not made or self._in_use():
                    return
                ours = self._modules()
                for module in reversed(made):
                    if module in ours:
                        self._server.run(("unload-module", module))
            except DeviceError:
                return

    def _create(self) -> None:
        if not self._sink():
            self._made.clear()  # they went with it; a server that was restarted gives their numbers to others
            sink = (
                "module-null-sink", f"sink_name={CABLE_SINK}", "rate=48000", "channels=1", "format=float32le",
                f"sink_properties=\"device.description='{CABLE_SINK_TITLE}'\"",
            )  # fmt: skip
            try:
                # An idle null sink otherwise renders 2 s ahead, and the first words wait for that (measured: 1.3 s).
                self._load(*sink, "norewinds=1")
            except DeviceError:  # unknown before PulseAudio 15
                self._load(*sink)
        if not self._source():
            self._load(
                "module-remap-source", f"source_name={CABLE_SOURCE}", f"master={CABLE_SINK}.monitor",
                f"source_properties=\"device.description='{CABLE_SOURCE_TITLE}'\"",
            )  # fmt: skip

    def _load(self, *arguments: str) -> None:
        self._made.append(self._server.run(("load-module", *arguments)).strip())

    def _in_use(self) -> bool:
        ends: tuple[tuple[Direction, str], ...] = (("output", CABLE_SINK), ("input", CABLE_SOURCE))
        return any(
            stream.device == self._server.index(direction, name)
            for direction, name in ends
            for stream in self._server.streams(direction)
        )

    def _modules(self) -> set[str]:
        """The modules that a cable consists of, whoever loaded them."""
        names = {f"sink_name={CABLE_SINK}", f"source_name={CABLE_SOURCE}"}
        lines = self._server.run(("list", "short", "modules")).splitlines()
        return {line.split("\t")[0] for line in lines if names & set(line.split())}

    def _sink(self) -> bool:
        return any(sink.name == CABLE_SINK for sink in self._server.sinks())

    def _source(self) -> bool:
        return any(source.name == CABLE_SOURCE for source in self._server.sources())


def name_devices(
    server: PulseServer, directory: Path, environment: MutableMapping[str, str] = os.environ
) -> Mapping[str, Endpoint]:
    """Write the ALSA configuration into `directory` and point this process at it; what its names mean.

    Raises DeviceError without a server, when ALSA's own configuration is missing or when the file cannot be written.
    """
    base = environment.get(CONFIG_VARIABLE, ALSA_CONFIG)
    target = directory / "alsa.conf"
    if base == str(target):
        base = ALSA_CONFIG
    if not Path(base).is_file():
        raise DeviceError("ALSA is not installed; on Debian and Ubuntu `sudo apt-get install -y libasound2-plugins`.")
    defaults = {server.default_sink(), server.default_source()}
    endpoints: dict[str, Endpoint] = {}
    lines = [f"<{base}>"]
    for device in (*server.sinks(), *server.sources()):
        pcm = _pcm_name(device, endpoints)
        endpoints[pcm] = Endpoint(device.title, device.name, device.direction, device.name in defaults)
        quoted = device.name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'pcm.{pcm} {{ type pulse device "{quoted}" }}')
    draft = directory / f"alsa.{os.getpid()}.conf"  # a second program may be reading the file
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise DeviceError(f"{target} cannot be written ({error}); make room for it or let it be written.") from error
    environment[CONFIG_VARIABLE] = str(target)
    return endpoints


def _pcm_name(device: PulseDevice, taken: Mapping[str, Endpoint]) -> str:
    """ALSA gives dots, colons and commas in a name a meaning of its own."""
    name = f"{'sink' if device.direction == 'output' else 'source'}_{re.sub('[^A-Za-z0-9_]', '_', device.name)}"
    while name in taken:
        name += "_"
    return name


def _monitored(entry: Mapping[str, object]) -> str | None:
    """The sink that a source monitors."""
    of = entry.get("monitor_source") or entry.get("monitor_of_sink")
    if isinstance(of, str) and of and of != "n/a":
        return of
    name = str(entry["name"])
    return name.removesuffix(".monitor") if name.endswith(".monitor") else None
