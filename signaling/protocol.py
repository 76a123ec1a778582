"""Every message that crosses a wire, version 1.

Two wires carry JSON objects told apart by `type`:

- the signaling WebSocket at /ws: a peer's first message is `join`; then `offer`, `answer`, `candidate` and `bye` are
  passed on between peers of one room;
- the WebRTC data channel named CHANNEL_LABEL, between one viewer or operator and the performer.

An offer comes from the viewer or operator and goes to the performer, which answers; each later offer re-negotiates.
Unknown types, unknown fields and oversized values are refused with BadMessage, never passed on.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from signaling.errors import BadMessage

PROTOCOL_VERSION = 1
CHANNEL_LABEL = "control"
MAX_MESSAGE_BYTES = 96 * 1024
"""Longest message on either wire; the largest real one is an SDP of about 8 KiB."""

Role = Literal["performer", "operator", "viewer"]
PeerId = Annotated[str, Field(pattern=r"^[a-z0-9]{8,32}$")]
Room = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Sdp = Annotated[str, Field(min_length=1, max_length=64 * 1024)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# -- signaling: client to service --------------------------------------------------------------------------------------


class Join(_Wire):
    """Enter a room. The role comes from the token, which is what the service believes."""

    type: Literal["join"] = "join"
    version: int
    room: Room
    token: Annotated[str, Field(min_length=1, max_length=512)]


# -- signaling: peer to peer through the service -----------------------------------------------------------------------
# A sender sets `to`; the service sets `sender` before it passes the message on.


class Offer(_Wire):
    type: Literal["offer"] = "offer"
    to: PeerId
    sender: PeerId | None = None
    sdp: Sdp


class Answer(_Wire):
    type: Literal["answer"] = "answer"
    to: PeerId
    sender: PeerId | None = None
    sdp: Sdp


class Candidate(_Wire):
    """One trickled ICE candidate; `candidate` is empty at the end of candidates."""

    type: Literal["candidate"] = "candidate"
    to: PeerId
    sender: PeerId | None = None
    candidate: Annotated[str, Field(max_length=1_024)]
    sdp_mid: Annotated[str | None, Field(max_length=64)] = None
    sdp_m_line_index: Annotated[int | None, Field(ge=0, le=64)] = None


class Bye(_Wire):
    """The sender closed its connection to `to`, or opened none; `reason` is a sentence for a person."""

    type: Literal["bye"] = "bye"
    to: PeerId
    sender: PeerId | None = None
    reason: Annotated[str | None, Field(min_length=1, max_length=512)] = None


# -- signaling: service to client --------------------------------------------------------------------------------------


class IceServer(_Wire):
    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class Peer(_Wire):
    peer_id: PeerId
    role: Role


class Welcome(_Wire):
    """The reply to `join`: who one is, who else is there, and how to reach them."""

    type: Literal["welcome"] = "welcome"
    version: int = PROTOCOL_VERSION
    peer_id: PeerId
    role: Role
    peers: tuple[Peer, ...]
    ice_servers: tuple[IceServer, ...]


class PeerJoined(_Wire):
    type: Literal["peer_joined"] = "peer_joined"
    peer: Peer


class PeerLeft(_Wire):
    type: Literal["peer_left"] = "peer_left"
    peer_id: PeerId


class Error(_Wire):
    """Something was refused; on the WebSocket `fatal` means that the service closes the connection."""

    type: Literal["error"] = "error"
    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=512)]
    fatal: bool = False


# -- data channel: viewer or operator to performer ---------------------------------------------------------------------


class Say(_Wire):
    """A line for the double to answer: typed, or spoken and understood on the sender's side.

    `speech_ended_ms` and `transcribed_ms` say how long before sending the speaker fell silent and the text was there.
    """

    type: Literal["say"] = "say"
    text: Text
    source: Literal["typed", "spoken"] = "typed"
    speech_ended_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    transcribed_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0


class Speak(_Wire):
    """Words that the double says exactly as they are; `answers` is the line that they answer. Operators only."""

    type: Literal["speak"] = "speak"
    text: Text
    answers: Text | None = None


class Draft(_Wire):
    """Think of an answer to `text` and send it as `drafted` instead of saying it. Operators only."""

    type: Literal["draft"] = "draft"
    text: Text


class Overheard(_Wire):
    """Somebody in the call said this, but not to the double: it is remembered, not answered. Operators only."""

    type: Literal["overheard"] = "overheard"
    text: Text


class Expect(_Wire):
    """Somebody is saying `text` and may go on: the double may think ahead. Operators only."""

    type: Literal["expect"] = "expect"
    text: Text


class Hold(_Wire):
    """Fall silent at once, but keep the answer: `resume` goes on with it, anything else ends it. Operators only.

    While it is held the state is `listening`; after 6 s it ends as interrupted. Ignored when nothing is being said.
    """

    type: Literal["hold"] = "hold"


class Resume(_Wire):
    """The interruption was false: go on with turn `turn_id`, from `samples` if these are still kept. Operators only."""

    type: Literal["resume"] = "resume"
    turn_id: Annotated[int, Field(ge=0)]
    samples: Annotated[int, Field(ge=0)]


class Exchange(_Wire):
    """A line and what the double answered."""

    asked: Text
    answered: Text


class Restore(_Wire):
    """The conversation so far, for a performer that began anew (`hello.turns` is 0). Operators only."""

    type: Literal["restore"] = "restore"
    exchanges: Annotated[tuple[Exchange, ...], Field(max_length=16)]
    summary: Text | None = None
    """What was said before them, as `remembered` told."""


class Interrupt(_Wire):
    """Stop at once and listen."""

    type: Literal["interrupt"] = "interrupt"


class Heard(_Wire):
    """How much of a turn's sound the listeners really heard, in samples at 48 kHz. Operators only.

    It counts for a turn that is held or was stopped: send it after `hold` or `interrupt`, before the next line.
    """

    type: Literal["heard"] = "heard"
    turn_id: Annotated[int, Field(ge=0)]
    samples: Annotated[int, Field(ge=0)]


class Microphone(_Wire):
    """Whether the sender's microphone track is to be listened to."""

    type: Literal["microphone"] = "microphone"
    on: bool


class Ping(_Wire):
    """Answered at once by `pong` with the same `id`."""

    type: Literal["ping"] = "ping"
    id: Annotated[int, Field(ge=0)]


# -- data channel: performer to viewer or operator ---------------------------------------------------------------------

ConversationState = Literal["listening", "thinking", "speaking"]


class Hello(_Wire):
    """First message after the channel opens; `turns` counts the answers since the performer's start."""

    type: Literal["hello"] = "hello"
    version: int = PROTOCOL_VERSION
    name: str
    state: ConversationState
    turns: int


class State(_Wire):
    type: Literal["state"] = "state"
    state: ConversationState
    turn_id: int


class UserText(_Wire):
    """What the double understood: a typed line, or speech (not `final` while the speaker goes on)."""

    type: Literal["user_text"] = "user_text"
    text: str
    final: bool
    source: Literal["typed", "spoken"]


class Caption(_Wire):
    """A clause, sent when its first sample is sent; `index` counts clauses of the turn.

    It begins at sample `start_samples` of the turn, which is played at `at_s` of the performer's time: the time that
    the sender reports of both tracks give (seconds since 1970, counted in media samples). After a `resume` the clause
    under way is sent again with its new place.
    """

    type: Literal["caption"] = "caption"
    turn_id: int
    index: int
    text: str
    duration_ms: int
    start_samples: int
    at_s: float


class Silence(_Wire):
    """The double was interrupted or held: from `at_s` of the performer's time on it is silent until it says more."""

    type: Literal["silence"] = "silence"
    at_s: float


class Drafted(_Wire):
    """The answer that the double would give to `answers`."""

    type: Literal["drafted"] = "drafted"
    answers: str
    text: str


class Remembered(_Wire):
    """What the double keeps of the exchanges that no longer fit, for a later `restore`. Sent to operators only."""

    type: Literal["remembered"] = "remembered"
    summary: Text


class EngineState(_Wire):
    """Who does a job: the engine in use, or the one that would be if it were well."""

    kind: Literal["llm", "tts", "face"]
    engine: Annotated[str, Field(max_length=64)]
    state: Literal["ok", "fallback", "down"]
    reason: Annotated[str | None, Field(pattern=r"^[a-z_]{1,32}$")] = None
    """Why it is not the first choice: failed, broke_off, too_slow, unavailable, internal_error."""


class Services(_Wire):
    """How well the double's engines are; sent after `hello` and whenever it changes."""

    type: Literal["services"] = "services"
    engines: Annotated[tuple[EngineState, ...], Field(max_length=8)]


class Notice(_Wire):
    """What whoever runs the double's machine tells everybody; empty when it no longer holds."""

    type: Literal["notice"] = "notice"
    text: Annotated[str, Field(max_length=512)]


class TurnEnded(_Wire):
    """A turn is over: what was really said, and when each stage did its first work.

    `moments_ms` counts from the end of the user's speech or from the arrival of the typed line; keys in the order of
    the pipeline are end_of_speech, transcript, first_token, first_clause, first_sample, first_picture, first_packet.
    A stage that was not reached is absent; speculative work can lie before zero.
    """

    type: Literal["turn_ended"] = "turn_ended"
    turn_id: int
    reason: Literal["finished", "interrupted", "failed"]
    text: str
    moments_ms: dict[str, float]


class Pong(_Wire):
    type: Literal["pong"] = "pong"
    id: int


# -- reading and writing -----------------------------------------------------------------------------------------------

FromPeer = Join | Offer | Answer | Candidate | Bye
FromService = Welcome | PeerJoined | PeerLeft | Offer | Answer | Candidate | Bye | Error
ToPerformer = Say | Speak | Draft | Overheard | Expect | Hold | Resume | Restore | Interrupt | Heard | Microphone | Ping
FromPerformer = (
    Hello | State | UserText | Caption | Silence | Drafted | Remembered | Notice | Services | TurnEnded | Error | Pong
)

FROM_PEER: TypeAdapter[FromPeer] = TypeAdapter(Annotated[FromPeer, Field(discriminator="type")])
FROM_SERVICE: TypeAdapter[FromService] = TypeAdapter(Annotated[FromService, Field(discriminator="type")])
TO_PERFORMER: TypeAdapter[ToPerformer] = TypeAdapter(Annotated[ToPerformer, Field(discriminator="type")])
FROM_PERFORMER: TypeAdapter[FromPerformer] = TypeAdapter(Annotated[FromPerformer, Field(discriminator="type")])


def parse(adapter: TypeAdapter[Any], data: str | bytes) -> Any:
    """Read one message of the given direction, or raise BadMessage with one sentence that says what is wrong."""
    if isinstance(data, str):
        data = data.encode(errors="replace")
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadMessage(f"The message is longer than {MAX_MESSAGE_BYTES} bytes.")
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "message"
        reason = f"{place[:64]}: {first['msg'][:256]}"  # both can quote the sender, and Error bounds its text
        raise BadMessage(f"The message is not understood: {reason}.") from None


def dump(message: BaseModel) -> str:
    """Write one message."""
    return message.model_dump_json(exclude_none=True)
