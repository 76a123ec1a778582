"""Levels as bars, and the figures that say whether all is well."""

from rich.text import Text

from peer_local.on_air.meter import Level
from peer_local.screen.look import DIM, fit
from peer_local.screen.view import TurnTimes, View

_GOOD, _FAIR, _BAD = "#4ade80", "#facc15", "#f87171"
_LOWEST_DBFS, _HIGHEST_DBFS = -60.0, 0.0
_EIGHTHS = " ▏▎▍▌▋▊▉"
_BAR_COLUMNS = 18
_LEFT_COLUMNS = 39
_RIGHT_COLUMNS = 42
_WIDE_COLUMNS = 116
"""From here on the names of the devices have room."""


def figure_lines(view: View, width: int, *, stages: bool = True) -> list[Text]:
    """Three lines: a level on the left, figures on the right; then the last answers, with the stages of the last."""
    left = [
        _level("ears", view.ears_level, closed=view.duplex == "half" and view.state == "speaking"),
        _level("double", view.double_level),
        _level("you", view.self_level),
    ]
    right = [
        _row(_figure("A/V", view.av_offset_ms, "{:+.0f} ms", 25, 45), _buffer(view)),
        _row(
            _figure("loss", None if view.packet_loss is None else view.packet_loss * 100, "{:.1f} %", 1, 5),
            _figure("round trip", view.rtt_ms, "{:.0f} ms", 150, 300),
        ),
        _row(_camera(view), _figure("reconnects", float(view.link_losses), "{:.0f}", 0.5, 3)),
    ]
    if width < _LEFT_COLUMNS + 40:
        return [fit(line, width) for line in left]
    if width >= _WIDE_COLUMNS:
        right = [fit(one, _RIGHT_COLUMNS).append_text(name) for one, name in zip(right, _devices(view), strict=True)]
    lines = [fit(one, _LEFT_COLUMNS).append_text(other) for one, other in zip(left, right, strict=True)]
    return [fit(line, width) for line in (*lines, _answers(view, stages=stages))]


def waterfall(view: View, width: int) -> list[Text]:
    """The stages of the last answer, each with a bar where it began; nothing before the first answer."""
    stages = [(name, moment) for name, moment in view.turns[-1].moments_ms if moment] if view.turns else []
    if not stages:
        return []
    last = max(1.0, *(moment for _, moment in stages))
    room = max(10, width - 32)
    lines = [Text()]
    before = 0.0
    for name, moment in stages:
        start, end = (round(room * min(1.0, max(0.0, value) / last)) for value in (before, moment))
        bar = " " * start + "━" * max(1, end - start)
        lines.append(
            Text.assemble((f"  {name.replace('_', ' '):16}", DIM), (f"{moment:6.0f} ms  ", ""), (bar, "#a78bfa"))
        )
        before = moment
    return [fit(line, width) for line in lines]


def _level(name: str, level: Level | None, *, closed: bool = False) -> Text:
    """The bar is the loudness, the tick behind it the peak."""
    head = Text(f"  {name:7}", DIM)
    if level is None or closed:
        return head.append("·" * _BAR_COLUMNS, DIM).append("  closed" if closed else "  off", DIM)
    eighths = round(_share(level.rms_dbfs) * _BAR_COLUMNS * 8)
    bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    bar = bar.ljust(_BAR_COLUMNS)
    peak = min(_BAR_COLUMNS - 1, int(_share(level.peak_dbfs) * _BAR_COLUMNS))
    colour = _BAD if level.peak_dbfs > -1 else _FAIR if level.peak_dbfs > -6 else _GOOD
    if level.peak_dbfs > _LOWEST_DBFS and bar[peak] == " ":
        bar = f"{bar[:peak]}▏{bar[peak + 1 :]}"
    return head.append(bar, f"{colour} on #262626").append(f" {max(level.rms_dbfs, _LOWEST_DBFS):4.0f} dB", DIM)


def _share(level_dbfs: float) -> float:
    return min(1.0, max(0.0, (level_dbfs - _LOWEST_DBFS) / (_HIGHEST_DBFS - _LOWEST_DBFS)))


def _figure(name: str, value: float | None, form: str, fair: float, bad: float) -> Text:
    """A name and a number, coloured by how far from zero it is."""
    if value is None:
        return Text.assemble((f"{name} ", DIM), ("–", DIM))
    size = abs(value)
    return Text.assemble(
        (f"{name} ", DIM), (form.format(value), _BAD if size > bad else _FAIR if size > fair else _GOOD)
    )


def _buffer(view: View) -> Text:
    text = _figure("buffer", view.buffer_ms, "{:.0f}", 120, 250)
    return text if view.buffer_target_ms is None else text.append(f" / {view.buffer_target_ms:.0f} ms", DIM)


def _camera(view: View) -> Text:
    if view.camera is None:
        return Text("no camera", _FAIR)
    if view.camera_fps is None:
        return Text("camera –", DIM)
    target = view.camera_target_fps or view.camera_fps
    colour = _GOOD if view.camera_fps > 0.97 * target else _FAIR if view.camera_fps > 0.9 * target else _BAD
    return Text.assemble(("camera ", DIM), (f"{view.camera_fps:.1f}", colour), (f" / {target:.0f} fps", DIM))


def _devices(view: View) -> list[Text]:
    """What is to be chosen in the call application, and what the double hears."""
    names = (("camera", view.camera), ("microphone", view.microphone), ("hears", view.ears))
    return [Text.assemble((f"{kind} ", DIM), (name or "none", "" if name else _FAIR)) for kind, name in names]


def _row(one: Text, other: Text) -> Text:
    return fit(one, 22).append_text(other)


def _answers(view: View, *, stages: bool) -> Text:
    text = Text(f"  {'answer':7}", DIM)
    if not view.turns:
        return text.append("none yet", DIM)
    for number, turn in enumerate(view.turns[-1:-5:-1]):
        text.append(f"{turn.first_sound_ms / 1000:.2f} s", _colour(turn) if number == 0 else DIM).append("  ")
    moments = [(_SHORT.get(name, name), moment) for name, moment in view.turns[-1].moments_ms if moment]
    if stages and moments:
        text.append("  ").append(" → ".join(f"{name} {moment:.0f}" for name, moment in moments), DIM)
    return text


_SHORT = {
    "end_of_speech": "end", "transcript": "text", "first_token": "token", "first_clause": "clause",
    "first_sample": "voice", "first_picture": "face", "first_packet": "sent", "first_sound": "heard",
}  # fmt: skip


def _colour(turn: TurnTimes) -> str:
    return _GOOD if turn.first_sound_ms < 2_600 else _FAIR if turn.first_sound_ms < 4_000 else _BAD
