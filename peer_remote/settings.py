"""Settings of the performer: its own section, the persona, and one section per engine."""

from pydantic import Field, SecretStr

from models.settings import (
    AsrSettings,
    EngineSettings,
    FaceSettings,
    LlmSettings,
    Section,
    TtsSettings,
    TurnSettings,
    VadSettings,
    WeightsSettings,
)
from peer_remote.encoders import VideoCodec
from signaling.settings import StrictSettings


class RemoteSettings(Section):
    """Where the performer performs and how it sends."""

    signaling_url: str = "ws://127.0.0.1:8080/ws"
    room: str = "main"
    token: SecretStr | None = None
    """A performer's token for the room, as `python -m signaling token --role performer` prints it."""
    video_codec: VideoCodec | None = None
    """Forces a codec; by default the viewer's order counts, and browsers put VP8 first."""
    video_bitrate_kbps: int = Field(default=900, ge=200, le=8_000)
    lead_ms: int = Field(default=320, ge=80, le=400)
    """How far the stage runs ahead: more rides out longer stalls, and is thrown away at an interruption."""
    metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Serves Prometheus metrics on loopback; 0 means no."""
    log_level: str = "INFO"


class PersonaSettings(Section):
    """Who the double is."""

    name: str = "Alex"
    prompt: str = (
        "You are {name}, a warm and down-to-earth person in a video call. Answer in one to three short sentences of "
        "plain spoken English, without lists, code or emoji. Begin with a phrase of two to four words. Only if "
        "somebody asks whether you are real, say that you are {name}'s digital double."
    )

    def text(self) -> str:
        """The system prompt."""
        return self.prompt.replace("{name}", self.name)


class Settings(StrictSettings):
    remote: RemoteSettings = RemoteSettings()
    persona: PersonaSettings = PersonaSettings()
    weights: WeightsSettings = WeightsSettings()
    vad: VadSettings = VadSettings()
    turn: TurnSettings = TurnSettings()
    asr: AsrSettings = AsrSettings()
    llm: LlmSettings = LlmSettings()
    tts: TtsSettings = TtsSettings()
    face: FaceSettings = FaceSettings()

    def engines(self) -> EngineSettings:
        """The engines' sections alone."""
        return EngineSettings(
            weights=self.weights, vad=self.vad, turn=self.turn, asr=self.asr, llm=self.llm, tts=self.tts, face=self.face
        )
