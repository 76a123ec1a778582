"""A persona: what the model is told, how a file of it is read, and what is wrong with one in one sentence."""

from pathlib import Path

import pytest

from models.interfaces import Message
from peer_remote import __main__ as program
from peer_remote.persona import Persona
from peer_remote.persona_file import MOST_BYTES, PersonaError, parse_persona, read_persona
from peer_remote.settings import PersonaSettings
from peer_remote.tokens import conversation_tokens

SAMPLES = sorted((Path(program.__file__).parent / "personas").glob("*.md"))
SMALL = """+++
name = "Ann"
languages = ["en", "uk", "de"]
style = ["Speaks softly."]
facts = ["{name} has a boat."]
taboos = ["Money."]
openings = ["Oh,"]

[[examples]]
asked = "Hi {name}?"
answered = "Oh, hi."
+++

You are {name}.
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def refusal(text: str) -> str:
    with pytest.raises(PersonaError) as caught:
        parse_persona(text, source="me.md")
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.startswith("me.md, ") and sentence.endswith(".")
    return sentence.removeprefix("me.md, ")


def test_a_file_becomes_a_prompt_and_examples_with_the_name_in_every_text() -> None:
    persona = parse_persona(SMALL, source="me.md")
    system, *examples = persona.messages()
    assert system.role == "system" and system.content.startswith("You are Ann.\n\nHow Ann speaks:\n- Speaks softly.")
    for part in ("Ann has a boat.", "- Money.", "Speak English; when somebody speaks Ukrainian or German,", "emoji"):
        assert part in system.content
    assert examples == [Message("user", "Hi Ann?"), Message("assistant", "Oh, hi.")]
    assert persona.openings == ("Oh,",)


def test_who_speaks_ukrainian_first_is_told_everything_in_ukrainian() -> None:
    prompt = Persona("Оля", "Ти {name}.", languages=("uk", "en"), facts=("Має човен.",), spoken=True).prompt()
    assert (
        "Що правда про Оля:\n- Має човен." in prompt and "Говори українською; коли хтось говорить англійською" in prompt
    )
    assert "What is true" not in prompt and "коротким" in prompt


def test_the_settings_alone_make_the_persona_that_they_always_made() -> None:
    settings = PersonaSettings(
        name="Kim", prompt="You are {name}.", examples=(("Hi", "I am {name}."),), openings=("Oh,",)
    )
    assert settings.persona().openings == ("Oh,",)
    assert settings.messages() == (
        Message("system", "You are Kim."),
        Message("user", "Hi"),
        Message("assistant", "I am Kim."),
    )


def test_what_is_set_beside_a_file_wins_over_it(tmp_path: Path) -> None:
    (tmp_path / "me.md").write_text(SMALL)
    persona = PersonaSettings(file=tmp_path / "me.md", name="Bo").persona()
    assert persona.prompt().startswith("You are Bo.") and persona.examples and persona.openings == ("Oh,",)


@pytest.mark.parametrize("line_break", ["\r\n", "\n"])
def test_windows_files_are_read_too(tmp_path: Path, line_break: str) -> None:
    path = tmp_path / "me.md"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", line_break).encode())
    assert read_persona(path) == parse_persona(SMALL, source="")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the persona must begin with a line of +++."),
        ("# Me\n" + SMALL, "line 1: the persona must begin with a line of +++."),
        ('+++\nname = "Ann"\n', "line 1: no second line of +++ ends the table that begins here."),
        ('+++\nname = "Ann"\n+++\n \n', "line 3: after the table there must be a text about Ann."),
        ('\n+++\nname = "Ann"\nfacts = [1,, 2]\n+++\nx', "line 4: invalid value."),
        ('+++\nname = "Ann\n+++\nx', "line 2: "),
        ('+++\nname = "Ann"\nfacts = ["a"\n+++\nx', "line 3: "),
        ("+++\n+++\nx", "key name: Field required."),
        ('+++\nnam = "Ann"\nname = "Ann"\n+++\nx', "key nam: there is no such key; keys are name, languages, style, "),
        ('+++\nname = "Ann"\nfacts = "one"\n+++\nx', "key facts: Input should be a valid tuple."),
        ('+++\nname = "Ann"\nfacts = ["a", 2]\n+++\nx', "key facts[2]: Input should be a valid string."),
        ('+++\nname = "Ann"\nlanguages = ["xx"]\n+++\nx', "key languages: xx is not one of the languages ar, cs, de, "),
        (
            '+++\nname = "Ann"\n[[examples]]\nasked = "a"\n+++\nx',
            "key examples[1].answered: Field required.",
        ),
        (
            '+++\nname = "Ann"\n[[examples]]\nasked = "a"\nanswred = "b"\nanswered = "b"\n+++\nx',
            "key examples[1].answred: there is no such key; keys are asked, answered.",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence_that_names_the_place(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


def test_files_that_are_no_text_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "me.md"
    with pytest.raises(PersonaError, match="cannot be read: No such file"):
        read_persona(path)
    path.write_bytes(b"+++\n\xff")
    with pytest.raises(PersonaError, match="line 2: the persona must be text"):
        read_persona(path)
    path.write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(PersonaError, match="is longer than 64 KiB"):
        read_persona(path)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: str(path.stem))
def test_the_samples_are_personas_that_leave_room_for_a_conversation(path: Path) -> None:
    persona = read_persona(path)
    assert persona.style and persona.facts and persona.taboos and persona.openings and len(persona.examples) >= 3
    assert conversation_tokens(persona.messages()) < 1_024


def test_there_is_a_sample_in_either_language() -> None:
    assert {read_persona(path).languages[0] for path in SAMPLES} == {"en", "uk"}


def test_the_command_shows_the_prompt_and_its_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "me.md").write_text(SMALL)
    assert program.main(["persona", "me.md"]) == 0
    said = capsys.readouterr().out
    assert "How Ann speaks:" in said and "Ann: Oh, hi." in said and "of the 4096 tokens" in said
    assert program.main(["persona"]) == 0
    assert "You are Alex" in capsys.readouterr().out


def test_a_wrong_file_stops_the_command_and_the_program_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "me.md").write_text("+++\n+++\nx")
    assert program.main(["persona", "me.md"]) == 1
    assert capsys.readouterr().err == "peer_remote: me.md, key name: Field required.\n"
    monkeypatch.setattr("os.environ", {"UNDERSTUDY_PERSONA__FILE": "me.md", "UNDERSTUDY_REMOTE__TOKEN": "x"})
    assert program.main([]) == 2
    assert capsys.readouterr().err == "peer_remote: me.md, key name: Field required.\n"


def with_trouble(line: str) -> str:
    return SMALL.replace('openings = ["Oh,"]', f'openings = ["Oh,"]\ntrouble = "{line}"')


@pytest.mark.parametrize(
    ("text", "setting", "said"),
    [
        (SMALL, None, "Sorry, I lost my thread. Could you say that again?"),
        (SMALL.replace('"en", "uk"', '"uk", "en"'), None, "Ой, загубилася думка. Скажіть, будь ласка, ще раз."),
        (with_trouble("{name} forgot."), None, "Ann forgot."),
        (with_trouble(""), None, ""),
        (with_trouble("{name} forgot."), "Once more?", "Once more?"),
        (with_trouble("{name} forgot."), "", ""),
    ],
)
def test_what_is_said_when_an_answer_breaks_off_is_the_personas_own(
    tmp_path: Path, text: str, setting: str | None, said: str
) -> None:
    (tmp_path / "me.md").write_text(text)
    given = {} if setting is None else {"trouble": setting}
    settings = PersonaSettings.model_validate({"file": tmp_path / "me.md", **given})
    assert settings.persona().trouble_line() == said


def test_without_a_file_the_line_of_trouble_is_a_setting() -> None:
    assert PersonaSettings().persona().trouble_line().startswith("Sorry,")
    assert PersonaSettings(trouble="").persona().trouble_line() == ""
