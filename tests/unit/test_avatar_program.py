"""`python -m models.face`: what a person types and reads."""

import io
import sys
from pathlib import Path

import pytest
from numpy import full, uint8
from rich.console import Console

from models.errors import WeightsMissing
from models.face.__main__ import _Bars, main
from models.face.avatar.store import PackMeta, save
from tests.avatars import synthetic_pack
from tests.recordings import encode

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


def grey_video(path: Path) -> Path:
    return encode(path, [full((48, 64, 3), 128, uint8)] * 3)


def test_prepare_says_which_weights_are_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = grey_video(tmp_path / "me.mp4")
    assert main(["prepare", str(video), "--out", str(tmp_path / "me"), "--weights", str(tmp_path)]) == 1
    assert "run `python -m models fetch face-landmarks`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["gone.mp4"], "There is no file "),
        (["folder"], "is a folder; give the recording that is in it."),
        (["notes.mp4"], "notes.mp4 is no video that can be read; give an MP4, MOV or WebM file."),
        (["notes.jpg"], "notes.jpg is not a picture that can be read; save the photo as JPEG or PNG."),
        (["gone.jpg"], "gone.jpg cannot be read (No such file or directory); name a JPEG or PNG file."),
        (["me.mp4", "notes.jpg"], "A photo cannot be joined with other recordings"),
        (["me.mp4", "notes.mp4"], "notes.mp4 is no video that can be read"),
    ],
)
def test_a_wrong_file_is_refused_before_gigabytes_are_fetched(
    names: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.face.__main__._fetch", lambda *_: pytest.fail("it fetches"))
    grey_video(tmp_path / "me.mp4")
    (tmp_path / "folder").mkdir()
    for name in ("notes.mp4", "notes.jpg"):
        (tmp_path / name).write_text("no picture")
    recordings = [str(tmp_path / name) for name in names]
    assert main(["prepare", *recordings, "--fetch", "--out", str(tmp_path / "me"), "--weights", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_without_a_place_an_avatar_has_the_name_of_its_recording(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.parent)
    Path("avatars").mkdir()
    place.rename("avatars/nod")
    assert main(["prepare", "clips/nod.mp4"]) == 1
    assert capsys.readouterr().err.startswith(f"{Path('avatars/nod')} already holds an avatar")


def test_what_is_missing_is_fetched_where_and_for_the_version_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def convert(version: str, directory: Path, *, fetch_first: bool) -> None:
        asked.append((version, directory, fetch_first))
        raise WeightsMissing("Nothing answers.")

    monkeypatch.setattr("models.face.__main__.fetch", lambda names, directory: asked.append((names, directory)))
    monkeypatch.setattr("models.face.musetalk.conversion.convert", convert)
    arguments = ["--out", str(tmp_path / "me"), "--weights", str(tmp_path), "--version", "1.0", "--fetch"]
    assert main(["prepare", str(grey_video(tmp_path / "me.mp4")), *arguments]) == 1
    assert capsys.readouterr().err == "Nothing answers.\n"
    assert asked == [(("face-landmarks", "person-mask"), tmp_path), ("1.0", tmp_path, True)]


def test_a_missing_extra_is_named_with_what_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "models.face.musetalk.conversion", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    video = grey_video(tmp_path / "me.mp4")
    assert main(["prepare", str(video), "--fetch", "--out", str(tmp_path / "me"), "--weights", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("Preparing an avatar needs the Python package torch; use `make avatar`")


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
