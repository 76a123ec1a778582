"""`python -m models.face`: what a person types and reads."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from models.face.__main__ import _Bars, main
from models.face.avatar.store import PackMeta, save
from tests.avatars import synthetic_pack

META = PackMeta(
    musetalk="1.5",
    encoder="sd-vae abc",
    made="2026-01-01T00:00:00+00:00",
    recordings=("me.mp4", "nod.mp4"),
    loop="mixture",
    warnings=("The face is only 128 px high; sit nearer to the camera for a sharper one.",),
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    save(synthetic_pack(), tmp_path / "me", META)
    return tmp_path / "me"


def test_show_says_what_an_avatar_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(place)]) == 0
    shown = capsys.readouterr().out
    assert "recordings    me.mp4, nod.mp4" in shown
    assert "for           MuseTalk 1.5, sd-vae abc" in shown
    assert "picture       320x240 px, face 128x128 px" in shown
    assert "frames        8, repeated after 0.5 s (mixture)" in shown
    assert "warning       The face is only 128 px high" in shown
    assert shown.endswith("Every byte is right.\n")


def test_show_finds_what_is_damaged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((place / "frames.npy").read_bytes())
    content[-5] ^= 255
    (place / "frames.npy").write_bytes(content)
    assert main(["show", str(place)]) == 1
    assert "frames.npy in" in capsys.readouterr().err
    assert main(["show", str(place.parent / "nobody")]) == 1
    assert "There is no avatar in" in capsys.readouterr().err


def test_prepare_refuses_a_place_that_is_taken_before_it_loads_anything(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "me.mp4", "--out", str(place), "--weights", str(place.parent / "none")]) == 1
    assert "already holds an avatar; replace it with --force" in capsys.readouterr().err


def test_prepare_says_which_weights_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "me.mp4", "--out", str(tmp_path / "me"), "--weights", str(tmp_path)]) == 1
    assert "run `python -m models fetch face-landmarks`" in capsys.readouterr().err


@pytest.mark.parametrize("height", ["100", "9999", "much"])
def test_a_height_that_makes_no_sense_is_refused(height: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", "me.mp4", "--out", "x", "--height", height])
    assert "give a number of pixels from 144 to 2160" in capsys.readouterr().err


def test_a_stage_that_will_take_long_says_so() -> None:
    times_s = iter([0.0, 20.0, 50.0, 51.0])
    written = io.StringIO()
    with _Bars(Console(file=written), clock=lambda: next(times_s)) as bars:
        advance = bars.begin("Encoding the face", 80)
        advance(2)
        advance(2)
        bars.begin("Reading", 1)(0.9)
    assert written.getvalue().splitlines() == [
        "Encoding the face…",
        "Encoding the face takes about 13 minutes.",
        "Reading…",
    ]
