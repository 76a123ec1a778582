"""A persona as a file: a table in TOML between two lines of +++, then prose in Markdown.

+++
name = "Marta"
languages = ["en"]
style = ["Begins with a small opening."]
facts = ["Lives by the sea."]
taboos = ["Her salary."]
openings = ["Oh,", "Well,"]
trouble = "Sorry, where was I?"

[[examples]]
asked = "How are you?"
answered = "Oh, fine! A bit sleepy."
+++

You are {name}, …
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from peer_remote.persona import LANGUAGES, Persona

MOST_BYTES = 64 * 1024
_FENCE = re.compile(r"\+\+\+[ \t]*")


class PersonaError(ValueError):
    """The file cannot be a persona; the message is one sentence that names the file and the line or the key."""


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Example(_Strict):
    asked: Line
    answered: Line


class _Front(_Strict):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    languages: Annotated[tuple[str, ...], Field(max_length=8)] = ()
    style: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    facts: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    taboos: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    openings: Annotated[tuple[Line, ...], Field(max_length=64)] = ()
    trouble: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    examples: Annotated[tuple[_Example, ...], Field(max_length=64)] = ()

    @field_validator("languages")
    @classmethod
    def _known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            if code not in LANGUAGES:
                raise ValueError(f"{code[:16]} is not one of the languages {', '.join(LANGUAGES)}")
        return codes


def read_persona(path: Path) -> Persona:
    """The persona that the file `path` describes. Raises PersonaError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise PersonaError(f"The persona {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise PersonaError(f"{path}, line {line}: the persona must be text in UTF-8.") from None
    if len(raw) > MOST_BYTES:
        raise PersonaError(
            f"The persona {path} is longer than {MOST_BYTES // 1024} KiB; a model could not read it all."
        )
    return parse_persona(text.replace("\r\n", "\n"), source=str(path))


def parse_persona(text: str, *, source: str) -> Persona:
    """The persona that `text` describes; `source` names it in errors. Raises PersonaError."""
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if _FENCE.fullmatch(line)]
    if not fences or "".join(lines[: fences[0]]).strip():
        raise PersonaError(f"{source}, line 1: the persona must begin with a line of +++.")
    if len(fences) < 2:
        raise PersonaError(f"{source}, line {fences[0] + 1}: no second line of +++ ends the table that begins here.")
    front = _front(lines[: fences[1]], fences[0], source)
    about = "\n".join(lines[fences[1] + 1 :]).strip()
    if not about:
        raise PersonaError(f"{source}, line {fences[1] + 1}: after the table there must be a text about {front.name}.")
    return Persona(
        name=front.name,
        about=about,
        examples=tuple((example.asked, example.answered) for example in front.examples),
        openings=front.openings,
        languages=front.languages,
        style=front.style,
        facts=front.facts,
        taboos=front.taboos,
        trouble=front.trouble,
        spoken=True,
    )


def _front(lines: list[str], fence: int, source: str) -> _Front:
    """The table of `lines` after their line `fence`; lines before it are kept empty, so that numbers stay right."""
    table = "\n".join(["" if number <= fence else line for number, line in enumerate(lines)])
    try:
        values = tomllib.loads(table)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"^(.*?)\s*\(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        what, line = (place.group(1), place.group(2)) if place else (str(error), None)
        raise PersonaError(f"{source}, line {line or len(lines)}: {what[:1].lower()}{what[1:]}.") from None
    try:
        return _Front.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise PersonaError(f"{source}, {_reason(first['loc'], first['type'], first['msg'])}") from None


def _reason(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    if kind == "extra_forbidden":
        model = _Example if len(place) > 1 else _Front
        return f"key {key}: there is no such key; keys are {', '.join(model.model_fields)}."
    return f"key {key}: {message.removeprefix('Value error, ')[:256]}."
