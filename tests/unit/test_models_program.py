"""`python -m models` as it is typed into a terminal."""

import sys
from pathlib import Path

import pytest

from models.__main__ import main
from models.face.musetalk.manifest import FILES, ConvertedFile, Manifest, converted_directory


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test, and no .env but one that it writes."""
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["UNDERSTUDY_WEIGHT__DIR", "UNDERSTUDY_WEIGHTS__DRI", "UNDERSTUDY_WEIGHTS_DIR"])
def test_a_misspelt_directory_is_not_ignored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "elsewhere")
    assert main(["list"]) == 1
    assert capsys.readouterr().err == f"{name} is not a setting; did you mean UNDERSTUDY_WEIGHTS__DIR?\n"


def test_a_misspelt_directory_in_the_env_file_is_not_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("UNDERSTUDY_WEIGHT__DIR=elsewhere\n")
    assert main(["verify"]) == 1
    assert "did you mean UNDERSTUDY_WEIGHTS__DIR?" in capsys.readouterr().err


def test_settings_of_other_programs_are_left_to_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNALING__PORT", "1")
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS__DIR", str(tmp_path / "weights"))
    assert main(["verify"]) == 1
    assert capsys.readouterr().err == f"No weights are in {tmp_path / 'weights'}; run `python -m models fetch`.\n"


def test_an_env_file_that_is_no_text_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_bytes(b"\xff\xfe")
    assert main(["list"]) == 1
    assert capsys.readouterr().err == "The file .env cannot be read; it must be text in UTF-8.\n"


def test_the_list_says_whether_musetalk_is_converted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["list", "musetalk-1.5", "--dir", str(tmp_path)]) == 0
    assert "musetalk-1.5: not converted; `python -m models convert --fetch musetalk-1.5`" in capsys.readouterr().out
    place = converted_directory(tmp_path, "1.5")
    place.mkdir()
    Manifest("musetalk-1.5", "tiny", dict.fromkeys(FILES, ConvertedFile("", 0)), {}, {}, {}).write(place)
    assert main(["list", "musetalk-1.5", "--dir", str(tmp_path)]) == 0
    assert f"musetalk-1.5: converted, in {place}" in capsys.readouterr().out


def test_what_is_missing_for_a_conversion_is_named_with_what_brings_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["convert", "musetalk-1.0", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "The weights of musetalk-1.0, sd-vae-ft-mse, taesd, whisper-tiny are not here, or not complete; "
        "run `python -m models convert --fetch musetalk-1.0`.\n"
    )


def test_a_conversion_without_its_packages_says_how_to_install_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "models.face.musetalk.conversion", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["list", "musetalk", "--dir", str(tmp_path)]) == 0
    assert main(["convert", "musetalk", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("Converting needs the package torch; run `python -m pip install ")
