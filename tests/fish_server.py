"""A stand-in for Fish Speech's server, in a thread of its own, that speaks in tones and misbehaves on request.

It was compared with the published source of commit d3df50503b36, read and not copied; its schema also
validated what our client sends:

- `TtsRequest` with ServeTTSRequest (fish_speech/utils/schema.py), field by field: text, chunk_length, format,
  references (audio, text), reference_id, seed, use_memory_cache, normalize, streaming, max_new_tokens, top_p,
  repetition_penalty, temperature; the same types, choices, bounds and defaults. Two differences: there the bounds of
  chunk_length (100 to 300) stand in an annotation that pydantic does not read, so that any integer passes, while they
  hold here; and unknown keys are ignored there and refused here, so that a misspelt one is found.
- `/v1/tts` (tools/server/views.py, inference.py, api_utils.py): a stream is raw s16le labelled audio/wav, its header
  gets lost; without streaming it is a WAV file; streaming of another format is 400; the stream is made on the event
  loop, which answers nothing meanwhile; nobody looks whether the client is still there; an error amid a stream breaks
  it off.
- `/v1/references/*`: multipart id, audio, text; 409 for a name that exists, 400 for a bad name or no text, 404 for an
  unknown one; replies are msgpack unless JSON is asked for. An unknown reference_id in a request is no error: its
  folder is made, and the voice made up (reference_loader.py), after which `add` says 409.
- `--api-key` guards every path, health too (tools/api_server.py): 401 without the right bearer.

It was also compared with that server as it runs, with random weights: `S1_MINI_PARTS=conduct python -m tests.bench
s1_mini` asks both the same and prints where they differ; tests/unit/test_fish_conduct.py holds the answers.
"""

import asyncio
import base64
import io
import re
import threading
import wave
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
import ormsgpack
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

RATE_HZ = 44_100
WORD_SAMPLES = 8_820
"""0.2 s: three quarters of it sound."""
PATIENCE_S = 30.0
"""The longest that the server stays held when a test forgets it."""


class Reference(BaseModel):
    audio: bytes
    text: str

    @field_validator("audio", mode="before")
    @classmethod
    def _decoded(cls, audio: object) -> object:
        return base64.b64decode(audio) if isinstance(audio, str) and len(audio) > 255 else audio


class TtsRequest(BaseModel):
    """What `/v1/tts` takes."""

    model_config = ConfigDict(extra="forbid")

    text: str
    chunk_length: Annotated[int, Field(ge=100, le=300, strict=True)] = 200
    format: Literal["wav", "pcm", "mp3"] = "wav"
    references: list[Reference] = []
    reference_id: str | None = None
    seed: int | None = None
    use_memory_cache: Literal["on", "off"] = "off"
    normalize: bool = True
    streaming: bool = False
    max_new_tokens: int = 1024
    top_p: Annotated[float, Field(ge=0.1, le=1.0, strict=True)] = 0.8
    repetition_penalty: Annotated[float, Field(ge=0.9, le=2.0, strict=True)] = 1.1
    temperature: Annotated[float, Field(ge=0.1, le=1.0, strict=True)] = 0.8


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request."""

    status: int | None = None
    """Answer this instead of sound."""
    body: bytes | None = None
    """Send these bytes for sound."""
    content_type: str = "audio/wav"
    hold_at: int | None = None
    """Stop after so many bytes of the body until `release`; the whole server stops with it, as the real one does."""
    reset_at: int | None = None
    """Break the connection after so many bytes of the body; -1 before the answer begins."""


@dataclass
class FishServer:
    """`with FishServer() as server:`; what tests look at is safe to read from their thread."""

    key: str | None = None
    header: bytes = b""
    """Sent before the sound of a stream; a real server sends none."""
    part_bytes: int = 1_000_000
    """The parts in which a body is written; the real server writes a clause at once."""
    gain: float = 0.14
    """Amplitude of the tones: -20 dB RMS within a word."""
    references: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[TtsRequest] = field(default_factory=list)
    finished: int = 0
    """Clauses that were made to their end, whoever listened."""

    def __post_init__(self) -> None:
        self._ready = threading.Event()
        self._held = threading.Event()
        self._go = threading.Event()
        self._asked = threading.Condition()
        self._empty_folders: set[str] = set()
        self._connections: set[asyncio.Transport] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fish_server", daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Die at once: every connection is reset, nobody listens any more."""
        if self._thread.is_alive():
            self._dying = True
            self._go.set()
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE_S)

    async def until_held(self) -> None:
        """Wait until a request with `hold_at` has come so far."""
        await asyncio.to_thread(self._held.wait, PATIENCE_S)
        self._held.clear()

    def until_asked(self, times: int) -> None:
        """Block until so many clauses were asked for."""
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.requests) >= times, PATIENCE_S)

    def release(self) -> None:
        self._go.set()

    _dying = False

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=64 * 1024**2, middlewares=[self._guarded])
        application.add_routes(
            [
                web.route("*", "/v1/health", self._health),
                web.post("/v1/tts", self._tts),
                web.post("/v1/references/add", self._add),
                web.get("/v1/references/list", self._list),
                web.delete("/v1/references/delete", self._delete),
            ]
        )
        runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await asyncio.sleep(0.01)  # what came while it was held is a connection by then
        for transport in self._connections:
            transport.abort()
        await runner.cleanup()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if request.transport is not None:
            self._connections.add(request.transport)
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, "Invalid token")
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPMethodNotAllowed:
            return web.Response(status=405)
        except web.HTTPError as error:
            return _error(error.status, error.reason)
        except (ormsgpack.MsgpackDecodeError, ValueError) as error:
            return _error(500, str(error))
        return response

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _tts(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else Fault()
        if fault.status is not None:
            return _error(fault.status, "Failed to generate speech")
        try:
            wanted = TtsRequest.model_validate(await _content(request))
        except ValidationError as error:
            return _invalid(*(one["msg"] for one in error.errors()))
        if wanted.streaming and wanted.format != "wav":
            return _error(400, "Streaming only supports WAV format")
        with self._asked:
            self.requests.append(wanted)
            self._asked.notify_all()
        if wanted.reference_id is not None and wanted.reference_id not in self.references:
            self._empty_folders.add(wanted.reference_id)
        recording, _ = self.references.get(wanted.reference_id or "", (b"", ""))
        if recording and not recording.startswith(b"RIFF"):
            fault = Fault(reset_at=0)
        if fault.reset_at == -1:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        sound = tones(wanted.text, gain=self.gain) if fault.body is None else fault.body
        if not wanted.streaming:
            return web.Response(body=wav(sound), content_type=fault.content_type)
        response = web.StreamResponse(headers={"Content-Type": fault.content_type})
        await response.prepare(request)
        for part in _parts(self.header + sound, self.part_bytes, fault):
            if part is None:
                self._hold()
                if self._dying:
                    request.transport.abort()  # type: ignore[union-attr]
                    return response
            elif part == b"":
                request.transport.abort()  # type: ignore[union-attr]
                return response
            else:
                try:
                    await response.write(part)
                except ConnectionError:
                    pass  # the real one goes on as well
        self.finished += 1
        try:
            await response.write_eof()
        except ConnectionError:
            pass
        return response

    def _hold(self) -> None:
        """Block the event loop, as synthesis does."""
        self._held.set()
        self._go.wait(PATIENCE_S)
        self._go.clear()

    async def _add(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "multipart/form-data":
            return _error(415, "Unsupported Media Type")
        form = _form(await request.read(), request.headers["Content-Type"])
        if not form.keys() >= {"id", "text", "audio"}:
            return _invalid("id, audio and text are needed")
        name, text, audio = form["id"].decode(), form["text"].decode(), form["audio"]
        if not text.strip():
            return _reply(request, 400, reference_id=name, message="Reference text cannot be empty")
        if not re.fullmatch(r"[a-zA-Z0-9\-_ ]+", name) or len(name) > 255:
            return _reply(request, 400, reference_id=name, message="Reference ID contains invalid characters")
        if name in self.references or name in self._empty_folders:
            return _reply(request, 409, reference_id=name, message="exists")
        self.references[name] = (audio, text)
        return _reply(request, 200, reference_id=name, message="added")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return _reply(request, 200, reference_ids=sorted(self.references), message="found")

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        name = (await _content(request)).get("reference_id")
        if name is None:
            return _invalid("reference_id is needed")
        if not name.strip():
            return _reply(request, 400, reference_id=name, message="Reference ID cannot be empty")
        if name not in self.references and name not in self._empty_folders:
            return _reply(request, 404, reference_id=name, message="not found")
        self.references.pop(name, None)
        self._empty_folders.discard(name)
        return _reply(request, 200, reference_id=name, message="deleted")


def _form(body: bytes, content_type: str) -> dict[str, bytes]:
    """The fields of a form by name (RFC 7578); aiohttp's own reader warns of itself where a boundary is cut in two."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    assert boundary is not None
    fields = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, value = part[2:-2].partition(b"\r\n\r\n")
        if name := re.search(rb'\bname="([^"]*)"', head):
            fields[name[1].decode()] = value
    return fields


def tones(text: str, *, gain: float = 0.14) -> bytes:
    """Raw s16le: a tone per word, each of its own pitch, then a gap."""
    sounding = WORD_SAMPLES * 3 // 4
    time_s = np.arange(sounding) / RATE_HZ
    ramp = np.minimum(1, np.minimum(np.arange(sounding), np.arange(sounding)[::-1]) / 200)
    words = []
    for number, _ in enumerate(re.findall(r"\w+", text)):
        word = np.zeros(WORD_SAMPLES)
        word[:sounding] = gain * ramp * np.sin(2 * np.pi * (200 + 40 * (number % 7)) * time_s)
        words.append((word * 32_767).astype("<i2"))
    return np.concatenate(words).tobytes() if words else b""


def wav(sound: bytes, *, rate_hz: int = RATE_HZ, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(sound)
    return file.getvalue()


def _parts(body: bytes, part_bytes: int, fault: Fault) -> list[bytes | None]:
    """The body in parts; None where to hold, empty where to break off."""
    stop = {fault.hold_at: None, fault.reset_at: b""}
    cuts = sorted({*range(0, len(body), part_bytes), len(body), *(cut for cut in stop if cut is not None and cut > 0)})
    parts: list[bytes | None] = [stop[0]] if 0 in stop else []
    for start, end in pairwise(cuts):
        parts.append(body[start:end])
        if end in stop:
            parts.append(stop[end])
    return parts


async def _content(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    if request.content_type not in ("application/msgpack", "application/json"):
        raise web.HTTPUnsupportedMediaType()
    content = ormsgpack.unpackb(body) if request.content_type == "application/msgpack" else await request.json()
    assert isinstance(content, dict)
    return content


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message, "error": "error"}, status=status)


def _invalid(*faults: str) -> web.Response:
    """What a request of the wrong shape gets."""
    return web.json_response([{"msg": fault} for fault in faults], status=422)


def _reply(request: web.Request, status: int, **content: object) -> web.Response:
    content = {"success": status == 200, **content}
    if "application/json" in request.headers.get("Accept", ""):
        return web.json_response(content, status=status)
    return web.Response(body=ormsgpack.packb(content), status=status, content_type="application/msgpack")
