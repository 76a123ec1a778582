"""Settings of the laptop's side: its own sections and those of the engines that listen."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from models.settings import HearingSettings, Section
from peer_local.interfaces import Who
from signaling.connection_string import ConnectionString
from signaling.pin import read_pin
from signaling.protocol import Room
from signaling.settings import SettingsError, StrictSettings

Mode = Literal["converse", "repeat", "approve", "addressed"]
"""Who decides what the double says; see peer_local/listening/modes.py."""
StandIn = Literal["webcam", "card", "freeze"]
"""What the camera shows while there is no live picture."""
Names = Annotated[tuple[str, ...], NoDecode]
"""In the environment: separated by commas."""


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


DEPLOYED = ".env.deployed"
"""Where `make deploy-gpu` writes how the double is reached; what .env says wins over it."""


def _plain(value: Any) -> str | None:
    """A setting as text, secret or not; None for one that is not there."""
    return value.get_secret_value() if isinstance(value, SecretStr) else None if value is None else str(value).strip()


class LocalSettings(Section):
    """Whom to connect to, and how to behave in the call."""

    connection: SecretStr | None = None
    """Where the double performs and what lets you in, in one line: understudy://… as the deployment prints it. It takes
    the place of signaling_url, signaling_pin, room and token."""
    signaling_url: str = "ws://127.0.0.1:8080/ws"
    signaling_pin: str | None = None
    """SHA-256 of the service's certificate, when no authority vouches for it; see `python -m signaling pin`."""
    room: Room = "main"
    token: SecretStr | None = None
    """An operator's token for the room, as `python -m signaling token --role operator` prints it."""
    mode: Mode = "converse"
    names: Names = ()
    """Further names that the double answers to in mode `addressed`, besides its persona's name."""
    duplex: Literal["full", "half"] = "full"
    """full: the double can be interrupted while it speaks; half: its ears are closed meanwhile."""
    on_air: Who = "double"
    """Who is seen and heard at the start."""
    kill_to: Literal["self", "nobody"] = "nobody"
    """Whom the kill switch puts on air."""
    control_port: int = Field(default=8765, ge=0, le=65_535)
    """Commands are taken on this port of this machine's loopback; 0 means no."""
    view: Literal["auto", "screen", "log"] = "auto"
    """A screen of figures and captions, or plain log lines; auto takes the screen in a terminal."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    _split_names = field_validator("names", mode="before")(_split)

    @field_validator("signaling_pin")
    @classmethod
    def _is_a_pin(cls, pin: str | None) -> str | None:
        return read_pin(pin) if pin else None

    @model_validator(mode="before")
    @classmethod
    def _as_the_connection_says(cls, data: Any) -> Any:
        """Fill in what the connection string carries; refuse what says something else beside it."""
        text = _plain(data.get("connection")) if isinstance(data, dict) else None
        if not text:
            return {**data, "connection": None} if isinstance(data, dict) else data
        try:
            connection = ConnectionString.parse(text)
        except ValueError as error:
            raise SettingsError(f"UNDERSTUDY_LOCAL__CONNECTION: {error}.") from None
        said: dict[str, str | None] = {
            "signaling_url": connection.socket_url,
            "signaling_pin": connection.pin,
            "room": connection.room,
            "token": connection.token,
        }
        for key, value in said.items():
            if (other := _plain(data.get(key))) and other != value:
                raise SettingsError(
                    f"UNDERSTUDY_LOCAL__{key.upper()} contradicts UNDERSTUDY_LOCAL__CONNECTION, which is also set, "
                    f"perhaps in {DEPLOYED}; remove one of the two."
                )
        return {**data, **said, "connection": str(connection)}


class CameraSettings(Section):
    """The virtual camera. Its size and rate never change while it lives: call applications keep what they saw first."""

    kind: Literal["auto", "virtual", "none"] = "auto"
    """auto takes a virtual camera if the machine has one and goes on without if not."""
    device: str | None = None
    """Linux: /dev/videoN of v4l2loopback; elsewhere the only virtual camera is taken."""
    width_px: int = Field(default=1280, ge=160, le=1920, multiple_of=2)
    height_px: int = Field(default=720, ge=120, le=1080, multiple_of=2)
    fps: int = Field(default=30, ge=10, le=60)
    fit: Literal["letterbox", "crop"] = "letterbox"
    stand_in: Annotated[tuple[StandIn, ...], NoDecode] = ("webcam", "card", "freeze")
    """What to show without a live picture: the first of these that can be shown."""
    webcam: str | None = None
    """The real webcam, by number or device name; it stays open, so that it can take over at once."""
    card_text: str = Field(default="Back in a moment", max_length=60)

    _split_stand_in = field_validator("stand_in", mode="before")(_split)


class MicrophoneSettings(Section):
    """The virtual microphone, and the real one that can take over."""

    kind: Literal["auto", "virtual", "none"] = "auto"
    """auto takes a virtual cable if the machine has one and goes on without if not."""
    device: str | None = None
    """Name, or part of it, of the output that the cable's other end turns into a microphone."""
    latency_ms: int = Field(default=40, ge=10, le=200)
    """What the device is asked to buffer: more rides out a busy machine, and delays every word."""
    real: str | None = None
    """The real microphone for the takeover, by name or part of it; `default` is the system's own."""


class EarsSettings(Section):
    """What the double hears."""

    source: Literal["call", "microphone", "file", "none"] = "call"
    """call: the other participants, as this machine plays them; microphone: who sits here; file: `file`."""
    device: str | None = None
    """Name, or part of it, of the output whose sound is the call's, or of the microphone; default: the system's own."""
    file: Path | None = None
    """A WAV file, or any other that holds sound."""
    echo_cancellation: bool = True


class PlayoutSettings(Section):
    """The jitter buffer between the network and the devices."""

    lowest_ms: int = Field(default=40, ge=20, le=200)
    highest_ms: int = Field(default=200, ge=40, le=500)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lowest_ms > self.highest_ms:
            raise ValueError(f"lowest_ms, {self.lowest_ms}, must not be above highest_ms, {self.highest_ms}")
        return self


class RecorderSettings(Section):
    file: Path | None = None
    """Records what goes on air to this MP4 file, from the start."""


class Settings(StrictSettings, HearingSettings):
    """Settings of the program `python -m peer_local`."""

    model_config = StrictSettings.model_config | SettingsConfigDict(env_file=(DEPLOYED, ".env"))

    local: LocalSettings = LocalSettings()
    camera: CameraSettings = CameraSettings()
    microphone: MicrophoneSettings = MicrophoneSettings()
    ears: EarsSettings = EarsSettings()
    playout: PlayoutSettings = PlayoutSettings()
    recorder: RecorderSettings = RecorderSettings()

    @model_validator(mode="after")
    def _somebody_is_on_air(self) -> Self:
        if self.local.on_air == "self" and self.camera.webcam is None and self.microphone.real is None:
            raise SettingsError(
                "UNDERSTUDY_LOCAL__ON_AIR is self, but neither your microphone nor your webcam is named; set "
                "UNDERSTUDY_MICROPHONE__REAL=default, or UNDERSTUDY_CAMERA__WEBCAM=0, or both."
            )
        return self
