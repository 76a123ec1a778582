"""What `python -m models.face serve` can be told; light, so that `--help` does not wait for a face."""

import argparse
from typing import Any

ENGINES = ("auto", "musetalk", "puppet", "host", "counter")


def add_serve(commands: "argparse._SubParsersAction[Any]") -> None:
    serve = commands.add_parser(
        "serve",
        help="draw the face for a performer in another process",
        description="Draw the face that the settings choose for a performer in another process or on another machine. "
        "The performer needs UNDERSTUDY_FACE__ENGINE=remote, UNDERSTUDY_FACE__URL, and the same UNDERSTUDY_FACE__KEY.",
    )
    serve.add_argument("--host", help="where it listens (default: that of UNDERSTUDY_FACE__URL, only this machine)")
    serve.add_argument("--port", type=int, help="(default: that of UNDERSTUDY_FACE__URL, 8003)")
    serve.add_argument(
        "--engine", choices=ENGINES, help="what to draw (default: UNDERSTUDY_FACE__ENGINE; auto where that is remote)"
    )
