"""The recordings that a cloned voice is made of: check them, give them to the server, hear what it makes of them."""

import re
import shutil
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from models.errors import EngineFailed, EngineUnavailable, WeightsError
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, SpeechRecognizer
from models.settings import FishSpeechSettings
from models.tts.fish_api import FishSpeechApi
from models.tts.fish_speech import FishSpeechSynthesizer
from models.tts.heard import heard_in
from models.tts.recording import read_recording, resampled, wav_bytes
from models.tts.reference_check import (
    REFERENCE_RATE_HZ,
    Finding,
    findings,
    prepared,
    transcript_finding,
    worst,
)

PREVIEW_TEXT: Final = "Hello! This is how I sound when I am not here myself. Shall we begin?"
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

MakeRecognizer = Callable[[], SpeechRecognizer]


@dataclass(frozen=True, slots=True)
class Reference:
    """A recording that is ready for the server."""

    name: str
    wav: bytes
    text: str
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        return worst(self.findings) != "bad"


async def examine(
    name: str, recording: Path, text: str | None, *, language: str, recognizer: MakeRecognizer
) -> Reference:
    """Read and judge a recording. Without `text` what our own recognizer hears is taken.

    Raises EngineFailed for a name or a recording that cannot be used at all.
    """
    require_name(name)
    samples, rate_hz = read_recording(recording)
    found = findings(samples, rate_hz)
    try:
        ears = recognizer()
    except (EngineUnavailable, WeightsError) as error:
        if text is None:
            raise EngineFailed(f"Give the words that are said by --text; they cannot be heard here: {error}") from None
        found.append(Finding("transcript", "not compared", "fair", str(error)))
    else:
        try:
            heard = await heard_in(ears, resampled(samples, rate_hz, HEARING_RATE_HZ), language)
        finally:
            await ears.aclose()
        if text is None:
            advice = "It was written by a machine: correct it, and give it by --text."
            found.append(Finding("transcript", "heard", "fair" if heard else "bad", advice))
            text = heard
        else:
            found.append(transcript_finding(text, heard))
    return Reference(name, wav_bytes(prepared(samples, rate_hz), REFERENCE_RATE_HZ), text.strip(), tuple(found))


def require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise EngineFailed(f"{name!r} cannot be a voice's name; use up to 64 letters, digits, hyphens and underscores.")


async def add(reference: Reference, settings: FishSpeechSettings) -> None:
    """Give it to the running server. Raises EngineFailed."""
    api = FishSpeechApi(settings)
    try:
        await api.add_reference(reference.name, reference.wav, reference.text)
    finally:
        await api.aclose()


def seed(reference: Reference, directory: Path) -> Path:
    """Put it where a server that is started in `directory` finds it; returns the folder. Raises EngineFailed."""
    folder = directory / "references" / reference.name
    if folder.exists():
        raise EngineFailed(f"{folder} exists already; remove it first.")
    try:
        folder.mkdir(parents=True)
        (folder / "sample.wav").write_bytes(reference.wav)
        (folder / "sample.lab").write_text(reference.text, encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise EngineFailed(f"{folder} cannot be written: {error.strerror}.") from None
    return folder


async def names(settings: FishSpeechSettings) -> list[str]:
    """The voices that the running server knows. Raises EngineFailed."""
    api = FishSpeechApi(settings)
    try:
        return await api.references()
    finally:
        await api.aclose()


def seeded_names(directory: Path) -> list[str]:
    """The voices whose files lie below `directory`."""
    return sorted(sample.parent.name for sample in directory.glob("references/*/sample.lab"))


async def remove(name: str, settings: FishSpeechSettings) -> None:
    """Let the running server forget a voice, and delete its recording there. Raises EngineFailed."""
    require_name(name)
    api = FishSpeechApi(settings)
    try:
        await api.remove_reference(name)
    finally:
        await api.aclose()


def remove_seed(name: str, directory: Path) -> None:
    require_name(name)
    folder = directory / "references" / name
    if not folder.is_dir():
        raise EngineFailed(f"There is no voice named {name} in {directory / 'references'}.")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise EngineFailed(f"{folder} cannot be removed: {error.strerror}.") from None


async def preview(name: str, text: str, settings: FishSpeechSettings) -> bytes:
    """What the voice sounds like, as a WAV file at SPEECH_RATE_HZ. Raises EngineFailed."""
    if name not in await names(settings):
        raise EngineFailed(f"The voice server has no voice named {name}.")
    voice = FishSpeechSynthesizer(settings.model_copy(update={"reference": name}))
    try:
        async with aclosing(voice.stream(text)) as pieces:
            sound = [piece.samples async for piece in pieces]
    finally:
        await voice.aclose()
    if not sound:
        raise EngineFailed("There is nothing to say in this text.")
    return wav_bytes(np.concatenate(sound), SPEECH_RATE_HZ)
