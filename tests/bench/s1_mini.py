"""OpenAudio S1-mini behind Fish Speech's published code with random weights in the exact architecture.

Needs a checkout of the pinned commit (UNDERSTUDY_TTS__FISH_SPEECH__SERVER__CHECKOUT) and, in the environment that runs
the bench, its dependencies and torch; none of its code is here. S1_MINI_PARTS chooses from

- `model`, `compiled`: tokens a second, prefill and memory, kernel by kernel and compiled;
- `codec`: milliseconds to turn codes into sound, and a recording into codes;
- `server`, `server_compiled`: the real server, started as `python -m models.tts serve` does and driven by our client;
- `conduct`: what the real server answers to well and badly formed requests, compared with tests/fish_server.py.

The checkpoint of 3.6 GB is written to S1_MINI_DIR (default: build/s1_mini) and found there again. S1_MINI_TINY=1 takes
a model of a few megabytes, to try all this on a CPU; S1_MINI_ROUNDS says how often a clause is asked for (12). Random
weights never end a clause, so its length is given.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from models.errors import EngineUnavailable
from models.settings import FishSpeechSettings
from models.tts.environment import engine_settings
from tests.bench.s1_mini_checkpoint import FILES, tiny_checkout, write_checkpoint
from tests.bench.s1_mini_published import measure_codec, measure_model, rounded
from tests.bench.s1_mini_server import conduct_differences, measure_server, server_settings
from tests.bench.s1_mini_texts import CLAUSE, FIRST_CLAUSE, READ_ALOUD, words
from tests.bench.s1_mini_torchaudio import mend

PARTS: Final = ("model", "compiled", "codec", "server", "server_compiled", "conduct")


@dataclass(frozen=True, slots=True)
class Place:
    """What is measured and where its files are."""

    settings: FishSpeechSettings
    checkout: Path
    checkpoint: Path
    folder: Path
    tiny: bool


async def measure() -> dict[str, float]:
    parts = os.environ.get("S1_MINI_PARTS", ",".join(PARTS)).split(",")
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"S1_MINI_PARTS knows {', '.join(PARTS)}, not {', '.join(sorted(unknown))}.")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mend()
    place = _place()
    figures = _checkpoint(place, device)
    for part in parts:
        print(f"s1_mini: {part}", flush=True)
        compiled = part.endswith("compiled")
        served = server_settings(place.settings, place.checkout, place.checkpoint, place.folder, compiled=compiled)
        match part:
            case "model" | "compiled":
                figures |= measure_model(place.checkout, place.checkpoint, device, CLAUSE, words, compiled=compiled)
            case "codec":
                figures |= measure_codec(place.checkout, place.checkpoint, device)
            case "conduct":
                figures |= await conduct_differences(served)
            case _:
                figures |= await measure_server(part, served)
    return figures


def _place() -> Place:
    settings = engine_settings().tts.fish_speech
    if settings.server.checkout is None:
        raise EngineUnavailable("Set UNDERSTUDY_TTS__FISH_SPEECH__SERVER__CHECKOUT to a checkout of Fish Speech.")
    tiny = os.environ.get("S1_MINI_TINY") == "1"
    folder = Path(os.environ.get("S1_MINI_DIR", "build/s1_mini")).absolute()
    checkout = settings.server.checkout.expanduser().absolute()
    if tiny:
        checkout = tiny_checkout(checkout, folder / "fish-speech")
    return Place(settings, checkout, folder / ("tiny" if tiny else "full"), folder, tiny)


def _checkpoint(place: Place, device: torch.device) -> dict[str, float]:
    """Write it unless it is there; returns its sizes."""
    figures: dict[str, float] = {}
    if not all((place.checkpoint / name).is_file() for name in FILES):
        texts = (CLAUSE, FIRST_CLAUSE, READ_ALOUD)
        parameters = write_checkpoint(place.checkout, place.checkpoint, texts, device, tiny=place.tiny)
        figures["parameters_million"] = parameters / 1e6
    sizes = {f"{name}_gb": (place.checkpoint / f"{name}.pth").stat().st_size / 1e9 for name in ("model", "codec")}
    return rounded({**figures, **sizes})
