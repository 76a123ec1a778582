"""Every setting as a flag: `--camera.fps 25` is UNDERSTUDY_CAMERA__FPS=25, and wins over the environment and .env.

    arguments ─► parse ─► Flags (overrides, switches, words) ─► load ─► settings

Made from the settings' own fields, so that a new setting is a flag without another line. What a person reads of it,
--help and --print-config, is in flags_text.py.
"""

import ast
import difflib
import inspect
import json
import textwrap
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from signaling.settings import PREFIX, SettingsError, StrictSettings

S = TypeVar("S", bound=StrictSettings)

YES = frozenset(("true", "yes", "on", "1"))
NO = frozenset(("false", "no", "off", "0"))


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of one section, seen from outside."""

    section: str
    key: str
    field: FieldInfo
    doc: str
    """The docstring below the field in the source; empty when there is none."""

    @property
    def flag(self) -> str:
        return f"--{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.section}__{self.key}".upper()

    @property
    def type(self) -> Any:
        """The annotation without `| None` and Annotated."""
        return _bare(self.field.annotation)

    @property
    def optional(self) -> bool:
        return type(None) in get_args(self.field.annotation)

    @property
    def is_list(self) -> bool:
        return get_origin(self.type) is tuple

    @property
    def is_secret(self) -> bool:
        return self.type is SecretStr

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values that it, or each entry of a list, may have; empty when it is free."""
        one = _bare(get_args(self.type)[0]) if self.is_list else self.type
        return get_args(one) if get_origin(one) is Literal else ()


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says."""

    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Section → key → value, as StrictSettings.load takes them."""
    switches: frozenset[str] = frozenset()
    """The program's own switches that were given, without the dashes."""
    words: tuple[str, ...] = ()
    """All that is no flag: a command and what belongs to it."""


def settings_of(model: type[StrictSettings]) -> list[Setting]:
    """Every setting of a program, in the order of its source."""
    found = []
    for section, of in model.model_fields.items():
        kind = of.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            docs = _docs(kind)
            found += [Setting(section, key, each, docs.get(key, "")) for key, each in kind.model_fields.items()]
    return found


def parse(model: type[StrictSettings], arguments: Sequence[str], *, switches: Iterable[str] = ()) -> Flags:
    """Sort the command line into settings, `switches` (`--json`; `-h` is `--help`) and words; `--` ends the flags.

    `--flag value` and `--flag=value` are the same, a hyphen and an underscore too; of a yes-or-no setting,
    `--ears.echo_cancellation` alone means yes and `--no-ears.echo_cancellation` no. Lists are separated by commas.
    Raises SettingsError, one sentence, for an unknown flag and for a value that is none of the possible ones.
    """
    settings = {setting.flag: setting for setting in settings_of(model)}
    known = frozenset(switches)
    overrides: dict[str, dict[str, Any]] = {}
    given, words = set[str](), list[str]()
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            words += rest
            break
        if argument == "-h":
            argument = "--help"
        if not argument.startswith("--"):
            words.append(argument)
            continue
        name, equals, value = argument.partition("=")
        plain = "--" + name[2:].replace("-", "_").lower()
        switch = name[2:].lower()
        if switch in known:
            if equals:
                raise SettingsError(f"{name} takes no value.")
            given.add(switch)
            continue
        denied = settings.get("--" + plain.removeprefix("--no_")) if plain.startswith("--no_") else None
        if denied is not None and denied.type is bool and not equals:
            setting, converted = denied, "false"
        else:
            if plain not in settings:
                raise SettingsError(f"{name} is not a flag; {_hint(name, plain, settings, known)}")
            setting = settings[plain]
            converted = _value(setting, value if equals else _take(setting, rest))
        overrides.setdefault(setting.section, {})[setting.key] = converted
    return Flags(overrides, frozenset(given), tuple(words))


def load(model: type[S], flags: Flags) -> S:
    """The settings with the flags on top. Raises SettingsError, which names the flag if the flag is to blame."""
    try:
        return model.load(**flags.overrides)
    except SettingsError as error:
        sentence = str(error)
        for setting in settings_of(model):
            name = sentence.partition(":")[0]
            if setting.key in flags.overrides.get(setting.section, {}) and name.startswith(setting.variable):
                entry = name.removeprefix(setting.variable)
                if not entry or entry.startswith("__"):
                    raise SettingsError(setting.flag + sentence.removeprefix(name)) from None
        raise


def _take(setting: Setting, rest: list[str]) -> str:
    if setting.type is bool:
        return rest.pop(0) if rest and rest[0].lower() in YES | NO else "true"
    if not rest or rest[0].startswith("--"):
        raise SettingsError(f"{setting.flag} needs a value after it; see --help.")
    return rest.pop(0)


def _value(setting: Setting, text: str) -> Any:
    if not text and setting.optional:
        return None
    if setting.type is bool and text.lower() not in YES | NO:
        raise SettingsError(f"{setting.flag} is yes or no, not {text!r}.")
    if not setting.is_list:
        _require_choice(setting, text)
        return text
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            raise SettingsError(f"{setting.flag} takes a list separated by commas.") from None
    entries = tuple(part.strip() for part in text.split(",") if part.strip())
    for entry in entries:
        _require_choice(setting, entry)
    return entries


def _require_choice(setting: Setting, text: str) -> None:
    choices = setting.choices
    if not choices or text in choices:
        return
    near = difflib.get_close_matches(text.lower(), choices, n=1)
    *others, last = choices
    listed = f"{', '.join(others)} or {last}" if others else last
    raise SettingsError(f"{setting.flag} is {listed}, not {text!r}{f'; did you mean {near[0]}?' if near else '.'}")


def _hint(name: str, plain: str, settings: dict[str, Setting], switches: frozenset[str]) -> str:
    """The nearest flag: by its key when only the section was left out, else by its whole name."""
    by_key = {setting.key: setting.flag for setting in reversed(settings.values())}
    if plain[2:] in by_key:
        return f"did you mean {by_key[plain[2:]]}?"
    near = difflib.get_close_matches(plain, settings, n=1) or difflib.get_close_matches(
        name.lower(), [f"--{switch}" for switch in switches], n=1
    )
    if not near:
        near = [by_key[key] for key in difflib.get_close_matches(plain[2:].rpartition(".")[2], by_key, n=1)]
    return f"did you mean {near[0]}?" if near else "--help shows them all."


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        parts = get_args(annotation)
        if get_origin(annotation) is Annotated:
            annotation = parts[0]
        else:
            annotation = next(part for part in parts if part is not type(None))
    return annotation


def _docs(kind: type) -> dict[str, str]:
    """The docstrings below the fields of a class, which Python itself does not keep."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    except (OSError, TypeError, SyntaxError):  # no source beside the program
        return {}
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for one, following in zip(body.body, body.body[1:], strict=False):
        named = isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if named and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[one.target.id] = " ".join(str(following.value.value).split())  # type: ignore[attr-defined]
    return docs
