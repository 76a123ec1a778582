from pathlib import Path

import pytest

from peer_local.flags import Flags, load, parse, settings_of
from peer_local.flags_text import config_text, help_text
from peer_local.settings import Settings
from signaling.settings import SettingsError

SWITCHES = ("help", "print-config", "json")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of the test, and no .env but one that it writes."""
    monkeypatch.setattr("os.environ", {"HOME": str(tmp_path)})
    monkeypatch.chdir(tmp_path)


def settings(*arguments: str) -> Settings:
    return load(Settings, parse(Settings, arguments, switches=SWITCHES))


def failure(*arguments: str) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(*arguments)
    text = str(caught.value)
    assert "\n" not in text and text[-1] in ".?"
    return text


def lines(*arguments: str) -> list[str]:
    flags = parse(Settings, arguments, switches=SWITCHES)
    return config_text(load(Settings, flags), flags).splitlines()


def test_a_setting_is_a_flag_with_its_value_after_it_or_after_an_equals_sign() -> None:
    assert settings("--camera.fps", "25", "--local.mode=repeat").camera.fps == 25
    assert settings("--local.mode=repeat").local.mode == "repeat"
    assert settings("--camera.width-px", "640").camera.width_px == 640


def test_flags_win_over_the_environment_and_that_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        "UNDERSTUDY_CAMERA__FPS=20\nUNDERSTUDY_CAMERA__WIDTH_PX=640\nUNDERSTUDY_CAMERA__HEIGHT_PX=360\n"
    )
    monkeypatch.setenv("UNDERSTUDY_CAMERA__FPS", "24")
    monkeypatch.setenv("UNDERSTUDY_CAMERA__WIDTH_PX", "800")
    camera = settings("--camera.fps", "25").camera
    assert (camera.fps, camera.width_px, camera.height_px) == (25, 800, 360)


def test_yes_or_no_settings_can_be_said_in_several_ways() -> None:
    for arguments in (
        ["--no-ears.echo_cancellation"],
        ["--ears.echo-cancellation", "off"],
        ["--ears.echo_cancellation=0"],
    ):
        assert not settings(*arguments).ears.echo_cancellation
    assert settings("--ears.echo_cancellation", "status").ears.echo_cancellation
    assert failure("--ears.echo_cancellation=maybe") == "--ears.echo_cancellation is yes or no, not 'maybe'."


def test_lists_are_separated_by_commas() -> None:
    assert settings("--local.names", "Олена, Olena").local.names == ("Олена", "Olena")
    assert settings("--camera.stand_in", "card,freeze").camera.stand_in == ("card", "freeze")
    assert settings("--camera.stand_in", '["card"]').camera.stand_in == ("card",)
    assert failure("--camera.stand_in", "[card]") == "--camera.stand_in takes a list separated by commas."


def test_an_empty_value_takes_a_setting_of_the_environment_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_CAMERA__WEBCAM", "1")
    assert settings("--camera.webcam=").camera.webcam is None


def test_words_and_switches_are_told_from_settings() -> None:
    flags = parse(
        Settings, ["say", "--json", "-5 degrees", "--local.room", "a", "--", "--json", "-h"], switches=SWITCHES
    )
    assert flags == Flags({"local": {"room": "a"}}, frozenset({"json"}), ("say", "-5 degrees", "--json", "-h"))
    assert parse(Settings, ["-h"], switches=SWITCHES).switches == {"help"}


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("--camera.fsp", "did you mean --camera.fps?"),
        ("--mode", "did you mean --local.mode?"),
        ("--jsn", "did you mean --json?"),
        ("--control-port=9", "did you mean --local.control_port?"),
        ("--xyzzy", "--help shows them all."),
    ],
)
def test_an_unknown_flag_is_refused_with_a_suggestion(argument: str, hint: str) -> None:
    assert failure(argument) == f"{argument.partition('=')[0]} is not a flag; {hint}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--camera.fps", "1000"], "--camera.fps: Input should be less than or equal to 60."),
        (["--camera.fps", "fast"], "--camera.fps: Input should be a valid integer, "),
        (
            ["--local.mode", "Repaet"],
            "--local.mode is converse, repeat, approve or addressed, not 'Repaet'; did you mean",
        ),
        (["--camera.stand_in", "card,xyz"], "--camera.stand_in is webcam, card or freeze, not 'xyz'."),
        (["--camera.fps"], "--camera.fps needs a value after it; see --help."),
        (["--camera.fps", "--json"], "--camera.fps needs a value after it; see --help."),
        (["--json=1"], "--json takes no value."),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_flag(arguments: list[str], sentence: str) -> None:
    assert failure(*arguments).startswith(sentence)


def test_a_bad_value_of_the_environment_is_not_blamed_on_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_CAMERA__FPS", "fast")
    assert failure("--camera.width_px", "640").startswith("UNDERSTUDY_CAMERA__FPS: ")
    assert settings("--camera.fps", "25").camera.fps == 25


def test_sections_of_other_programs_in_the_env_file_are_left_alone() -> None:
    Path(".env").write_text("UNDERSTUDY_LLM__THREADS=2\nOTHER=1\n")
    assert settings().camera.fps == 30
    assert not any("LLM" in line for line in lines())


def test_the_configuration_says_where_each_value_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("understudy_local__room=stage\n")
    monkeypatch.setenv("UNDERSTUDY_CAMERA", '{"fit": "crop"}')
    shown = lines("--camera.fps", "25")
    assert "UNDERSTUDY_LOCAL__ROOM=stage  # .env" in shown
    assert "UNDERSTUDY_CAMERA__FIT=crop  # environment" in shown
    assert "UNDERSTUDY_CAMERA__FPS=25  # flag" in shown
    assert "UNDERSTUDY_CAMERA__WIDTH_PX=1280  # default" in shown


def test_the_configuration_says_what_the_connection_string_carries() -> None:
    connection = f"understudy://1.studio.operator.1800000000.mac@203.0.113.7:33526/studio/{'A' * 43}"
    shown = lines("--local.connection", connection)
    assert "# UNDERSTUDY_LOCAL__CONNECTION=****  # flag" in shown
    assert "UNDERSTUDY_LOCAL__ROOM=studio  # connection" in shown
    assert "# UNDERSTUDY_LOCAL__TOKEN=****  # connection" in shown
    assert not any("1.studio.operator" in line for line in shown)


def test_the_configuration_can_be_pasted_into_the_env_file() -> None:
    chosen = (
        *("--camera.card_text", "Back 'soon' # \\o/", "--local.names", "Олена,Ann Lee", "--camera.stand_in", "freeze"),
        *("--ears.file", "C:\\sounds\\a b.wav", "--no-ears.echo_cancellation", "--local.view", "log"),
    )
    before = settings(*chosen)
    Path(".env").write_text("\n".join(lines(*chosen)), encoding="utf-8")
    assert settings() == before


def test_a_secret_is_never_shown_nor_pasted() -> None:
    shown = lines("--local.token", "1.main.operator.9.abcdef")
    assert "# UNDERSTUDY_LOCAL__TOKEN=****  # flag" in shown
    assert not any("abcdef" in line for line in shown)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_help_names_every_flag_and_fits(width: int) -> None:
    text = help_text(Settings, "usage: python -m peer_local", width=width)
    assert all(setting.flag in text for setting in settings_of(Settings))
    # A flag with all that it takes stays on one line, so that it can be copied.
    assert max(len(line) for line in text.splitlines() if not line.startswith("  --")) <= min(width, 100)
    assert "Who is seen and heard at the start." in " ".join(text.split())
