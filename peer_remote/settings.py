"""Settings of the performer: its own section, the persona, and one section per engine."""

import ipaddress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from models.interfaces import Message
from models.settings import EngineSettings, Section
from peer_remote.encoders import VideoCodec
from peer_remote.persona import Persona
from peer_remote.persona_file import read_persona
from peer_remote.ports import Ports, read_ports, read_public_ports
from peer_remote.services.settings import ServicesSettings
from signaling.pin import read_pin
from signaling.settings import StrictSettings


class RemoteSettings(Section):
    """Where the performer performs and how it sends."""

    signaling_url: str = "ws://127.0.0.1:8080/ws"
    signaling_pin: str | None = None
    """SHA-256 of the service's certificate, when no authority vouches for it; see `python -m signaling pin`."""
    room: str = "main"
    token: SecretStr | None = None
    """A performer's token for the room, as `python -m signaling token --role performer` prints it."""
    video_codec: VideoCodec | None = None
    """Forces a codec; by default the viewer's order counts, and browsers put VP8 first."""
    media_ports: Annotated[Ports, NoDecode] = ()
    """UDP ports for sound and picture, one per viewer: 40000,40001 or 40000-40002. Without them any free one is taken.
    They are bound on the machine's main network interface only."""
    public_address: str | None = None
    """The IP address by which viewers reach `media_ports`, where that is not the machine's own."""
    public_ports: Annotated[Ports, NoDecode] = ()
    """The public port of each of `media_ports`: 33526,33527 in their order, or 40000:33526,40001:33527. Without them
    the numbers are the same."""
    video_bitrate_kbps: int = Field(default=900, ge=200, le=8_000)
    lead_ms: int = Field(default=320, ge=80, le=400)
    """How far the stage runs ahead: more rides out longer stalls, and is thrown away at an interruption."""
    metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Serves Prometheus metrics on loopback; 0 means no."""
    notice_file: Path | None = None
    """A line in this file, as long as it is there, is told to everybody who is connected."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _read_ports(cls, data: Any) -> Any:
        if isinstance(data, dict):
            data = dict(data)
            if isinstance(text := data.get("media_ports"), str):
                data["media_ports"] = read_ports("UNDERSTUDY_REMOTE__MEDIA_PORTS", text)
            if isinstance(text := data.get("public_ports"), str):
                data["public_ports"] = read_public_ports(
                    "UNDERSTUDY_REMOTE__PUBLIC_PORTS", text, data.get("media_ports") or ()
                )
        return data

    @field_validator("signaling_pin")
    @classmethod
    def _is_a_pin(cls, pin: str | None) -> str | None:
        return read_pin(pin) if pin else None

    @field_validator("public_address")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if not (address := (address or "").strip()):
            return None
        try:
            return str(ipaddress.IPv4Address(address))
        except ValueError:
            raise ValueError(f"{address} is not an IP address such as 203.0.113.7") from None

    @model_validator(mode="after")
    def _ports_are_whole(self) -> Self:
        if self.public_address and not self.media_ports:
            raise ValueError("public_address needs media_ports, the ports that it leads to")
        if self.public_ports and not self.public_address:
            raise ValueError("public_ports needs public_address, the address that they belong to")
        if self.public_ports and len(self.public_ports) != len(self.media_ports):
            raise ValueError(
                f"public_ports must be as many as media_ports, {len(self.media_ports)}, not {len(self.public_ports)}"
            )
        return self


class PersonaSettings(Section):
    """Who the double is; `{name}` stands for the name in every text."""

    file: Path | None = None
    """A persona as one readable file, such as those in peer_remote/personas; what is set beside it wins over it."""
    notes_dir: Path | None = None
    """A folder of notes (.md, .txt); passages that fit what was asked are shown to the model. None means no."""
    name: str = "Alex"
    prompt: str = (
        "You are {name}, in a video call with friends and colleagues. {name} is warm and down to earth, works in a "
        "small design team, likes hiking, cooking and detective novels. Always speak as {name}, never as an assistant. "
        'Begin with a small opening like "Well," or "Sure," or "Oh," and add one or two short sentences, as people '
        "speak. If somebody asks whether you are real, human, a robot or an AI, say that you are {name}'s digital "
        "double."
    )
    examples: tuple[tuple[str, str], ...] = (
        ("Hi, nice to see you!", "Oh, hi! Nice to see you too."),
        ("Are you a real person?", "Well, I am {name}'s digital double."),
        ("What do you do in the evening?", "Well, I mostly read. It calms me down."),
        ("Are you an AI or a robot?", "Yes, I am {name}'s digital double. Ask me anything."),
        ("Could we talk on Friday?", "Sure, Friday works for me. What time?"),
        ("Which big city is on the Dnipro?", "Oh, that would be Kyiv."),
        ("How do I fall asleep faster?", "Well, no screens before bed. And I open the window."),
    )
    """Questions and answers that show the manner of speaking; a small model follows them better than any rule."""
    openings: tuple[str, ...] = tuple(
        "Oh, Well, Sure, Sure! Yes, No, Hi! Honestly, Hmm, Oh! Hello! Yes! Absolutely!".split()
    )
    """Spoken once after the start and kept, so that an answer that begins with one is heard without waiting for it."""

    trouble: str | None = Field(default=None, max_length=200)
    """Said when an answer breaks off; empty means to stay silent. None takes the file's, or the usual words: "Sorry, I
    lost my thread. Could you say that again?", in Ukrainian for a persona whose first language that is."""

    def persona(self) -> Persona:
        """The file's persona, changed by the settings that were given, or the settings' own. Raises PersonaError."""
        if self.file is None:
            return Persona(self.name, self.prompt, self.examples, self.openings, trouble=self.trouble)
        given: dict[str, Any] = {
            "about" if key == "prompt" else key: getattr(self, key)
            for key in ("name", "prompt", "examples", "openings", "trouble")
            if key in self.model_fields_set
        }
        return replace(read_persona(self.file), **given)

    def messages(self) -> tuple[Message, ...]:
        """What every conversation begins with. Raises PersonaError."""
        return self.persona().messages()


class Settings(StrictSettings, EngineSettings):
    """Settings of the program `python -m peer_remote`."""

    model_config = StrictSettings.model_config

    remote: RemoteSettings = RemoteSettings()
    persona: PersonaSettings = PersonaSettings()
    services: ServicesSettings = ServicesSettings()
