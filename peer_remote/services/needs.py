"""What each engine needs of a GPU's memory, and what it would need if it were smaller. Pure.

A figure is measured, reported where others have looked at a running server, computed from the size of the weights and
of the cache, or estimated. All count a process's CUDA context, which takes some hundred megabytes.
"""

import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from models.settings import AsrSettings, EngineSettings, FaceSettings, FishSpeechSettings
from models.weights import Catalog

GIB: Final = 1 << 30

LLM_OVERHEAD_GIB: Final = 1.1
"""CUDA context and work buffers: what MamayLM 9B takes at 8,192 tokens (8.9 to 9.1 GiB) beyond weights and cache."""
S1_MINI_GIB: Final = 5.4
"""OpenAudio S1-mini with a recording of 10 to 20 s: 5.41 at rest on an H100 with random weights, compiled; others saw
4.9 to 5.1. While a recording is first read it takes up to 10 for a moment, where they are to be had."""
S1_MINI_LONG_REFERENCE_GIB: Final = 7.0
"""The same with recordings of 30 to 40 s."""
SHORT_REFERENCE_S: Final = 20.0
MUSETALK_SD_GIB: Final = 7.4
"""MuseTalk as published, 7.3 to 7.4; our own engine, which has the same weights, was not measured."""
MUSETALK_TAESD_GIB: Final = 4.5
"""Not measured: weights and context 2.5 GiB, and the work of the mouth network without that of the sharp decoder."""
WHISPER_TURBO_GIB: Final = 2.2
"""large-v3-turbo in int8 or fp16; others saw 1.2 to 2.2."""
WHISPER_SMALL_GIB: Final = 0.8
"""Not measured: whisper-base, which has a tenth of turbo's weights."""

Basis = Literal["measured", "reported", "computed", "estimated"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a language model decides the size of its cache."""

    layers: int
    kv_heads: int
    head_width: int

    def cache_gib(self, context_tokens: int) -> float:
        """Keys and values of all layers in 16 bits: the windows of Gemma are cached whole (llama.cpp's swa_full)."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_width * context_tokens / GIB


SHAPES: Final[Mapping[str, Shape]] = {
    "mamaylm-gemma-2-9b": Shape(42, 8, 256),
    "mamaylm-gemma-3-4b": Shape(34, 4, 256),
    "mamaylm-gemma-3-12b": Shape(48, 8, 256),
    "mamaylm-gemma-3-27b": Shape(62, 16, 128),
    "qwen2.5-coder-1.5b": Shape(28, 2, 128),
    "smollm2-135m": Shape(30, 3, 64),
}
"""By the beginning of a name of the catalog. Sources: Gemma 2 report (arXiv 2408.00118), table 1; config.json of the
Gemma 3, Qwen 2.5 and SmolLM2 models."""

SMALLER_LLMS: Final = ("mamaylm-gemma-2-9b-it-v0.1", "mamaylm-gemma-3-4b-it-v1.0")


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that makes an engine smaller."""

    setting: str
    gib: float
    """What the engine needs then."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one engine needs, in the process of the service that runs it."""

    service: str
    what: str
    gib: float
    basis: Basis
    changes: tuple[Change, ...] = ()


def llm_need(model: str, context_tokens: int, catalog: Catalog) -> Need:
    """Of the language model's server. Raises WeightsError for a name that is not in the catalog."""
    gib = _llm_gib(model, context_tokens, catalog)
    measured = model.startswith("mamaylm-gemma-2-9b") and context_tokens == 8192
    smaller = [(name, _llm_gib(name, context_tokens, catalog)) for name in SMALLER_LLMS]
    changes = tuple(Change(f"UNDERSTUDY_SERVICES__LLM_MODEL={name}", need) for name, need in smaller if need < gib)
    what = f"language model {model}, {context_tokens} tokens"
    return Need("llm", what, gib, "reported" if measured else "computed", changes)


def voice_need(settings: FishSpeechSettings) -> Need:
    """Of the voice's server, by the length of the recording where it lies on this machine."""
    length_s = reference_s(settings)
    if length_s is not None and length_s <= SHORT_REFERENCE_S:
        return Need("voice", "cloned voice, short recording", S1_MINI_GIB, "measured")
    shorter = Change(f"a recording of at most {SHORT_REFERENCE_S:.0f} s", S1_MINI_GIB)
    what = "cloned voice" if length_s is None else f"cloned voice, recording of {length_s:.0f} s"
    return Need("voice", what, S1_MINI_LONG_REFERENCE_GIB, "reported", (shorter,))


def reference_s(settings: FishSpeechSettings) -> float | None:
    """How long the recordings of the chosen voice are together; None when they are not here."""
    if settings.reference is None:
        return None
    total_s = 0.0
    for file in _recordings(settings.server.dir.expanduser() / "references" / settings.reference):
        try:
            with wave.open(str(file)) as recording:
                total_s += recording.getnframes() / recording.getframerate()
        except (OSError, EOFError, wave.Error, ZeroDivisionError):
            return None
    return total_s or None


def face_need(service: str, settings: FaceSettings, engine: str) -> Need | None:
    """Of MuseTalk, the only face that works on a GPU."""
    if engine != "musetalk" and not (engine == "auto" and settings.avatar is not None):
        return None
    if settings.musetalk.decoder == "taesd":
        return Need(service, "face, small decoder", MUSETALK_TAESD_GIB, "estimated")
    change = Change("UNDERSTUDY_FACE__MUSETALK__DECODER=taesd", MUSETALK_TAESD_GIB)
    return Need(service, "face", MUSETALK_SD_GIB, "reported", (change,))


def recognizer_need(service: str, settings: AsrSettings) -> Need | None:
    if settings.engine != "faster_whisper" or settings.device == "cpu":
        return None
    change = (Change("UNDERSTUDY_ASR__DEVICE=cpu", 0.0),)
    if settings.model in ("auto", "whisper-large-v3-turbo"):
        return Need(service, "recognizer, large-v3-turbo", WHISPER_TURBO_GIB, "reported", change)
    return Need(service, f"recognizer, {settings.model}", WHISPER_SMALL_GIB, "estimated", change)


def performer_needs(settings: EngineSettings) -> tuple[Need, ...]:
    """Of the engines that work in the performer's own process, fall-backs among them."""
    faces = [face_need("performer", face, face.engine) for face in (settings.face, *settings.face.fallbacks)]
    found = (recognizer_need("performer", settings.asr), next((need for need in faces if need is not None), None))
    return tuple(need for need in found if need is not None)


def _llm_gib(model: str, context_tokens: int, catalog: Catalog) -> float:
    weights_gib = catalog.model(model).expected_bytes / GIB
    shape = next((shape for name, shape in SHAPES.items() if model.startswith(name)), None)
    cache_gib = weights_gib / 2 if shape is None else shape.cache_gib(context_tokens)
    return weights_gib + cache_gib + LLM_OVERHEAD_GIB


def _recordings(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.wav")) if directory.is_dir() else []
