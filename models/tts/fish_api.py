"""Fish Speech's HTTP API, as the server of commit d3df50503b36 really behaves (tests/fish_server.py stands in for it).

It works on one request at a time and answers nothing else meanwhile, not even `/v1/health`; it cannot be told to stop;
what it labels audio/wav is raw 16-bit PCM at 44.1 kHz; a voice that it does not know it makes up without a word.
"""

import asyncio
import io
import socket
from collections.abc import AsyncGenerator, Mapping
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import ormsgpack

from models.errors import EngineFailed
from models.servers import bearer, is_loopback
from models.settings import FishSpeechSettings

_MSGPACK: Final = "application/msgpack"
_KEPT_ALIVE_S: Final = 3.0
"""Uvicorn closes an idle connection after 5 s; a request must not run into that."""
_FIRST_PART_BYTES: Final = 16_384
"""0.2 s, which can be heard while the rest is worked on."""
_PART_BYTES: Final = 65_536
_MOST_REPLY_BYTES: Final = 1_000_000
_BUSY_S: Final = 60.0
"""Longer than the longest clause, during which the server answers nothing."""
_MOST_TOKENS: Final = 1_024
_TOKENS_PER_CHARACTER: Final = 16
_TOKENS_AT_LEAST: Final = 64
"""21.5 tokens are a second. A model that runs on and on is stopped at about ten times what a reader needs."""

Reply = dict[str, Any]


class FishSpeechApi:
    """One server. Make it anywhere, use it on one event loop, close it there.

    Every error is an EngineFailed of one sentence that names the address and neither the key nor what was to be said.
    """

    def __init__(self, settings: FishSpeechSettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def speech(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield the sound of `text` as it comes, in parts of up to 64 KB."""
        settings = self._settings
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_timeout_s, sock_read=settings.first_sound_timeout_s
        )
        try:
            async with self._client().post(
                f"{self._url}/v1/tts", data=ormsgpack.packb(self._request(text)), timeout=timeout, headers=_TTS_HEADERS
            ) as response:
                if response.status != 200:
                    raise self._refused(response.status)
                if response.content_type.startswith("text/") or response.content_type.endswith("json"):
                    raise EngineFailed(
                        f"What answers at {self._url} sends text for sound; it is no Fish Speech server."
                    )
                allowed_s = settings.first_sound_timeout_s
                while True:
                    async with asyncio.timeout(allowed_s):
                        data = await response.content.readany()
                    if not data:
                        return
                    allowed_s = settings.stall_timeout_s
                    for start, end in pairwise((0, *range(_FIRST_PART_BYTES, len(data), _PART_BYTES), len(data))):
                        yield data[start:end]
        except TimeoutError:
            raise EngineFailed(f"The voice server at {self._url} took too long; the clause is given up.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from None

    def _request(self, text: str) -> Reply:
        settings = self._settings
        request: Reply = {
            "text": text,
            "reference_id": settings.reference,
            "format": "wav",
            "streaming": True,
            "use_memory_cache": "on",
            "chunk_length": 200,
            "normalize": True,
            "max_new_tokens": min(_MOST_TOKENS, _TOKENS_AT_LEAST + _TOKENS_PER_CHARACTER * len(text)),
            "top_p": settings.top_p,
            "repetition_penalty": settings.repetition_penalty,
            "temperature": settings.temperature,
        }
        return request if settings.seed is None else {**request, "seed": settings.seed}

    async def references(self) -> list[str]:
        """The names of the voices that the server has a recording of."""
        status, reply = await self._ask("GET", "/v1/references/list")
        if status != 200 or not isinstance(reply.get("reference_ids"), list):
            raise self._refused(status)
        return [str(name) for name in reply["reference_ids"]]

    async def add_reference(self, name: str, wav: bytes, text: str) -> None:
        """Give the server a recording and what is said in it."""
        form = aiohttp.FormData({"id": name, "text": text})
        form.add_field("audio", io.BytesIO(wav), filename="sample.wav", content_type="audio/wav")
        status, _ = await self._ask("POST", "/v1/references/add", data=form)
        if status == 409:
            raise EngineFailed(f"The voice server has something named {name} already; remove it first.")
        if status != 200:
            raise self._refused(status)

    async def remove_reference(self, name: str) -> None:
        status, _ = await self._ask(
            "DELETE",
            "/v1/references/delete",
            data=ormsgpack.packb({"reference_id": name}),
            headers={"Content-Type": _MSGPACK},
        )
        if status == 404:
            raise EngineFailed(f"The voice server has no voice named {name}.")
        if status != 200:
            raise self._refused(status)

    async def healthy(self, *, timeout_s: float = _BUSY_S) -> bool:
        """Whether it answers; a busy server answers when its clause is made, so give it time or ask `listening`."""
        try:
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            async with self._client().get(f"{self._url}/v1/health", timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, **content: Any) -> tuple[int, Reply]:
        """A request whose reply is one small msgpack map."""
        headers = {"Accept": _MSGPACK, **content.pop("headers", {})}
        timeout = aiohttp.ClientTimeout(total=_BUSY_S, sock_connect=self._settings.connect_timeout_s)
        try:
            async with self._client().request(
                method, self._url + path, timeout=timeout, headers=headers, **content
            ) as response:
                body = await response.content.read(_MOST_REPLY_BYTES)
                if response.content_type != _MSGPACK:
                    return response.status if response.status != 200 else 502, {}
                reply = ormsgpack.unpackb(body)
                return response.status, reply if isinstance(reply, dict) else {}
        except TimeoutError:
            raise EngineFailed(f"The voice server at {self._url} did not answer within {_BUSY_S:.0f} s.") from None
        except ormsgpack.MsgpackDecodeError:
            raise EngineFailed(f"What answers at {self._url} is no Fish Speech server.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            key = self._settings.key
            self._session = aiohttp.ClientSession(
                headers=authorization(self._settings) if key is not None else {},
                connector=aiohttp.TCPConnector(keepalive_timeout=_KEPT_ALIVE_S),
                auto_decompress=False,
            )
        return self._session

    def _refused(self, status: int) -> EngineFailed:
        if status in (401, 403):
            return EngineFailed(f"The voice server at {self._url} refuses the key in UNDERSTUDY_TTS__FISH_SPEECH__KEY.")
        if status == 404:
            return EngineFailed(
                f"What answers at {self._url} has no such interface; it is not the server of the pinned commit."
            )
        if status == 429:
            return EngineFailed(f"The voice server at {self._url} has too much to do.")
        kind = "failed" if status >= 500 else "did not accept the request"
        return EngineFailed(f"The voice server at {self._url} {kind} (HTTP {status}); its own log says why.")

    def _lost(self, error: Exception) -> EngineFailed:
        if isinstance(error, aiohttp.ClientConnectorError):
            return EngineFailed(f"No voice server answers at {self._url}; start it: `python -m models.tts serve`.")
        return EngineFailed(f"The connection to the voice server at {self._url} broke off.")


_TTS_HEADERS: Final = {"Content-Type": _MSGPACK, "Accept-Encoding": "identity"}


def authorization(settings: FishSpeechSettings) -> Mapping[str, str]:
    """The header that carries the key, if there is one."""
    return bearer(settings.key)


def address(url: str) -> tuple[str, int]:
    """Host and port of `url`."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def on_loopback(url: str) -> bool:
    """Whether `url` is on this machine, so that nobody else can read what passes."""
    return is_loopback(address(url)[0])


def listening(url: str, *, timeout_s: float = 1.0) -> bool:
    """Whether somebody listens there, which a busy server does too. Blocks up to `timeout_s`."""
    try:
        with socket.create_connection(address(url), timeout=timeout_s):
            return True
    except OSError:
        return False
