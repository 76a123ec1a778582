"""`python -m models.tts evaluate`: measure the voice that the settings choose, or compare cloned ones."""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from models import registry
from models.errors import EngineFailed, WeightsError
from models.interfaces import Samples, SpeechSynthesizer
from models.settings import EngineSettings
from models.tts import evaluate, references
from models.tts.recording import read_recording
from models.tts.speaker import encoder
from models.tts.tables import show


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Give the command its place among `commands`."""
    judge = commands.add_parser(
        "evaluate",
        help="let the chosen voice say ten lines, and measure it",
        description="Let the voice that the settings choose say some lines, hear them with our own recognizer, and "
        "measure words, loudness, waiting, and how alike it is to the recording that it should sound like.",
    )
    judge.set_defaults(run=_run)
    judge.add_argument("--reference", nargs="+", default=(), metavar="NAME", help="compare these cloned voices")
    judge.add_argument(
        "--recording",
        nargs="+",
        default=(),
        type=Path,
        metavar="FILE",
        help="what they should sound like: one for all, or one for each --reference "
        "(default: what the voice was made of, if that is on this machine)",
    )
    judge.add_argument("--lines", type=Path, metavar="FILE", help="what to say, one sentence a line")
    judge.add_argument("--language", help="of the lines (default: UNDERSTUDY_ASR__LANGUAGE)")
    judge.add_argument("--out", type=Path, metavar="DIR", help="put WAV files there, one of them with all lines")


def read_text(file: Path) -> str:
    """A text file. Raises EngineFailed."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise EngineFailed(f"{file} cannot be read; it must be text in UTF-8.") from None


def _run(settings: EngineSettings, options: argparse.Namespace) -> int:
    language = options.language or settings.asr.language
    if options.lines is not None:
        lines = [line.strip() for line in read_text(options.lines).splitlines() if line.strip()]
    else:
        lines = list(evaluate.LINES.get(language, ()))
    if not lines:
        raise EngineFailed(f"Give a file of lines in {language} by --lines, one sentence a line.")
    voices = _voices(settings, options.reference)
    recordings = _recordings(settings, list(voices), options.recording)
    embed = _embed(settings, needed=bool(options.recording)) if recordings else None
    originals: dict[str, Samples] = {}
    if embed is not None:
        originals = {name: embed(*read_recording(file)) for name, file in recordings.items()}
    results = asyncio.run(_evaluated(settings, voices, lines, language, embed))
    table = Table(
        "line", "words that differ", "level, dB", "first sound, s", "time per second of sound, s", "similarity"
    )
    for row in evaluate.rows(results, originals):
        table.add_row(*row)
    show(table)
    if options.out is not None:
        print(f"Listen to the files in {evaluate.write(results, options.out)}.")
    return 0


def _embed(settings: EngineSettings, *, needed: bool) -> evaluate.Embed | None:
    """What tells speakers apart; without its weights None, with a word about it, unless it is needed."""
    try:
        return encoder(settings.weights.dir).embedding
    except WeightsError as error:
        if needed:
            raise
        print(error, file=sys.stderr)
        return None


def _voices(settings: EngineSettings, names: Sequence[str]) -> dict[str, EngineSettings]:
    """By name, the settings that choose each voice and no other."""
    tts = settings.tts.model_copy(update={"fallbacks": ()})
    if tts.engine != "fish_speech" or not names:
        return {tts.engine: settings.model_copy(update={"tts": tts})}
    for name in names:
        references.require_name(name)
    fish = {name: tts.fish_speech.model_copy(update={"reference": name}) for name in names}
    return {
        name: settings.model_copy(update={"tts": tts.model_copy(update={"fish_speech": one})})
        for name, one in fish.items()
    }


def _recordings(settings: EngineSettings, voices: Sequence[str], given: Sequence[Path]) -> dict[str, Path]:
    """What each voice should sound like, as far as that is known."""
    if len(given) == 1:
        return dict.fromkeys(voices, given[0])
    if given:
        if len(given) != len(voices):
            raise EngineFailed("Give one --recording, or as many as there are names after --reference.")
        return dict(zip(voices, given, strict=True))
    if settings.tts.engine == "pocket" and settings.tts.pocket.recording is not None:
        return dict.fromkeys(voices, settings.tts.pocket.recording)
    fish = settings.tts.fish_speech
    if settings.tts.engine != "fish_speech":
        return {}
    names = {voice: fish.reference if voice == settings.tts.engine else voice for voice in voices}
    seeded = {voice: fish.server.dir / "references" / f"{name}" / "sample.wav" for voice, name in names.items()}
    return {voice: file for voice, file in seeded.items() if file.is_file()}


async def _evaluated(
    settings: EngineSettings,
    voices: Mapping[str, EngineSettings],
    lines: Sequence[str],
    language: str,
    embed: evaluate.Embed | None,
) -> list[evaluate.Spoken]:
    asr = settings.asr.model_copy(update={"language": language})
    ears = registry.create("asr", settings.model_copy(update={"asr": asr}))
    try:
        makers = [(name, partial(_voice, chosen)) for name, chosen in voices.items()]
        return await evaluate.evaluate(makers, lines, ears, language=language, embed=embed)
    finally:
        await ears.aclose()


def _voice(settings: EngineSettings) -> SpeechSynthesizer:
    return registry.create("tts", settings)
