"""Which engine does which job, and with what options. Defaults run on two CPU cores without a GPU."""

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightsSettings(Section):
    dir: Path = Field(default_factory=lambda: user_cache_path("understudy") / "weights")
    """Where weight files live, shared by every checkout."""


class VadSettings(Section):
    engine: Literal["silero", "energy"] = "silero"


class TurnSettings(Section):
    engine: Literal["smart_turn", "always"] = "smart_turn"


class AsrSettings(Section):
    engine: Literal["faster_whisper", "scripted"] = "faster_whisper"
    model: str = "auto"
    """A name of the catalog: whisper-base, whisper-tiny.en or whisper-large-v3-turbo; auto takes the last one on a GPU,
    if its weights are here, and whisper-base on the CPU."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    language: str = "en"
    """ISO 639-1 code, such as en or uk."""
    threads: int = Field(default=2, ge=1)


class LlmSettings(Section):
    engine: Literal["llama_cpp", "scripted"] = "llama_cpp"
    model: str = "qwen2.5-coder-1.5b-instruct"
    context_tokens: int = Field(default=4096, ge=512)
    threads: int = Field(default=2, ge=1)
    temperature: float = Field(default=0.7, ge=0, le=2)
    max_answer_tokens: int = Field(default=160, ge=16)


class TtsSettings(Section):
    engine: Literal["kokoro", "tone"] = "kokoro"
    voice: str = "af_heart"
    speed: float = Field(default=1.0, gt=0.5, lt=2.0)
    threads: int = Field(default=2, ge=1)


class MuseTalkSettings(Section):
    version: Literal["1.5", "1.0"] = "1.5"
    decoder: Literal["sd", "taesd"] = "sd"
    """What turns the network's output into a picture: the sharp one, or a small one that is several times faster."""
    eight_bits: bool = True
    """Let the sharp decoder compute in eight bits where a comparison on the avatar shows no difference."""
    compile: bool = True
    """Compile the networks in the background at the first start, which takes minutes; later starts take seconds."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("understudy") / "compiled")
    """Where compiled networks are kept."""


OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
"""An empty variable is as good as none."""


class FaceSettings(Section):
    engine: Literal["auto", "musetalk", "puppet", "host", "counter"] = "auto"
    """auto takes musetalk where there are a GPU and an avatar, else puppet where there is a photo, else host."""
    size_px: int = Field(default=512, ge=128, le=1080, multiple_of=16)
    """Width and height of the square picture; an avatar brings its own."""
    photo: OptionalPath = None
    """A photo of the user, which the puppet moves."""
    avatar: OptionalPath = None
    """A folder that `python -m models.face prepare` made."""
    musetalk: MuseTalkSettings = MuseTalkSettings()


class HearingSettings(Section):
    """The sections of the engines that listen. A program's settings inherit the sections of the engines it runs."""

    weights: WeightsSettings = WeightsSettings()
    vad: VadSettings = VadSettings()
    turn: TurnSettings = TurnSettings()
    asr: AsrSettings = AsrSettings()


class EngineSettings(HearingSettings):
    """One section per kind of engine."""

    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    face: FaceSettings = FaceSettings()
