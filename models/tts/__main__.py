"""`python -m models.tts`: the recordings of a voice, what is made of them, and the server that speaks with it."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from models import registry
from models.errors import EngineFailed, ModelError
from models.settings import EngineSettings
from models.tts import evaluate_command, fish_server_command, match_command, references
from models.tts.environment import engine_settings
from models.tts.evaluate_command import read_text
from models.tts.serve import serve
from models.tts.tables import show_findings

_STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 with one sentence on standard error when something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        settings = engine_settings()
        if options.command == "serve":
            return _serve(settings, print_command=options.print_command)
        return int(options.run(settings, options))
    except ModelError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return _STOPPED
    return 1


def _serve(settings: EngineSettings, *, print_command: bool) -> int:
    fish = settings.tts.fish_speech
    command = fish_server_command.command(fish)
    if print_command:
        print(fish_server_command.shown(command, fish))
        return 0
    environment = fish_server_command.environment(fish)
    fish_server_command.require_installed(fish)
    say = partial(print, file=sys.stderr, flush=True)
    say(fish_server_command.LICENCE)
    return asyncio.run(serve(command, environment, fish, say=say))


def _add(settings: EngineSettings, options: argparse.Namespace) -> int:
    text = options.text
    if options.text_file is not None:
        text = read_text(options.text_file)
    language = options.language or settings.asr.language
    asr = settings.asr.model_copy(update={"language": language})
    hearing = settings.model_copy(update={"asr": asr})
    reference = asyncio.run(
        references.examine(
            options.name,
            options.recording,
            text,
            language=language,
            recognizer=lambda: registry.create("asr", hearing),
        )
    )
    show_findings(reference.findings)
    if text is None:
        print(f"Heard: {reference.text}")
    if options.check:
        return 0 if reference.usable else 1
    if not reference.usable and not options.force:
        raise EngineFailed("The recording was not added; mend what is bad, or insist with --force.")
    if options.seed_dir is not None:
        print(f"{options.name} is in {references.seed(reference, options.seed_dir)}.")
        return 0
    asyncio.run(references.add(reference, settings.tts.fish_speech))
    print(f"{options.name} is on the server; choose it by UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE={options.name}.")
    return 0


def _list(settings: EngineSettings, options: argparse.Namespace) -> int:
    if options.seed_dir is not None:
        found = references.seeded_names(options.seed_dir)
    else:
        found = asyncio.run(references.names(settings.tts.fish_speech))
    for name in found:
        print(f"{name}{' (chosen)' if name == settings.tts.fish_speech.reference else ''}")
    if not found:
        print("There is no voice yet; add one: `python -m models.tts references add NAME RECORDING`.")
    return 0


def _remove(settings: EngineSettings, options: argparse.Namespace) -> int:
    if options.seed_dir is not None:
        references.remove_seed(options.name, options.seed_dir)
    else:
        asyncio.run(references.remove(options.name, settings.tts.fish_speech))
    print(f"{options.name} is removed.")
    return 0


def _preview(settings: EngineSettings, options: argparse.Namespace) -> int:
    wav = asyncio.run(references.preview(options.name, options.text, settings.tts.fish_speech))
    out = options.out or Path(f"{options.name}.wav")
    try:
        out.write_bytes(wav)
    except OSError as error:
        raise EngineFailed(f"{out} cannot be written: {error.strerror}.") from None
    print(f"Listen to {out}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.tts", description="The user's voice: cloned, or matched without a GPU."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{references,serve,evaluate,match}")
    voices = commands.add_parser("references", help="the recordings that voices are made of")
    actions = voices.add_subparsers(dest="action", required=True, metavar="{add,list,remove,preview}")
    add = actions.add_parser(
        "add", help="check a recording and give it to the server", epilog=fish_server_command.LICENCE
    )
    add.set_defaults(run=_add)
    add.add_argument("name", metavar="NAME", help="letters, digits, hyphens and underscores")
    add.add_argument("recording", type=Path, metavar="RECORDING", help="10-20 s of one person speaking")
    words = add.add_mutually_exclusive_group()
    words.add_argument("--text", help="what is said, word for word; without it our own recognizer writes it down")
    words.add_argument("--text-file", type=Path, metavar="FILE", help="a file with what is said")
    add.add_argument("--language", help="that it is said in (default: UNDERSTUDY_ASR__LANGUAGE)")
    add.add_argument("--check", action="store_true", help="only judge it")
    add.add_argument("--force", action="store_true", help="take a recording that was judged bad")
    listing = actions.add_parser("list", help="the voices that the server knows")
    listing.set_defaults(run=_list)
    remove = actions.add_parser("remove", help="let the server forget a voice")
    remove.set_defaults(run=_remove)
    remove.add_argument("name", metavar="NAME")
    for action in (add, listing, remove):
        action.add_argument(
            "--seed-dir", type=Path, metavar="DIR", help="work on files for a server that will be started in DIR"
        )
    preview = actions.add_parser("preview", help="write a WAV file of a voice")
    preview.set_defaults(run=_preview)
    preview.add_argument("name", metavar="NAME")
    preview.add_argument("--text", default=references.PREVIEW_TEXT, help="what to say")
    preview.add_argument("--out", type=Path, metavar="FILE", help="(default: NAME.wav)")
    start = commands.add_parser(
        "serve",
        help="start Fish Speech's server on this machine",
        description="Start Fish Speech's server on this machine and say when it is ready.",
        epilog=fish_server_command.LICENCE,
    )
    start.add_argument("--print-command", action="store_true", help="show what would be run, without the key")
    evaluate_command.add_to(commands)
    match_command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
