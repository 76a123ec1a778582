import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from peer_local.on_air.meter import Level
from peer_local.screen.render import Prompt, render
from peer_local.screen.view import Line, PendingDraft, TurnTimes, View, figures

MOMENTS = (("end_of_speech", 0.0), ("transcript", 212.0), ("first_token", 395.0), ("first_sound", 1422.0))
FULL = View(
    on_air="double",
    state="speaking",
    name="Олена",
    link="connected",
    rtt_ms=24.4,
    picture="double",
    camera="OBS Virtual Camera",
    camera_fps=29.96,
    camera_target_fps=30,
    recording=True,
    lines=(
        Line(1, "call", ("Розкажіть, будь ласка, про якість їжі у ґуртожитку: чи є зауваження від мешканців?",)),
        Line(2, "double", ("Звичайно.", "Звіт буде готовий у четвер,", "а числа я надішлю ввечері."), current=1),
        Line(3, "self", ("漢字かな交じり文が一行に収まらない場合でも折り返されるべきである。" * 3,)),
        Line(4, "typed", ("x" * 300,), interrupted=True),
        Line(5, "call", ("And what about",), final=False),
    ),
    draft=PendingDraft("When?", "On Thursday, " * 60),
    ears_level=Level(-18, -31),
    double_level=Level(0, -3),
    self_level=Level(),
    turns=(TurnTimes(2_010), TurnTimes(1_422, MOMENTS)),
    av_offset_ms=-4,
    buffer_ms=62,
    buffer_target_ms=60,
    packet_loss=0.004,
    warnings=("The virtual camera is gone; start OBS again, then choose Start Virtual Camera in it. " * 2,) * 5,
)
WITHOUT_DRAFT = replace(FULL, draft=None, warnings=(), lines=FULL.lines[:2])


def text(view: View, width: int, height: int, prompt: Prompt | None = None) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(render(view, width, height, prompt))
    return capture.get().removesuffix("\n").split("\n")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 18), (40, 12), (200, 60), (30, 8), (81, 25), (79, 31)])
@pytest.mark.parametrize("view", [View(), FULL, WITHOUT_DRAFT], ids=["empty", "full", "speaking"])
@pytest.mark.parametrize("prompt", [Prompt(), Prompt("Скажи їм " * 40, 200, "No. " * 60), Prompt(help=True)])
def test_the_picture_fills_the_terminal_and_no_more(size: tuple[int, int], view: View, prompt: Prompt) -> None:
    width, height = size
    lines = text(view, width, height, prompt)
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_what_matters_is_there(size: tuple[int, int]) -> None:
    whole = "\n".join(text(WITHOUT_DRAFT, *size))
    for part in (
        *("▀▀▄ ▄▀▀▀▄", "ON AIR", "▶ SPEAKING", "● REC", "converse · full duplex", "● Олена 24 ms"),
        *("ґуртожитку", "Звичайно. Звіт буде готовий у четвер, а числа", "-31 dB", "A/V -4 ms", "62 / 60 ms"),
        *("loss 0.4 %", "30.0 / 30 fps", "1.42 s  2.01 s", "212"),
    ):
        assert part in whole, part


def test_the_clause_that_is_heard_is_highlighted_alone() -> None:
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    bright = [
        segment.text
        for segment in console.render(render(WITHOUT_DRAFT, 80, 24))
        if segment.style and segment.style.bgcolor and segment.style.bgcolor.name == "#d8b4fe"
    ]
    assert "".join(bright).strip() == "Звіт буде готовий у четвер,"


@pytest.mark.parametrize(("who", "colour"), [("double", "#7e22ce"), ("self", "#15803d"), ("nobody", "#44403c")])
def test_who_is_on_air_colours_the_top(who: str, colour: str) -> None:
    view = replace(WITHOUT_DRAFT, on_air=who)  # type: ignore[arg-type]
    lines = render(view, 80, 24).lines[:3]
    assert all(any(colour in str(span.style) for span in line.spans) for line in lines)


def test_a_lost_connection_and_a_stand_in_are_said_at_the_top() -> None:
    top = "\n".join(text(replace(FULL, link="connecting", picture="card", held=True), 80, 24)[:3])
    assert "▲ connecting…" in top and "camera: card" in top and "HELD" in top


def test_a_draft_is_shown_with_its_keys() -> None:
    lines = text(FULL, 80, 24)
    assert any("to: When?" in line for line in lines)
    assert "Enter say it · Tab edit · Esc drop it" in lines[-1]


def test_a_long_line_shows_the_part_around_the_cursor() -> None:
    typed = "beginning " + "middle " * 30 + "end"
    assert "end" in text(View(), 80, 24, Prompt(typed, len(typed)))[-2]
    assert "beginning" in text(View(), 80, 24, Prompt(typed, 0))[-2]


def test_a_notice_takes_the_place_of_the_hint() -> None:
    assert "Modes are" in text(View(), 80, 24, Prompt(notice="Modes are converse and others."))[-1]


def test_half_duplex_shows_that_the_ears_are_closed() -> None:
    whole = "\n".join(text(replace(FULL, duplex="half"), 80, 24))
    assert "closed" in whole


def test_the_status_holds_no_words_of_the_conversation() -> None:
    shown = str(figures(FULL))
    assert "четвер" not in shown and "Thursday" not in shown and "When?" not in shown
    assert figures(FULL)["draft"] is True and figures(FULL)["turns"] == [2010, 1422]
    assert figures(FULL)["ears_level_dbfs"] == -31 and figures(View())["ears_level_dbfs"] is None


def test_a_missing_camera_is_said_and_the_devices_to_choose_are_named() -> None:
    named = replace(WITHOUT_DRAFT, microphone="Understudy Microphone")
    whole = "\n".join(text(named, 120, 40))
    assert "camera OBS Virtual Camera" in whole and "microphone Understudy Microphone" in whole
    whole = "\n".join(text(replace(named, camera=None), 80, 24))
    assert "no camera" in whole and "30 fps" not in whole


@pytest.mark.parametrize("size", [(80, 24), (60, 18)])
def test_a_warning_shows_its_cure_at_the_end(size: tuple[int, int]) -> None:
    warning = "There is no virtual camera: install v4l2loopback-dkms, load the driver, and then start again."
    lines = text(replace(WITHOUT_DRAFT, warnings=(warning,)), *size)
    shown = " ".join(" ".join(lines).split())
    assert warning in shown


def test_the_hint_tells_what_the_keys_do_to_a_draft() -> None:
    waiting = replace(FULL, draft=PendingDraft("When?", "…"))
    assert "being thought of" in text(waiting, 80, 24)[-1]
    assert "Esc back to the draft" in text(FULL, 80, 24, Prompt("On Friday", 0, editing=True))[-1]
    assert "the draft waits" in text(FULL, 80, 24, Prompt("/me", 0))[-1]
