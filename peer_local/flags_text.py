"""What a person reads of the settings: the list of flags (--help), and what is in force and why (--print-config)."""

import json
import os
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from dotenv import dotenv_values
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import NoDecode

from peer_local.flags import Flags, Setting, settings_of
from signaling.settings import PREFIX, StrictSettings

Source = str
"""default, environment, flag, the name of a file, or the connection string, which carries several settings."""

HIDDEN = "****"
"""Written in place of a secret."""

_KINDS: dict[Any, str] = {
    int: "NUMBER",
    float: "NUMBER",
    str: "TEXT",
    Path: "FILE",
    SecretStr: "SECRET",
    bool: "yes|no",
}
_PLAIN = re.compile(r"[\w./:@%+,~\\-]*")
"""What .env takes as it is."""


def help_text(model: type[StrictSettings], usage: str, *, width: int | None = None) -> str:
    """`usage`, then every flag by section with its meaning, what it takes and its default; `width` in characters."""
    width = min(100, width or shutil.get_terminal_size().columns)
    lines = [usage.rstrip()]
    section = ""
    for setting in settings_of(model):
        if setting.section != section:
            section = setting.section
            lines += ["", *textwrap.wrap(f"{section}: {_summary(model, section)}".rstrip(": "), width)]
        lines.append(f"  {setting.flag} {_takes(setting)}".rstrip())
        about = f"{setting.doc} ({_default(setting)})" if setting.doc else f"({_default(setting)})"
        lines += textwrap.wrap(about, width, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def config_text(settings: StrictSettings, flags: Flags) -> str:
    """Every setting as a line for .env with where it came from; secrets and what is not set are commented out."""
    model = type(settings)
    sources = _Sources(model, flags)
    lines: list[str] = []
    section = ""
    for setting in settings_of(model):
        if setting.section != section:
            section = setting.section
            lines += [""] * bool(lines) + [f"# {section}: {_summary(model, section)}".rstrip(": ")]
        value = getattr(getattr(settings, setting.section), setting.key)
        commented = "# " if value is None or setting.is_secret else ""
        text = "" if value is None else HIDDEN if setting.is_secret else _written(setting, value)
        lines.append(f"{commented}{setting.variable}={text}  # {sources.of(setting, value)}")
    return "\n".join(lines) + "\n"


class _Sources:
    """Where each value comes from, in the order in which pydantic-settings looks."""

    def __init__(self, model: type[StrictSettings], flags: Flags) -> None:
        self._flags = flags.overrides
        self._environment = _keys(os.environ)
        self._files = {file.name: _keys(dotenv_values(file)) for file in reversed(model.env_files()) if file.is_file()}

    def of(self, setting: Setting, value: Any) -> Source:
        if setting.key in self._flags.get(setting.section, {}):
            return "flag"
        where = (setting.section, setting.key)
        if where in self._environment:
            return "environment"
        for name, keys in self._files.items():
            if where in keys:
                return name
        usual = setting.field.get_default(call_default_factory=True, validated_data={})
        return "default" if value == usual else "connection"


def _keys(variables: Mapping[str, str | None]) -> set[tuple[str, str]]:
    """(section, key) of every variable that sets one, also of a section given as a JSON object."""
    found = set()
    for name, value in variables.items():
        if not name.upper().startswith(PREFIX):
            continue
        section, _, key = name[len(PREFIX) :].lower().partition("__")
        if key:
            found.add((section, key.partition("__")[0]))
            continue
        try:
            whole = json.loads(value or "")
        except ValueError:
            continue
        found |= {(section, str(each).lower()) for each in whole} if isinstance(whole, dict) else set()
    return found


def _summary(model: type[StrictSettings], section: str) -> str:
    """First sentence of the section's docstring."""
    kind = model.model_fields[section].annotation
    doc = (getattr(kind, "__dict__", {}).get("__doc__") or "").strip()
    return " ".join(doc.split("\n\n")[0].split())


def _takes(setting: Setting) -> str:
    if setting.choices:
        return "|".join(setting.choices) + (",…" if setting.is_list else "")
    return "A,B,…" if setting.is_list else _KINDS.get(setting.type, "VALUE")


def _default(setting: Setting) -> str:
    bounds = " ".join(_bounds(setting))
    value = setting.field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or value == ():
        shown = "not set"
    elif isinstance(value, bool):
        shown = f"default {'yes' if value else 'no'}"
    elif isinstance(value, Path):
        home = Path.home()
        shown = f"default {Path('~') / value.relative_to(home) if value.is_relative_to(home) else value}"
    else:
        shown = f"default {','.join(map(str, value)) if isinstance(value, tuple) else value}"
    return f"{bounds}; {shown}" if bounds else shown


def _bounds(setting: Setting) -> Iterator[str]:
    for rule in setting.field.metadata:
        if isinstance(rule, Ge):
            yield f"from {rule.ge}"
        elif isinstance(rule, Gt):
            yield f"over {rule.gt}"
        elif isinstance(rule, Le):
            yield f"to {rule.le}"
        elif isinstance(rule, Lt):
            yield f"under {rule.lt}"


def _written(setting: Setting, value: Any) -> str:
    """A value as .env wants it."""
    if setting.is_list:
        entries = [str(entry) for entry in value]
        decoded = not any(rule is NoDecode or isinstance(rule, NoDecode) for rule in setting.field.metadata)
        text = json.dumps(entries, ensure_ascii=False) if decoded else ",".join(entries)
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
