"""Notes are found by the words of a question, and what does not fit is not shown."""

import logging
from pathlib import Path

import pytest

from models.interfaces import Message
from peer_remote.history import History
from peer_remote.notes import MOST_PASSAGE_CHARACTERS, MOST_SHOWN, MOST_SHOWN_CHARACTERS, Notes, NotesError
from peer_remote.prompt import Prompt

FILES = {
    "work/ferries.md": "# Ferry line seven\n\nIt starts on the third of June.\n\nThe captain is called Ines.",
    "home.txt": "The dentist is on Tuesday at ten.\n\nThe cats eat at six.",
    "школа.md": "# Гурток\n\nЗаняття з радіотехніки щосереди о шістнадцятій.\n\nКлючі від майстерні в пана Юрія.",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("question", "file", "part"),
    [
        ("When does the ferry start?", "work/ferries.md", "third of June"),
        ("When do you see the dentist?", "home.txt", "Tuesday at ten"),
        ("Do the cat and its friend eat?", "home.txt", "eat at six"),
        ("Коли заняття гуртка?", "школа.md", "щосереди"),
        ("А в кого ключ від майстерень?", "школа.md", "пана Юрія"),
    ],
)
def test_the_passage_that_answers_is_found(folder: Path, question: str, file: str, part: str) -> None:
    notes = Notes(folder)
    best = notes.find(question)[0]
    assert best.file == file and part in best.text
    notes.close()


@pytest.mark.parametrize(
    "question",
    ["", "How are you?", "What do you think about remote work?", "Ну що, як ти?", '"*" OR NEAR(a b) -x :', "?!"],
)
def test_what_no_note_answers_finds_nothing(folder: Path, question: str) -> None:
    notes = Notes(folder)
    assert notes.find(question) == []
    notes.close()


def test_headings_go_with_their_passages(folder: Path) -> None:
    notes = Notes(folder)
    assert notes.find("Who is the captain?")[0].text == "Ferry line seven: The captain is called Ines."
    notes.close()


def test_what_is_shown_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("\n\n".join("harbour " * 400 for _ in range(5)))
    notes = Notes(tmp_path)
    found = notes.find("Where is the harbour?")
    assert found and len(found) <= MOST_SHOWN
    assert all(len(passage.text) <= MOST_PASSAGE_CHARACTERS for passage in found)
    assert sum(len(passage.text) for passage in found) <= MOST_SHOWN_CHARACTERS
    notes.close()


def test_files_that_are_no_notes_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.md").write_text("harbour")
    (tmp_path / "picture.md").write_bytes(b"harbour \xff\xfe")
    (tmp_path / "table.csv").write_text("harbour")
    notes = Notes(tmp_path)
    assert notes.find("harbour") == []
    notes.close()


def test_a_folder_that_is_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotesError, match="are not a folder; change UNDERSTUDY_PERSONA__NOTES_DIR"):
        Notes(tmp_path / "nothing")


def test_the_model_sees_the_passage_in_the_last_line_and_the_history_does_not(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history, notes = History([Message("system", "p")]), Notes(folder)
    prompt = Prompt(history, notes)
    history.ask(1, "When is the dentist?")
    with caplog.at_level(logging.INFO):
        shown = prompt.answered()
    assert shown[-1].content == "(from your notes:\n- The dentist is on Tuesday at ten.)\nWhen is the dentist?"
    assert history.messages()[-1] == Message("user", "When is the dentist?")
    record = caplog.records[-1]
    assert record.getMessage() == "notes_cited" and vars(record)["files"] == ["home.txt"]
    assert "Tuesday" not in str(vars(record)), "notes are personal data"
    assert prompt.messages("And the cats, when do they eat?")[-1].content.startswith("(from your notes:\n- The cats")
    history.heard(1, "On Tuesday at ten.")
    assert prompt.messages() == history.messages(), "nobody asks"
    notes.close()


def test_without_notes_the_prompt_is_the_history() -> None:
    history = History([Message("system", "p")])
    history.ask(1, "When is the dentist?")
    assert Prompt(history).answered() == history.messages()
