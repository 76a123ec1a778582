"""What a machine will run, as far as it can be told before anything is installed. Standard library only.

A GPU brings the language model's server, the voice's and MuseTalk's face; without one the embedded engines do. What the
user set (UNDERSTUDY_LLM__ENGINE, …) stays; everything here fills in what was left open.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.console import SetupError

ASK_TIMEOUT_S: Final = 30
SERVICES: Final = ("language", "voice", "face")
SERVICES_VARIABLE: Final = "UNDERSTUDY_MACHINE__SERVICES"
LANGUAGE_MODEL_VARIABLE: Final = "UNDERSTUDY_SERVICES__LLM_MODEL"
LANGUAGE_MODEL: Final = "mamaylm-gemma-2-9b-it-v0.1"
VOICE_MODEL: Final = "openaudio-s1-mini"
FACE_MODEL: Final = "musetalk-1.5"
REFERENCE_VARIABLE: Final = "UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE"
HUB_VARIABLE: Final = "HF_TOKEN"


@dataclass(frozen=True, slots=True)
class Gpu:
    """What nvidia-smi tells of the first card and of its driver."""

    name: str
    memory_gib: float
    cuda: tuple[int, int]
    """The newest version of CUDA that the driver can run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is installed and fetched, and which settings the services get."""

    extras: tuple[str, ...]
    weights: tuple[str, ...]
    defaults: Mapping[str, str]
    """Settings for what the user left open."""
    gpu: Gpu | None = None
    voice_server: bool = False
    """Whether Fish Speech's server is set up here."""
    musetalk: bool = False
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each."""


def make_plan(environment: Mapping[str, str], gpu: Gpu | None, *, directory: Path, weights: Path) -> Plan:
    """Decide from the user's settings and the card; `directory` is the machine's, `weights` is where weights lie.

    Raises SetupError.
    """
    chosen = _services(environment, gpu)
    defaults: dict[str, str] = {}
    extras, models, notes = ["machine"], ["embedded"], []

    def want(name: str, value: str) -> str:
        return environment.get(name) or defaults.setdefault(name, value)

    if gpu is None:
        return Plan(tuple(extras), tuple(models), defaults)
    if "language" in chosen and want("UNDERSTUDY_LLM__ENGINE", "openai") == "openai":
        extras.append("llm-server")
        models.append(environment.get(LANGUAGE_MODEL_VARIABLE) or LANGUAGE_MODEL)
    voice = "voice" in chosen
    if voice and not environment.get("UNDERSTUDY_TTS__ENGINE"):
        recordings = _recordings(directory / "voice" / "references")
        reference = environment.get(REFERENCE_VARIABLE) or (recordings[0] if len(recordings) == 1 else "")
        voice, lacks = reference in recordings, ""
        if not voice:
            lacks = f"a recording in {directory / 'voice' / 'references' / (reference or 'NAME')}"
        elif not (environment.get(HUB_VARIABLE) or (weights / VOICE_MODEL).is_dir()):
            voice, lacks = False, f"{HUB_VARIABLE} of somebody who accepted the terms of {VOICE_MODEL}"
        if lacks:
            notes.append(f"The cloned voice needs {lacks}; until then the embedded voice speaks.")
        else:
            want(REFERENCE_VARIABLE, reference)
    voice = voice and want("UNDERSTUDY_TTS__ENGINE", "fish_speech") == "fish_speech"
    if voice:
        models.append(VOICE_MODEL)
        server = "UNDERSTUDY_TTS__FISH_SPEECH__SERVER"
        want(f"{server}__CHECKOUT", str(directory / "fish-speech"))
        want(f"{server}__CHECKPOINT", str(weights / VOICE_MODEL))
        want(f"{server}__DIR", str(directory / "voice"))
    musetalk = "face" in chosen and (environment.get("UNDERSTUDY_FACE__ENGINE") or "auto") in ("auto", "musetalk")
    if musetalk and (directory / "avatar").is_dir():
        want("UNDERSTUDY_FACE__AVATAR", str(directory / "avatar"))
    if musetalk and not (environment.get("UNDERSTUDY_FACE__AVATAR") or defaults.get("UNDERSTUDY_FACE__AVATAR")):
        musetalk = False  # its packages are gigabytes that nobody would use
        notes.append(
            f"There is no avatar yet, so the illustrated host performs; copy one that `make avatar` made to "
            f"{directory / 'avatar'} and start again."
        )
    if musetalk:
        extras.append("musetalk")
        models.append("musetalk")
    models.append("whisper-large-v3-turbo")
    return Plan(tuple(extras), tuple(models), defaults, gpu, voice, musetalk, tuple(notes))


def _recordings(folder: Path) -> list[str]:
    """Names of the voices whose recording and words are there, as Fish Speech's server keeps them."""
    return sorted(one.parent.name for one in folder.glob("*/sample.wav") if one.with_suffix(".lab").is_file())


def _services(environment: Mapping[str, str], gpu: Gpu | None) -> tuple[str, ...]:
    asked = environment.get(SERVICES_VARIABLE)
    if asked is None:
        return SERVICES if gpu else ()
    chosen = tuple(word.strip() for word in asked.split(",") if word.strip())
    for name in chosen:
        if name not in SERVICES:
            raise SetupError(f"{SERVICES_VARIABLE} names {name}; it is some of {', '.join(SERVICES)}, with commas.")
    if chosen and gpu is None:
        raise SetupError(
            f"{SERVICES_VARIABLE} asks for {', '.join(chosen)}, which need a GPU, and nvidia-smi shows none."
        )
    return chosen


def find_gpu() -> Gpu | None:
    """The first card, or None where nvidia-smi is missing or sees none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
    cards, status = _ask(*query), _ask()
    return read_gpu(cards, status) if cards and status else None


def read_gpu(cards: str, status: str) -> Gpu | None:
    """Read what `nvidia-smi --query-gpu=name,memory.total` and `nvidia-smi` print."""
    name, _, memory = (cards.splitlines() or [""])[0].rpartition(",")
    cuda = re.search(r"CUDA(?: UMD)? Version: *(\d+)\.(\d+)", status)
    try:
        memory_gib = float(memory) / 1024
    except ValueError:
        return None
    return Gpu(name.strip(), memory_gib, (int(cuda[1]), int(cuda[2])) if cuda else (0, 0))


def _ask(*options: str) -> str:
    try:
        done = subprocess.run(["nvidia-smi", *options], capture_output=True, text=True, timeout=ASK_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
