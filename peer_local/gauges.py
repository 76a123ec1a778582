"""Gathers what the screen and `status` show."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from peer_local.air import Air
from peer_local.call import Call
from peer_local.devices.kept import KeptDevice
from peer_local.engines_text import troubles
from peer_local.interfaces import SoundInput
from peer_local.link import Link
from peer_local.listening.ears import Ears
from peer_local.playback.reception import Reception
from peer_local.screen.view import NOT_YET, PendingDraft, View
from peer_local.settings import Settings

WINDOW_S = 5.0
"""Rates are taken over this time."""
OPENING_S = 5.0
"""Devices that are being opened are not missing yet."""
NO_DEVICE = "no device"
"""The name of the output that takes a microphone's place."""
NO_CAMERA = "There is no virtual camera; `make local ARGS=doctor` says how to get one."
CAMERA_GONE = "The virtual camera is gone and is being opened again; `make local ARGS=doctor` looks at it."
NO_MICROPHONE = "There is no virtual microphone; `make local ARGS=doctor` says how to get one."

_CALL_SIDE = {
    "Understudy (cable)": "Understudy Microphone",
    "CABLE Input": "CABLE Output",
}
"""Beginning of the end of a cable that we play into → of the end that a call application lists."""


def listed(name: str, drivers: Path = Path("/sys/class/video4linux")) -> str:
    """What a call application calls the device that we call `name`."""
    for ours, theirs in _CALL_SIDE.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    if name.startswith("/dev/video"):
        try:
            return (drivers / Path(name).name / "name").read_text(encoding="utf-8").strip() or name
        except OSError:
            return name
    return name


@dataclass(frozen=True, slots=True)
class _Counts:
    at_s: float
    received: int
    lost: int
    shown: int


class Gauges:
    """Turns counters into rates; `view` may be asked for as often as one likes."""

    def __init__(self) -> None:
        self._counts: deque[_Counts] = deque()
        self._reception: Reception | None = None
        self._listed: dict[str, str] = {}
        self._begun_s: float | None = None
        self._had_camera = False

    def connect(self, reception: Reception) -> None:
        """The figures of a new connection begin at 0."""
        self._reception = reception
        self._counts.clear()

    def view(
        self,
        settings: Settings,
        air: Air,
        call: Call,
        link: Link,
        ears: Ears | None,
        ears_input: KeptDevice[SoundInput] | None,
        now_s: float,
    ) -> View:
        """The state of the program at `now_s`."""
        player = self._reception.player.figures() if self._reception is not None and link.connected else None
        fps, loss = self._rates(
            _Counts(now_s, player.received if player else 0, player.lost if player else 0, air.loop.shown)
        )
        offset_s = self._reception.av_offset_s if self._reception is not None and link.connected else None
        turns = call.turn_taking
        draft = call.draft
        microphone = None if air.microphone_name in (None, NO_DEVICE) else air.microphone_name
        problems = [*air.problems, *self._missing(settings, air.camera_name, microphone, air.problems, now_s)]
        if settings.camera.webcam is not None and not air.webcam_shows and self._had_time(now_s):
            problems.append(f"The webcam {settings.camera.webcam} gives no picture; connect it, or name another one.")
        if ears_input is not None and ears_input.problem is not None:
            problems.append(ears_input.problem)
        performers = (call.notice, call.problem, link.problem, *troubles(call.engines))
        problems[:0] = [problem for problem in performers if problem is not None]
        return View(
            on_air=air.who,
            state=turns.state,
            held=turns.held,
            mode=turns.modes.mode,
            duplex=turns.duplex,
            name=call.name,
            room=settings.local.room,
            link=link.state,
            link_losses=link.losses,
            rtt_ms=None if link.rtt_s is None else link.rtt_s * 1_000,
            picture=air.director.showing,
            camera=self._name(air.camera_name),
            camera_fps=fps,
            camera_target_fps=settings.camera.fps,
            microphone=self._name(microphone),
            ears=ears_input.device.name if ears_input is not None and ears_input.device is not None else None,
            recording=air.recording,
            lines=call.transcript.lines(call.clause if turns.state == "speaking" else None),
            draft=None if draft is None else PendingDraft(draft.answers, draft.text or NOT_YET),
            ears_level=ears.level if ears is not None else None,
            double_level=air.mixer.level,
            self_level=air.own_voice.level if air.own_voice is not None else None,
            turns=tuple(call.turns),
            av_offset_ms=None if offset_s is None else offset_s * 1_000,
            buffer_ms=player.buffer_ms if player else None,
            buffer_target_ms=player.target_ms if player else None,
            packet_loss=loss,
            warnings=tuple(problems),
        )

    def _missing(
        self, settings: Settings, camera: str | None, microphone: str | None, known: tuple[str, ...], now_s: float
    ) -> list[str]:
        """What the settings ask for and is not there, as far as no device says so itself."""
        self._had_camera |= camera is not None
        if not self._had_time(now_s):
            return []
        missing = []
        if camera is None and settings.camera.kind != "none":
            missing.append(CAMERA_GONE if self._had_camera else NO_CAMERA)
        if microphone is None and settings.microphone.kind != "none" and not known:
            missing.append(NO_MICROPHONE)
        return missing

    def _had_time(self, now_s: float) -> bool:
        """Whether devices had the time to open."""
        self._begun_s = now_s if self._begun_s is None else self._begun_s
        return now_s - self._begun_s >= OPENING_S

    def _name(self, device: str | None) -> str | None:
        if device is None:
            return None
        if device not in self._listed:
            self._listed = {**self._listed, device: listed(device)}
        return self._listed[device]

    def _rates(self, counts: _Counts) -> tuple[float | None, float | None]:
        """Pictures per second, and the share of packets lost, over the last WINDOW_S."""
        self._counts.append(counts)
        while self._counts[0].at_s < counts.at_s - WINDOW_S:
            self._counts.popleft()
        first = self._counts[0]
        took_s = counts.at_s - first.at_s
        if took_s < 0.5:
            return None, None
        expected = counts.received - first.received + counts.lost - first.lost
        return (
            (counts.shown - first.shown) / took_s,
            (counts.lost - first.lost) / expected if expected > 0 else None,
        )
