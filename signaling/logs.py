"""How every program of the product logs: standard logging, one line on stderr for one event.

    2026-03-01T12:00:00.123Z INFO signaling.service peer_joined role=viewer room=main

The message is the constant name of the event, values come from `extra`. Text under a name that means a secret or
something personal is never written.
"""

import json
import logging
import sys
import time
from typing import Any, TextIO

NEVER_WRITTEN = ("token", "secret", "credential", "password", "authorization", "api_key", "sdp", "transcript", "text")
"""Fields with these names, or with one of them after an underscore, are written as [withheld] unless numbers."""

NOISY_LIBRARIES = ("aioice", "aiortc", "aiohttp.access", "faster_whisper", "httpx")
"""They log every check and packet at INFO; their warnings stay."""

LEVELS = ("debug", "info", "warning", "error")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Handler(logging.StreamHandler[TextIO]):
    """Its own class, so that a second `setup` replaces the first one's handler and nobody else's."""


class LineFormatter(logging.Formatter):
    """time level logger event key=value …; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        values = "".join(f" {name}={_plain(value)}" for name, value in fields(record).items())
        line = f"{_time(record)} {record.levelname} {record.name} {_one_line(record.getMessage())}{values}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line with time, level, logger, event, the values, and perhaps exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            **fields(record),
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def setup(level: str = "info", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send the whole process's log to `stream` (stderr). Raises ValueError for a level that is not one of LEVELS."""
    if level.lower() not in LEVELS:
        raise ValueError(f"{level} is not a log level; levels are {', '.join(LEVELS)}.")
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(earlier)
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET if level.lower() == "debug" else logging.WARNING)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What `extra` added to the record, by name, with secrets and personal data withheld."""
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: "[withheld]" if _is_private(name, value) else value for name, value in sorted(extra.items())}


def _is_private(name: str, value: Any) -> bool:
    if isinstance(value, int | float) or value is None:
        return False  # such as the moment of the language model's first token
    return any(name.lower() == private or name.lower().endswith(f"_{private}") for private in NEVER_WRITTEN)


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _plain(value: Any) -> str:
    """A value as one word: quoted as JSON when it has spaces, quotes or line ends in it."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)
