"""The browser's field tables (signaling/web/protocol.js) name what signaling/protocol.py sends, field by field."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from signaling import protocol

SCRIPT = (Path(protocol.__file__).parent / "web" / "protocol.js").read_text()


def braces(text: str) -> str:
    """The part of `text` up to the brace that closes its first one."""
    depth = 0
    for place, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "}" and depth == 0:
            return text[text.index("{") + 1 : place]
    raise AssertionError("a brace is never closed")


def fields(body: str) -> dict[str, bool]:
    """Names of a record's fields and whether they may be absent."""
    return {name: bool(optional) for name, optional in re.findall(r"(\w+): (optional\()?", body)}


def table(direction: str) -> dict[str, dict[str, bool]]:
    """Type -> field -> whether it may be absent."""
    body = braces(SCRIPT[SCRIPT.index(f"export const {direction} = ") :])
    messages = {"error": fields(braces(SCRIPT[SCRIPT.index("const error = ") :]))}
    assert body.rstrip().endswith("error,")
    for match in re.finditer(r"^  (\w+): \{", body, re.MULTILINE):
        messages[match.group(1)] = fields(braces(body[match.start() :]))
    return messages


@pytest.mark.parametrize(
    ("direction", "union"), [("FROM_SERVICE", protocol.FromService), ("FROM_PERFORMER", protocol.FromPerformer)]
)
def test_the_page_reads_every_field_of_every_message(direction: str, union: object) -> None:
    expected = {}
    for model in get_args(union):
        assert issubclass(model, BaseModel)
        wire = {name: field for name, field in model.model_fields.items() if name != "type"}
        optional = {name: field.default is None for name, field in wire.items()}  # what dump() leaves out
        expected[model.model_fields["type"].default] = optional
    seen = table(direction)
    assert seen.keys() == expected.keys()
    for kind, optional in expected.items():
        assert seen[kind].keys() == optional.keys(), kind
        assert {name for name, may in optional.items() if may} <= {name for name, may in seen[kind].items() if may}, (
            kind
        )
