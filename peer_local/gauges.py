"""Gathers what the screen and `status` show."""

from collections import deque
from dataclasses import dataclass

from peer_local.air import Air
from peer_local.call import Call
from peer_local.devices.kept import KeptDevice
from peer_local.interfaces import SoundInput
from peer_local.link import Link
from peer_local.listening.ears import Ears
from peer_local.playback.reception import Reception
from peer_local.screen.view import PendingDraft, View
from peer_local.settings import Settings

WINDOW_S = 5.0
"""Rates are taken over this time."""


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
        problems = [*air.problems]
        if ears_input is not None and ears_input.problem is not None:
            problems.append(ears_input.problem)
        problems[:0] = [problem for problem in (call.problem, link.problem) if problem is not None]
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
            camera=air.camera_name,
            camera_fps=fps,
            camera_target_fps=settings.camera.fps,
            microphone=air.microphone_name,
            ears=ears_input.device.name if ears_input is not None and ears_input.device is not None else None,
            recording=air.recording,
            lines=call.transcript.lines(call.clause),
            draft=None if draft is None else PendingDraft(draft.answers, draft.text or "…"),
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
