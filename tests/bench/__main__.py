"""`python -m tests.bench NAME [--json FILE]`: run one bench; the exit status is 1 when its budget is missed."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.bench import avsync, bargein, impaired, interrupt, reconnect, speech, steady, takeover, turn, wer
from tests.bench.report import report

BENCHES: dict[str, Callable[[], Coroutine[Any, Any, dict[str, float]]]] = {
    "turn": turn.measure,
    "interrupt": interrupt.measure,
    "steady": steady.measure,
    "avsync": avsync.measure,
    "impaired": impaired.measure,
    "speech": speech.measure,
    "bargein": bargein.measure,
    "takeover": takeover.measure,
    "reconnect": reconnect.measure,
    "wer": wer.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("bench", choices=sorted(BENCHES), nargs="?", help="without a name, print the names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the JSON object here")
    options = parser.parse_args()
    if options.bench is None:
        print("\n".join(sorted(BENCHES)))
        return 0
    figures = asyncio.run(BENCHES[options.bench]())
    return 0 if report(options.bench, figures, json_file=options.json) else 1


if __name__ == "__main__":
    sys.exit(main())
