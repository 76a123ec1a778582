"""The fall-backs of a section of the settings: whole sections, each told by a few changes to the one it belongs to."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

_OF_ONE_SERVER = ("key", "served_model")
"""What belongs to a server: another address does not get the key of this one, unless it is given."""

SectionT = TypeVar("SectionT", bound=BaseModel)


def read_items(value: Any) -> Any:
    """A JSON list, or names separated by commas, as a list; anything else as it is. Raises ValueError."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text.startswith(("[", "{")):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError('a JSON list is needed here, such as ["kokoro"] or [{"engine": "kokoro"}]') from None


def whole_sections(section: type[SectionT], own: Mapping[str, Any], items: Any) -> tuple[SectionT, ...]:
    """The sections that `items` describe: names of engines, or changes to `own`. Raises ValueError in one sentence."""
    if not isinstance(items, list | tuple):
        raise ValueError("a list is needed here, each item the name of an engine or an object of changes")
    return tuple(_whole(section, own, item, number) for number, item in enumerate(items, start=1))


def _whole(section: type[SectionT], own: Mapping[str, Any], item: Any, number: int) -> SectionT:
    if isinstance(item, section):
        return item
    changes = {"engine": item} if isinstance(item, str) else item
    if not isinstance(changes, dict):
        raise ValueError(f"item {number} must be the name of an engine or an object of changes")
    if "fallbacks" in changes:
        raise ValueError(f"item {number} cannot have fall-backs of its own; put them into the same list")
    try:
        return section.model_validate(_changed(own, changes))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "there is no such setting"
        raise ValueError(f"item {number}, {place}: {message[:1].lower()}{message[1:]}") from None


def _changed(own: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`own` with `changes`, which reach into sections within it."""
    moved = "url" in changes and changes["url"] != own.get("url")
    kept = {key: value for key, value in own.items() if not (moved and key in _OF_ONE_SERVER)}
    for key, change in changes.items():
        before = kept.get(key)
        nested = isinstance(before, BaseModel) and isinstance(change, dict)
        kept[key] = _changed(dict(before), change) if nested else change  # type: ignore[arg-type]
    return kept
