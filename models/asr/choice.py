"""Which Whisper runs where. Pure."""

from dataclasses import dataclass
from typing import Literal

from models.errors import EngineUnavailable
from models.settings import AsrSettings

GPU_MODEL = "whisper-large-v3-turbo"
CPU_MODEL = "whisper-base"
COMPUTE_TYPES = {"cuda": "int8_float16", "cpu": "int8"}


@dataclass(frozen=True, slots=True)
class Choice:
    model: str
    """A name of the catalog."""
    device: Literal["cpu", "cuda"]

    @property
    def compute_type(self) -> str:
        return COMPUTE_TYPES[self.device]


def choices(settings: AsrSettings, *, gpus: int) -> list[Choice]:
    """What to try, the best first; the rest is for missing weights and for a GPU whose libraries are not there.

    Raises EngineUnavailable when CUDA is asked for and there is none.
    """
    if settings.device == "cuda" and not gpus:
        raise EngineUnavailable("No CUDA device can be seen; set UNDERSTUDY_ASR__DEVICE to cpu or auto.")
    tried: list[Choice] = []
    if settings.device != "cpu" and gpus:
        models = (GPU_MODEL, CPU_MODEL) if settings.model == "auto" else (settings.model,)
        tried += [Choice(model, "cuda") for model in models]
    if settings.device != "cuda":
        tried.append(Choice(CPU_MODEL if settings.model == "auto" else settings.model, "cpu"))
    return tried
