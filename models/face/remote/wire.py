"""What a performer and the service of a face say to each other; pure, without any I/O.

    performer                                              service
       Hello ───────────────────────────────────────────►          first of all, once
             ◄────────────────────────────────── Welcome           or Refused, and the end
       Idle(request, position) ──────────────────────────►
             ◄──────────── IdlePicture(request, position)          or IdleFailed
       Speak, Sound…, End ───────────────────────────────►         one answer; sound only as far as More allows
       Ask(answer, index, upto, position) ───────────────►         what may be drawn, and for when
             ◄─────── SpokenPicture(answer, index, position)
             ◄──────────────────────────────────────── More        the face has begun with a piece of sound
             ◄──────────────────────────────────────── Done        or AnswerFailed
       Cancel(answer, position) ─────────────────────────►         nobody wants the rest

Each message is one binary frame of a WebSocket: a byte that names its kind, its numbers in little endian, and what is
left is its body. `Hello` and `Refused` are the same in every version, so that two versions can tell each other apart.
Positions count beats of the media clock, as in models/interfaces.py.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from models.interfaces import SPEECH_RATE_HZ, Phoneme, Speech

VERSION: Final = 1
LONGEST_SPEECH_SAMPLES: Final = 60 * SPEECH_RATE_HZ
"""Of one piece; the longest clause of any voice lasts 48 s."""
MOST_PHONEMES: Final = 8_192
MAX_TO_SERVICE_BYTES: Final = 4 * LONGEST_SPEECH_SAMPLES + (1 << 20)
MAX_TO_PERFORMER_BYTES: Final = 4 << 20
"""A picture of 1920x1080 px has at most 3.1 MB uncompressed."""
_LONGEST_SENTENCE_BYTES: Final = 1_024
_CLIENT_BYTES: Final = 16


class MalformedMessage(Exception):
    """A frame that is no message of this protocol."""


@dataclass(frozen=True, slots=True)
class Hello:
    version: int
    client: bytes
    """Sixteen bytes that a performer keeps while it runs: it takes the place of a connection of its own that broke."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The connection ends with this sentence."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Welcome:
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Idle:
    """Draw the silent face. Requests are drawn in their order."""

    request: int
    position: int


@dataclass(frozen=True, slots=True)
class Speak:
    """An answer begins; there is one at a time."""

    answer: int


@dataclass(frozen=True, slots=True)
class Sound:
    """The next piece of the answer. One piece may wait until the face takes it, which More tells."""

    answer: int
    speech: Speech


@dataclass(frozen=True, slots=True)
class End:
    """All of the answer's sound has been sent."""

    answer: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Draw pictures before number `upto`; number `index`, the next that is handed out, is shown at `position`."""

    answer: int
    index: int
    upto: int
    position: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop drawing; what comes next is shown at `position`."""

    answer: int
    position: int


@dataclass(frozen=True, slots=True)
class IdlePicture:
    request: int
    position: int
    data: bytes
    """As picture.py compresses it."""


@dataclass(frozen=True, slots=True)
class SpokenPicture:
    answer: int
    index: int
    position: int
    """The beat that it was drawn for."""
    data: bytes


@dataclass(frozen=True, slots=True)
class More:
    answer: int


@dataclass(frozen=True, slots=True)
class Done:
    """The answer has no further picture."""

    answer: int


@dataclass(frozen=True, slots=True)
class IdleFailed:
    request: int
    sentence: str


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    answer: int
    sentence: str


FromPerformer = Hello | Idle | Speak | Sound | End | Ask | Cancel
FromService = Refused | Welcome | IdlePicture | SpokenPicture | More | Done | IdleFailed | AnswerFailed
Message = FromPerformer | FromService


def _sound_bytes(speech: Speech) -> bytes:
    """Count of phonemes; of each its edges, the length of its symbol and the symbol; then float32 samples."""
    if len(speech.samples) > LONGEST_SPEECH_SAMPLES or len(speech.phonemes) > MOST_PHONEMES:
        raise ValueError("the piece of speech is too long")
    parts = [struct.pack("<I", len(speech.phonemes))]
    for phoneme in speech.phonemes:
        symbol = phoneme.symbol.encode()
        parts += (struct.pack("<IIB", phoneme.start_samples, phoneme.end_samples, len(symbol)), symbol)
    parts.append(np.ascontiguousarray(speech.samples, "<f4").tobytes())
    return b"".join(parts)


def _sound(body: bytes) -> Speech:
    (count,) = struct.unpack_from("<I", body)
    if count > MOST_PHONEMES:
        raise MalformedMessage("a piece of speech has too many phonemes")
    at, phonemes = 4, []
    for _ in range(count):
        start, end, length = struct.unpack_from("<IIB", body, at)
        at += 9
        phonemes.append(Phoneme(body[at : at + length].decode(), start, end))
        at += length
    samples = np.frombuffer(body, "<f4", offset=at).astype(np.float32)
    if len(samples) > LONGEST_SPEECH_SAMPLES:
        raise MalformedMessage("a piece of speech is too long")
    if not np.isfinite(samples).all():
        raise MalformedMessage("a piece of speech is no sound")
    if any(not phoneme.start_samples <= phoneme.end_samples <= LONGEST_SPEECH_SAMPLES for phoneme in phonemes):
        raise MalformedMessage("a phoneme ends before it begins")
    return Speech(samples, tuple(phonemes))


def _client(body: bytes) -> bytes:
    if len(body) != _CLIENT_BYTES:
        raise MalformedMessage("a performer's number has sixteen bytes")
    return body


def _sentence_bytes(sentence: str) -> bytes:
    return sentence.encode()[:_LONGEST_SENTENCE_BYTES]


def _sentence(body: bytes) -> str:
    return _sentence_bytes(body.decode(errors="replace")).decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class _Body:
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


_SENTENCE = _Body(_sentence_bytes, _sentence)
_BYTES = _Body(bytes, bytes)


@dataclass(frozen=True, slots=True)
class _Layout:
    type: Any
    """One of Message's classes."""
    numbers: struct.Struct
    body: _Body | None = None


_LAYOUTS: Final[dict[int, _Layout]] = {
    1: _Layout(Hello, struct.Struct("<H"), _Body(bytes, _client)),
    2: _Layout(Refused, struct.Struct("<"), _SENTENCE),
    3: _Layout(Welcome, struct.Struct("<HH")),
    10: _Layout(Idle, struct.Struct("<Iq")),
    11: _Layout(Speak, struct.Struct("<I")),
    12: _Layout(Sound, struct.Struct("<I"), _Body(_sound_bytes, _sound)),
    13: _Layout(End, struct.Struct("<I")),
    14: _Layout(Ask, struct.Struct("<IIIq")),
    15: _Layout(Cancel, struct.Struct("<Iq")),
    20: _Layout(IdlePicture, struct.Struct("<Iq"), _BYTES),
    21: _Layout(SpokenPicture, struct.Struct("<IIq"), _BYTES),
    22: _Layout(More, struct.Struct("<I")),
    23: _Layout(Done, struct.Struct("<I")),
    24: _Layout(IdleFailed, struct.Struct("<I"), _SENTENCE),
    25: _Layout(AnswerFailed, struct.Struct("<I"), _SENTENCE),
}
_KINDS: Final = {layout.type: kind for kind, layout in _LAYOUTS.items()}


def dump(message: Message) -> bytes:
    """The frame that says `message`. Raises ValueError for what the protocol has no room for."""
    kind = _KINDS[type(message)]
    layout = _LAYOUTS[kind]
    values = [getattr(message, field.name) for field in fields(message)]
    try:
        body = layout.body.write(values.pop()) if layout.body is not None else b""
        return bytes([kind]) + layout.numbers.pack(*values) + body
    except struct.error:
        raise ValueError("a number is too large or negative") from None


def parse(frame: bytes) -> Message:
    """The message of a frame. Raises MalformedMessage."""
    layout = _LAYOUTS.get(frame[0]) if frame else None
    if layout is None:
        raise MalformedMessage("a frame is no message")
    name = layout.type.__name__
    try:
        numbers = layout.numbers.unpack_from(frame, 1)
        body = frame[1 + layout.numbers.size :]
        rest = () if layout.body is None else (layout.body.read(body),)
    except (struct.error, ValueError):
        raise MalformedMessage(f"a frame is no whole {name}") from None
    if body and layout.body is None:
        raise MalformedMessage(f"a frame is longer than a {name}")
    message: Message = layout.type(*numbers, *rest)
    return message
