"""`python -m tests.bench NAME [--json FILE]`: run one bench; the exit status is 1 when its budget is missed."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.report import report

BENCHES = (
    "avsync",
    "bargein",
    "deploy",
    "face_service",
    "impaired",
    "interrupt",
    "mind",
    "musetalk",
    "puppet",
    "reconnect",
    "s1_mini",
    "speech",
    "steady",
    "takeover",
    "turn",
    "ukrainian",
    "voice",
    "wer",
)
"""Modules of this package with a coroutine `measure`; only the one that runs is imported, and what it needs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("bench", choices=BENCHES, nargs="?", help="without a name, print the names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON object here")
    options = parser.parse_args()
    if options.bench is None:
        print("\n".join(BENCHES))
        return 0
    measure: Callable[[], Coroutine[Any, Any, dict[str, float]]] = import_module(f"tests.bench.{options.bench}").measure
    figures = asyncio.run(measure())
    return 0 if report(options.bench, figures, json_file=options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
