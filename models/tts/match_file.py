"""Matches that were found, as one readable file each: which voice stands in for somebody, and how it is shifted.

[en]
voice = "am_santa"
pitch_ratio = 0.76
formant_ratio = 1.106
similarity = 0.69
unshifted_similarity = 0.62
"""

import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import EngineFailed, EngineUnavailable
from models.tts.language import Language
from models.tts.match import Match
from models.tts.voice_shift import VoiceShift

_HEAD: Final = "# Made by `python -m models.tts match`. An approximation of somebody's voice: personal data.\n"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    voice: str = Field(pattern=r"^[a-z]{2}_[a-z]+$")
    pitch_ratio: float = Field(ge=0.5, le=2)
    formant_ratio: float = Field(ge=0.7, le=1.4)
    similarity: float
    unshifted_similarity: float


def write_match(found: Mapping[Language, Match], path: Path) -> None:
    """Write the file, readable by its owner only. Raises EngineFailed."""
    text = _HEAD + "".join(
        f'\n[{language}]\nvoice = "{match.voice}"\npitch_ratio = {match.shift.pitch_ratio}\n'
        f"formant_ratio = {match.shift.formant_ratio}\nsimilarity = {match.similarity:.3f}\n"
        f"unshifted_similarity = {match.unshifted_similarity:.3f}\n"
        for language, match in found.items()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)
    except OSError as error:
        raise EngineFailed(f"{path} cannot be written: {error.strerror}.") from None


def read_match(path: Path) -> dict[Language, Match]:
    """By language. Raises EngineUnavailable with what to do."""
    again = f"make it by `python -m models.tts match RECORDING --name {path.stem}`"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = {name: _Entry.model_validate(content[name]) for name in get_args(Language) if name in content}
    except FileNotFoundError:
        raise EngineUnavailable(f"No voice was matched to {path.stem} yet; {again}.") from None
    except (OSError, ValueError, ValidationError):
        raise EngineUnavailable(f"{path} is no match of a voice; {again}.") from None
    if not entries:
        raise EngineUnavailable(f"{path} is no match of a voice; {again}.")
    return {
        language: Match(
            entry.voice,
            VoiceShift(entry.pitch_ratio, entry.formant_ratio),
            entry.similarity,
            entry.unshifted_similarity,
        )
        for language, entry in entries.items()
    }
