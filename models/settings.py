"""Which engine does which job, and with what options. Defaults run on two CPU cores without a GPU."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from platformdirs import user_cache_path, user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import NoDecode

from models.fallbacks import read_items, whole_sections


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _fits_a_header(key: SecretStr) -> SecretStr:
    if not all("!" <= character <= "~" for character in key.get_secret_value()):
        raise ValueError("a key is made of ASCII letters, digits and signs")
    return key


Key = Annotated[SecretStr, AfterValidator(_fits_a_header)]
"""What proves to a server who we are."""


class ChainSettings(Section):
    """An engine that others can stand in for (models/chain)."""

    @field_validator("fallbacks", mode="before", check_fields=False)
    @classmethod
    def _whole(cls, value: Any, info: ValidationInfo) -> tuple[Self, ...]:
        return whole_sections(cls, info.data, read_items(value))


OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
"""An empty variable is as good as none."""


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


class LlmSettings(ChainSettings):
    engine: Literal["llama_cpp", "openai", "scripted"] = "llama_cpp"
    """openai is any server that speaks OpenAI's chat completions: llama.cpp's, vLLM, Ollama, a hosted service."""
    model: str = "qwen2.5-coder-1.5b-instruct"
    """A name of the catalog, for the engine in this process."""
    lora: Path | None = None
    """A LoRA adapter as a GGUF file, for the engine in this process and for `python -m models.llm serve`."""
    context_tokens: int = Field(default=4096, ge=512)
    """At most what the server was started with."""
    threads: int = Field(default=2, ge=1)
    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    top_k: int = Field(default=40, ge=0)
    min_p: float = Field(default=0.05, ge=0, lt=1)
    repeat_penalty: float = Field(default=1.0, ge=1, le=2)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    stop: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(default=(), max_length=4)
    """Strings that end an answer; in the environment a JSON list."""
    url: str = Field(default="http://127.0.0.1:8001", pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$")
    """The server; without a path, /v1 below it."""
    key: Key | None = None
    """The server's key, which also `python -m models.llm serve` takes."""
    served_model: str = "auto"
    """The model's name on the server; auto takes the one that it lists first."""
    system_role: Literal["auto", "yes", "no"] = "auto"
    """Whether the server's model has a system role; without one the persona opens the first user turn."""
    prefill: bool = True
    """Send the conversation ahead, for the server's cache; a service that bills every request is better left alone."""
    start_wait_s: float = Field(default=20.0, ge=0, le=600)
    """How long a start waits for a server that does not answer yet."""
    connect_timeout_s: float = Field(default=3.0, gt=0, le=60)
    first_token_timeout_s: float = Field(default=15.0, gt=0, le=300)
    between_tokens_timeout_s: float = Field(default=5.0, gt=0, le=60)
    max_answer_tokens: int = Field(default=160, ge=16)
    longest_answer_s: float = Field(default=45.0, ge=0)
    """An answer ends with the clause that crosses this much sound; 0 lets it be as long as it is."""
    preemptive: bool = False
    """Begin to answer a line that sounds finished before it is certain that it is; for models that are fast."""
    patience_s: float = Field(default=4.0, gt=0, le=60)
    """How long a first token is waited for where there is another model to ask."""
    fallbacks: Annotated[tuple["LlmSettings", ...], NoDecode] = ()
    """Models that answer when this one does not, in order: names of engines, or objects of changes to this section; in
    the environment a JSON list, or names separated by commas."""


class FishServerSettings(Section):
    """How `python -m models.tts serve` starts Fish Speech's server here."""

    checkout: Path | None = None
    """Fish Speech at the commit that models/tts/fish_server_command.py names, with the environment that uv made."""
    python: Path | None = None
    """The interpreter of its environment; without it, the one in `.venv` of the checkout."""
    checkpoint: Path | None = None
    """The folder with model.pth and codec.pth; without it, checkpoints/openaudio-s1-mini in the checkout."""
    dir: Path = Field(default_factory=lambda: user_data_path("understudy") / "voice")
    """Where the server runs: the recordings of the voices are in `references` below it."""
    compile: bool = True
    """Without it even a large GPU is slower than speech; it makes the start take a minute more."""
    half: bool = False
    """Compute in float16, for GPUs that lack bfloat16."""


class FishSpeechSettings(Section):
    """OpenAudio S1-mini, the cloned voice, behind Fish Speech's server."""

    url: str = Field(default="http://127.0.0.1:8002", pattern=r"^https?://[^\s/?#@]+/?$")
    key: Key | None = None
    """The key that the server was started with, which `python -m models.tts serve` takes as well."""
    reference: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    """The voice: a name that `python -m models.tts references add` gave to a recording."""
    emotions: bool = True
    """Send markers such as (laughing) to the model; without it all are left out."""
    temperature: float = Field(default=0.7, ge=0.1, le=1)
    top_p: float = Field(default=0.8, ge=0.1, le=1)
    repetition_penalty: float = Field(default=1.1, ge=0.9, le=2)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    start_wait_s: float = Field(default=20.0, ge=0, le=600)
    """How long a start waits for a server that does not listen yet."""
    connect_timeout_s: float = Field(default=3.0, gt=0, le=60)
    first_sound_timeout_s: float = Field(default=20.0, gt=0, le=120)
    stall_timeout_s: float = Field(default=5.0, gt=0, le=60)
    """The longest pause between two parts of a clause's sound."""
    drain_timeout_s: float = Field(default=15.0, ge=0, le=120)
    """How long a clause that nobody wants any more is left to the server, which cannot stop it."""
    server: FishServerSettings = FishServerSettings()


class PocketSettings(Section):
    """Kyutai's pocket-tts, a cloned voice on the CPU; not in Ukrainian."""

    model: str = "english"
    """One of the package's own models (english, french, german, italian, spanish, portuguese, dutch, …), or the path of
    a configuration that ends in .yaml."""
    recording: OptionalPath = None
    """10-20 s of the voice, any sound file."""


class TtsSettings(ChainSettings):
    engine: Literal["kokoro", "fish_speech", "pocket", "tone"] = "kokoro"
    language: Literal["auto", "en", "uk"] = "auto"
    """What Kokoro speaks; auto takes for each clause the language that its letters are of."""
    voice: str = "af_heart"
    """One of Kokoro's voices."""
    voice_uk: str | None = None
    """The voice for Ukrainian; without it the clearest one that is female or male as `voice` is."""
    match: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    """Kokoro's voices and how they are shifted, by the name that `python -m models.tts match` gave to a recording."""
    match_dir: Path = Field(default_factory=lambda: user_data_path("understudy") / "matches")
    """Where the matches are."""
    speed: float = Field(default=1.0, gt=0.5, lt=2.0)
    threads: int = Field(default=2, ge=1)
    fish_speech: FishSpeechSettings = FishSpeechSettings()
    pocket: PocketSettings = PocketSettings()
    patience_s: float = Field(default=5.0, gt=0, le=60)
    """How long sound is waited for where there is another voice to speak."""
    fallbacks: Annotated[tuple["TtsSettings", ...], NoDecode] = ()
    """Voices that speak when this one does not, as the fall-backs of the language model."""


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


class FaceSettings(ChainSettings):
    engine: Literal["auto", "musetalk", "puppet", "host", "remote", "counter"] = "auto"
    """auto takes musetalk where there are a GPU and an avatar, else puppet where there is a photo, else host. remote is
    the face that `python -m models.face serve` draws in another process or on another machine."""
    size_px: int = Field(default=512, ge=128, le=1080, multiple_of=16)
    """Width and height of the square picture; an avatar brings its own."""
    photo: OptionalPath = None
    """A photo of the user, which the puppet moves."""
    avatar: OptionalPath = None
    """A folder that `python -m models.face prepare` made."""
    musetalk: MuseTalkSettings = MuseTalkSettings()
    url: str = Field(default="http://127.0.0.1:8003", pattern=r"^https?://[^\s/?#@]+/?$")
    """The service of the engine remote, and where `python -m models.face serve` listens."""
    key: Key | None = None
    """The service's key, for both."""
    start_wait_s: float = Field(default=30.0, ge=0, le=600)
    """How long a start waits for a service that does not draw yet."""
    connect_timeout_s: float = Field(default=3.0, gt=0, le=60)
    picture_timeout_s: float = Field(default=2.0, gt=0, le=60)
    """The longest that the service may take for a picture that it has all sound for."""
    patience_s: float = Field(default=2.0, gt=0, le=60)
    """How long a picture is waited for where there is another face to show."""
    fallbacks: Annotated[tuple["FaceSettings", ...], NoDecode] = ()
    """Faces that are shown when this one is not, as the fall-backs of the language model."""


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
