"""A chat completion as it streams: server-sent events with a JSON object each. Pure.

Sources: WHATWG HTML, 9.2.6, Interpreting an event stream; the chat completion chunk object of OpenAI's API.
"""

import json
from dataclasses import dataclass
from typing import Any

MAX_EVENT_BYTES = 1 << 20
DONE = "[DONE]"


class MalformedStream(ValueError):
    """These are not the events of a chat completion."""


class RefusedInStream(ValueError):
    """The server says in the middle of an answer that it failed."""


class EventReader:
    """Bytes in, data of whole events out; names, ids and comments, such as pings, are passed over."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """The data of every event that is complete now. Raises MalformedStream."""
        self._bytes += chunk
        *lines, rest = self._bytes.split(b"\n")
        self._bytes = rest
        if len(rest) + sum(map(len, self._data)) > MAX_EVENT_BYTES:
            raise MalformedStream("an event without an end")
        return [data for line in lines if (data := self._line(bytes(line.removesuffix(b"\r")))) is not None]

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data = "\n".join(self._data), []
            return data or None
        name, _, value = line.partition(b":")
        if name == b"data":
            try:
                self._data.append(value.removeprefix(b" ").decode())
            except UnicodeDecodeError:
                raise MalformedStream("bytes that are no UTF-8") from None
        elif name not in (b"", b"event", b"id", b"retry"):
            raise MalformedStream("a line that belongs to no event")
        return None


@dataclass(frozen=True, slots=True)
class Delta:
    """What one chunk adds to the answer."""

    text: str
    ends: bool
    """The chunk carries a reason why the answer ends here."""


def delta(data: str) -> Delta:
    """The chunk in an event's data. Raises MalformedStream, and RefusedInStream when it carries an error."""
    try:
        chunk = json.loads(data)
    except ValueError:
        raise MalformedStream("data that is no JSON") from None
    if not isinstance(chunk, dict):
        raise MalformedStream("data that is no object")
    if chunk.get("error"):
        raise RefusedInStream
    choices: Any = chunk.get("choices")
    if choices == []:  # usage figures
        return Delta("", False)
    try:
        choice = choices[0]
        text = (choice.get("delta") or {}).get("content") or ""
        ends = choice.get("finish_reason") is not None
    except (TypeError, LookupError, AttributeError):
        raise MalformedStream("a chunk without a choice") from None
    if not isinstance(text, str):
        raise MalformedStream("a chunk whose text is no text")
    return Delta(text, ends)
