"""`python -m models.tts match`: the embedded voice that comes nearest to a recording, for machines without a GPU."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.table import Table

from models import registry
from models.errors import EngineFailed
from models.interfaces import SPEECH_RATE_HZ, Samples
from models.settings import EngineSettings
from models.tts import references
from models.tts.evaluate import LINES
from models.tts.kokoro import UKRAINIAN_VOICES, Speaker, speakers_of
from models.tts.kokoro_model import KokoroModel, Stop
from models.tts.language import Language
from models.tts.match import Match, best_match
from models.tts.match_file import write_match
from models.tts.recording import read_recording, wav_bytes
from models.tts.reference_check import findings, worst
from models.tts.speaker import encoder
from models.tts.tables import show, show_findings
from models.tts.voice_shift import require_world
from models.weights import locate

WHAT_IT_IS: Final = (
    "This is an approximation: one of the embedded voices, nearest to yours in pitch and timbre. It is not a clone; "
    "whoever knows you will hear that it is not you."
)
_JUDGED_BY: Final = ("level", "clipping", "noise", "silence")
"""A match needs neither the length nor the sample rate that a clone needs."""
_LINES: Final = (1, 3, 5, 6, 9, 2)
"""Of evaluate.LINES: three to search with, three to judge by."""
PREVIEW_TEXT: Final[Mapping[Language, str]] = {
    "en": references.PREVIEW_TEXT,
    "uk": "Добрий день! Ось так я звучу, коли мене самого тут немає. Почнімо?",
}


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Give the command its place among `commands`."""
    match = commands.add_parser(
        "match",
        help="find the embedded voice that is nearest to yours; an approximation for machines without a GPU",
        description=f"Find the embedded voice that is nearest to a recording, and shift it nearer. {WHAT_IT_IS}",
    )
    match.set_defaults(run=_run)
    match.add_argument("recording", type=Path, metavar="RECORDING", help="10-30 s of one person speaking")
    match.add_argument("--name", default="me", metavar="NAME", help="what to call the match (default: me)")
    match.add_argument("--preview", type=Path, metavar="FILE", help="write a WAV file of the result")
    match.add_argument("--force", action="store_true", help="take a recording that was judged bad")


def _run(settings: EngineSettings, options: argparse.Namespace) -> int:
    references.require_name(options.name)
    require_world()
    samples, rate_hz = read_recording(options.recording)
    found = [finding for finding in findings(samples, rate_hz) if finding.name in _JUDGED_BY]
    show_findings(found)
    if worst(found) == "bad" and not options.force:
        raise EngineFailed("No voice was matched; mend what is bad, or insist with --force.")
    print(WHAT_IT_IS)
    matches = _matches(settings, samples, rate_hz)
    table = Table("language", "voice", "pitch ×", "formants ×", "similarity as it is", "similarity shifted")
    for language, match in matches.items():
        shift = match.shift
        likeness = (f"{match.unshifted_similarity:.2f}", f"{match.similarity:.2f}")
        table.add_row(language, match.voice, f"{shift.pitch_ratio:.2f}", f"{shift.formant_ratio:.2f}", *likeness)
    show(table)
    print("Two recordings of one person have about 0.9, two strangers 0.4 to 0.7.")
    file = settings.tts.match_dir / f"{options.name}.toml"
    write_match(matches, file)
    if options.preview is not None:
        _preview(settings, options.name, next(iter(matches)), options.preview)
        print(f"Listen to {options.preview}.")
    print(f"Choose it by UNDERSTUDY_TTS__MATCH={options.name}; it is kept in {file}.")
    return 0


def _matches(settings: EngineSettings, samples: Samples, rate_hz: int) -> dict[Language, Match]:
    """The nearest voice for each language that is spoken."""
    directory = settings.weights.dir
    embed = encoder(directory).embedding
    tts = settings.tts.model_copy(update={"match": None})
    files = locate("kokoro-82m", directory)
    english = sorted(file.stem for file in (files / "voices").glob("[ab][fm]_*.bin"))
    voices: dict[Language, list[str]] = {"en": english, "uk": list(UKRAINIAN_VOICES)}
    speakers = speakers_of(directory, tts)
    chosen = [voice for language in speakers for voice in voices[language]]
    model = KokoroModel(files, voice=chosen[0], others=chosen[1:], threads=tts.threads)
    return {
        language: best_match(
            samples,
            rate_hz,
            voices[language],
            [LINES[language][number] for number in _LINES],
            say=partial(_said, model, speaker, tts.speed),
            embed=embed,
            progress=partial(print, file=sys.stderr, flush=True),
        )
        for language, speaker in speakers.items()
    }


def _said(model: KokoroModel, speaker: Speaker, speed: float, voice: str, line: str) -> Samples:
    symbols = model.symbols(speaker.phonemes(speaker.speakable(line)))
    return model.say(symbols, speed=speed, stop=Stop(), voice=voice).samples


def _preview(settings: EngineSettings, name: str, language: Language, file: Path) -> None:
    tts = settings.tts.model_copy(update={"engine": "kokoro", "match": name, "fallbacks": ()})
    sound = asyncio.run(_spoken(settings.model_copy(update={"tts": tts}), PREVIEW_TEXT[language]))
    try:
        file.write_bytes(wav_bytes(sound, SPEECH_RATE_HZ))
    except OSError as error:
        raise EngineFailed(f"{file} cannot be written: {error.strerror}.") from None


async def _spoken(settings: EngineSettings, text: str) -> Samples:
    voice = registry.create("tts", settings)
    try:
        async with aclosing(voice.stream(text)) as pieces:
            return np.concatenate([piece.samples async for piece in pieces])
    finally:
        await voice.aclose()
