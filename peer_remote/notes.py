"""A folder of notes, found by the words that they share with a question. The index is SQLite's FTS5, in memory.

Words are compared by their beginnings, because English and Ukrainian inflect at the end. Ranked by BM25 (Robertson and
Zaragoza, "The Probabilistic Relevance Framework", 2009), as SQLite computes it.
"""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".md", ".txt")
MOST_FILES = 1_000
MOST_FILE_BYTES = 1_000_000
MOST_PASSAGE_CHARACTERS = 500
MOST_SHOWN_CHARACTERS = 800
"""About 250 tokens, which a machine without a GPU reads in seven seconds."""
MOST_SHOWN = 3
_CANDIDATES = 12
_MOST_STEMS = 24
_STEM_CHARACTERS = 4
"""Of a longer word the last two letters may differ, of a long one the last three, but never the first four."""
_LONG_CHARACTERS = 8
_SHARE = 0.5
"""Of the question's words that a passage must have."""

_STOP_WORDS = frozenset(
    "the and for are was were you your what when where which who whom whose why how does did has have had can could "
    "would should will shall may might this that these those with from about into than then there here they them their "
    "she her his him our its not but any some much many more most very just also please tell know think say said like "
    "want get got let make one going really yes well okay "
    "або але без був була було були вже від він вона вони воно все вам вас ваш ваша ваше для його який яка яке які "
    "коли куди де чому хто кого кому чий чия чиє що чого чим "
    "про при перед після під над між тебе тобі твій твоя твоє твої мене мені мій моя "
    "моє мої нас нам наш наша наше цей ця це цього тут там так ні ще ось дуже можна може можеш скажи розкажи знаєш "
    "думаєш треба буде є як чи якщо тоді".split()
)


class NotesError(ValueError):
    """The folder cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a note."""

    file: str
    """Its path in the folder."""
    text: str


class Notes:
    """An index of what `folder` held when it was made. For one thread."""

    def __init__(self, folder: Path) -> None:
        """Read the folder. Raises NotesError when it is none, or when SQLite has no full-text search."""
        if not folder.is_dir():
            raise NotesError(f"The notes {folder} are not a folder; change UNDERSTUDY_PERSONA__NOTES_DIR.")
        self._database = sqlite3.connect(":memory:")
        try:
            self._database.execute(
                "CREATE VIRTUAL TABLE passages "
                "USING fts5(file UNINDEXED, text, tokenize = 'unicode61 remove_diacritics 0')"
            )
        except sqlite3.OperationalError:
            self._database.close()
            raise NotesError("Python's SQLite has no FTS5, which UNDERSTUDY_PERSONA__NOTES_DIR needs.") from None
        rows = ((file, text) for file, text in _read(folder))
        with self._database:
            self._database.executemany("INSERT INTO passages (file, text) VALUES (?, ?)", rows)

    def find(self, question: str) -> list[Passage]:
        """The passages that share at least half of the telling words of `question`, the best first; often none."""
        stems = _stems(question)
        if not stems:
            return []
        query = " OR ".join(f'"{stem}"*' for stem in stems)
        rows = self._database.execute(
            "SELECT file, text FROM passages WHERE passages MATCH ? ORDER BY rank LIMIT ?", (query, _CANDIDATES)
        )
        found: list[Passage] = []
        room = MOST_SHOWN_CHARACTERS
        for file, text in rows:
            words = re.findall(r"[^\W_]+", text.lower())
            shared = sum(any(word.startswith(stem) for word in words) for stem in stems)
            if shared >= _SHARE * len(stems) and len(text) <= room and len(found) < MOST_SHOWN:
                found.append(Passage(file, text))
                room -= len(text)
        return found

    def close(self) -> None:
        """Free the index."""
        self._database.close()


def _stems(question: str) -> list[str]:
    """The beginnings of the words that tell what is asked, in lower case and each once."""
    words = [word for word in re.findall(r"[^\W_]+", question.lower()) if word not in _STOP_WORDS]
    telling = [word for word in words if len(word) > 2 or word.isdigit()]
    return list(dict.fromkeys(_stem(word) for word in telling))[-_MOST_STEMS:]


def _stem(word: str) -> str:
    ending = 3 if len(word) >= _LONG_CHARACTERS else 2
    return word[: max(_STEM_CHARACTERS, len(word) - ending)]


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    """File and text of every passage; files that are hidden, too large or no text are left out."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    for path in paths[:MOST_FILES]:
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            continue
        try:
            if path.stat().st_size > MOST_FILE_BYTES:
                continue
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        for passage in _passages(text):
            yield name.as_posix(), passage


def _passages(text: str) -> Iterator[str]:
    """Paragraphs under their heading, cut at words where they are too long."""
    heading = ""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        if lines and lines[0].startswith("#"):
            heading = lines.pop(0).lstrip("# ")[:100]
        passage = ""
        for word in " ".join(lines).split():
            if passage and len(heading) + len(passage) + len(word) + 3 > MOST_PASSAGE_CHARACTERS:
                yield f"{heading}: {passage}" if heading else passage
                passage = ""
            passage = f"{passage} {word}" if passage else word[:MOST_PASSAGE_CHARACTERS]
        if passage:
            yield f"{heading}: {passage}" if heading else passage
