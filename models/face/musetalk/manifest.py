"""What a folder of converted weights says of itself, and whether its files are still those.

<weights>/musetalk-1.5-fp16/manifest.json       sizes and sha256, what it was made from, with what
<weights>/musetalk-1.5-fp16/*.safetensors       float16
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from models.errors import WeightsCorrupt, WeightsMissing
from models.face.musetalk.config import Size, Version

FORMAT = 1
MANIFEST_NAME = "manifest.json"
UNET_FILE, VAE_FILE, TAESD_FILE, WHISPER_FILE = (f"{name}.safetensors" for name in ("unet", "vae", "taesd", "whisper"))
FILES = frozenset((UNET_FILE, VAE_FILE, TAESD_FILE, WHISPER_FILE))


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of manifest.json."""

    model: str
    size: Size
    files: dict[str, ConvertedFile]
    sources: dict[str, str]
    """sha256 of each file that was read, by its place below the weights' directory."""
    licences: dict[str, str]
    versions: dict[str, str]
    """Of the packages that wrote it."""

    def write(self, directory: Path) -> None:
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        (directory / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, directory: Path, version: Version) -> "Manifest":
        """Raises WeightsMissing where nothing was converted, WeightsCorrupt when it does not fit this program."""
        remedy = f"run `python -m models convert --fetch {model_name(version)}`."
        try:
            entries = json.loads((directory / MANIFEST_NAME).read_text(encoding="utf-8"))
            kind = entries.pop("format")
            manifest = cls(**entries | {"files": {name: ConvertedFile(**of) for name, of in entries["files"].items()}})
            ours = kind == FORMAT and manifest.model == model_name(version) and manifest.size in get_args(Size)
            fits = ours and manifest.files.keys() == FILES
        except (FileNotFoundError, NotADirectoryError):
            raise WeightsMissing(f"The weights of MuseTalk {version} are not in {directory}; {remedy}") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            fits = False
        if not fits:
            raise WeightsCorrupt(f"{directory / MANIFEST_NAME} is not one that this program writes; {remedy}")
        return manifest

    def check(self, directory: Path, name: str) -> Path:
        """Read and hash one file. Raises WeightsCorrupt unless it is the one that was written."""
        path = directory / name
        expected = self.files[name]
        try:
            right = path.stat().st_size == expected.size_bytes and sha256_of(path) == expected.sha256
        except OSError:
            right = False
        if not right:
            raise WeightsCorrupt(
                f"{name} in {directory} is not the file that its manifest names; "
                f"run `python -m models convert --fetch {self.model}`."
            )
        return path


def model_name(version: Version) -> str:
    """Of the catalog."""
    return f"musetalk-{version}"


def converted_directory(weights_dir: Path, version: Version) -> Path:
    return weights_dir / f"{model_name(version)}-fp16"


def sha256_of(path: Path) -> str:
    """About a second a gigabyte where the processor has instructions for it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
