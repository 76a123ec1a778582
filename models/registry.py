"""The one place that chooses an engine: kind -> name in the settings -> the function that makes it."""

import sys
from importlib import import_module
from typing import Any, Literal, overload

from models.errors import EngineUnavailable
from models.interfaces import (
    EndOfTurnDetector,
    Face,
    LanguageModel,
    SpeechRecognizer,
    SpeechSynthesizer,
    VoiceActivityDetector,
)
from models.settings import EngineSettings, HearingSettings

Kind = Literal["vad", "turn", "asr", "llm", "tts", "face"]

ENGINES: dict[Kind, dict[str, str]] = {
    "vad": {"silero": "models.vad.silero:create", "energy": "models.vad.energy:create"},
    "turn": {"smart_turn": "models.turn.smart_turn:create", "always": "models.turn.always:create"},
    "asr": {"faster_whisper": "models.asr.faster_whisper:create", "scripted": "models.asr.scripted:create"},
    "llm": {
        "llama_cpp": "models.llm.llama_cpp:create",
        "openai": "models.llm.openai_server:create",
        "scripted": "models.llm.scripted:create",
    },
    "tts": {
        "kokoro": "models.tts.kokoro:create",
        "fish_speech": "models.tts.fish_speech:create",
        "pocket": "models.tts.pocket:create",
        "tone": "models.tts.tone:create",
    },
    "face": {
        "auto": "models.face.choice:create",
        "musetalk": "models.face.musetalk.create:create",
        "puppet": "models.face.puppet.face:create",
        "host": "models.face.host.face:create",
        "remote": "models.face.remote.face:create",
        "counter": "models.face.counter:create",
    },
}
"""Names are the Literals of models/settings.py; a module is imported when its engine is chosen, not before."""

EXTRAS = {"musetalk": "musetalk", "pocket": "pocket-tts"}
"""Engines whose packages are an extra of pyproject.toml, and its name."""


@overload
def create(kind: Literal["vad"], settings: HearingSettings) -> VoiceActivityDetector: ...
@overload
def create(kind: Literal["turn"], settings: HearingSettings) -> EndOfTurnDetector: ...
@overload
def create(kind: Literal["asr"], settings: HearingSettings) -> SpeechRecognizer: ...
@overload
def create(kind: Literal["llm"], settings: EngineSettings) -> LanguageModel: ...
@overload
def create(kind: Literal["tts"], settings: EngineSettings) -> SpeechSynthesizer: ...
@overload
def create(kind: Literal["face"], settings: EngineSettings) -> Face: ...
def create(kind: Kind, settings: HearingSettings) -> Any:
    """Make the engine of `kind` that `settings` choose; loading a model may take seconds.

    With fall-backs it is a chain of engines. Raises EngineUnavailable when the machine lacks what it needs and
    WeightsMissing when its files were not fetched.
    """
    section = getattr(settings, kind)
    if getattr(section, "fallbacks", ()):
        return import_module("models.chain.create").create(kind, settings)
    name: str = section.engine
    module, _, function = ENGINES[kind][name].partition(":")
    try:
        return getattr(import_module(module), function)(settings)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "models":
            raise
        how = (
            f"install it with `{sys.executable} -m pip install -e '.[{EXTRAS[name]}]'`"
            if name in EXTRAS
            else "install it"
        )
        raise EngineUnavailable(f"The {kind} engine {name} needs the Python package {package}; {how}.") from error
    except ImportError as error:
        raise EngineUnavailable(f"The {kind} engine {name} cannot be loaded: {error}.") from error
