"""What a server with Fish Speech's interface answers to well and badly formed requests, in a word or two each.

Both the real server and tests/fish_server.py are asked, so that the one cannot drift from the other unseen.
"""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import ormsgpack

SPOKEN: Final = {"text": "One two three.", "streaming": True, "format": "wav", "max_new_tokens": 8}
_MSGPACK: Final = "application/msgpack"
_FEW_BYTES: Final = 1_000
_PATIENCE: Final = aiohttp.ClientTimeout(total=300)


class Conduct:
    """Asks the server at `url`, whose key is `key`; `seen` holds what it answered, by what was asked."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, recording: bytes) -> None:
        self._session, self._url, self._recording = session, url, recording
        self._key = {"Authorization": f"Bearer {key}"}
        self.seen: dict[str, str] = {}

    async def ask(self) -> None:
        await self._doors()
        await self._references()
        await self._speech()
        await self._made_up_voice()
        await self._broken_recording()

    async def _doors(self) -> None:
        for method in ("GET", "POST"):
            await self._note(f"{method} health", method, "/v1/health")
        await self._note("health without a key", "GET", "/v1/health", headers={})
        await self._note("health with another key", "GET", "/v1/health", headers={"Authorization": "Bearer other"})
        await self._note("speech without a key", **_speech(), headers={"Content-Type": _MSGPACK})
        await self._note("an unknown path", "GET", "/v1/nothing")
        await self._note("speech by GET", "GET", "/v1/tts")

    async def _references(self) -> None:
        await self._delete("conduct")
        await self._note("add a voice", **self._add("conduct"))
        await self._note("add it again", **self._add("conduct"))
        await self._note("add without words", **self._add("another", text=" "))
        await self._note("add with a bad name", **self._add("../another"))
        await self._note("add without a name", **self._add(""))
        await self._note("add without a recording", **self._add("another", recording=None))
        for accept in (_MSGPACK, "application/json"):
            await self._note(f"list as {accept}", "GET", "/v1/references/list", headers={"Accept": accept})
        await self._note("list when nothing is said of the form", "GET", "/v1/references/list")
        await self._note("forget an unknown one", **_forget("nobody"))
        await self._note("forget an empty name", **_forget(" "))
        await self._note("forget without a name", **{**_forget(""), "data": ormsgpack.packb({})})

    async def _speech(self) -> None:
        await self._note("speak", **_speech(reference_id="conduct"))
        await self._note("speak with the cache", **_speech(reference_id="conduct", use_memory_cache="on"))
        await self._note("speak all at once", **_speech(streaming=False))
        await self._note("speak, asked in JSON", "POST", "/v1/tts", json=SPOKEN)
        await self._note("stream MP3", **_speech(format="mp3"))
        await self._note("an unknown format", **_speech(format="ogg"))
        await self._note("no text", **{**_speech(), "data": ormsgpack.packb({"streaming": True})})
        await self._note("too hot", **_speech(temperature=2.0))
        await self._note("top_p as text", **_speech(top_p="0.8"))
        await self._note("a seed", **_speech(seed=7))
        await self._note("no msgpack", **{**_speech(), "data": b"\xc1"})
        plain = {**self._key, "Content-Type": "text/plain"}
        await self._note("a body of another kind", "POST", "/v1/tts", data=b"x", headers=plain)
        await self._note("a recording sent along", **_speech(references=[{"audio": self._recording, "text": "Yes."}]))

    async def _made_up_voice(self) -> None:
        await self._delete("nobody")
        await self._note("speak as nobody", **_speech(reference_id="nobody"))
        await self._note("list after that", "GET", "/v1/references/list")
        await self._note("add somebody under that name", **self._add("nobody"))
        await self._note("forget nobody", **_forget("nobody"))
        await self._note("forget the voice", **_forget("conduct"))
        await self._note("forget it again", **_forget("conduct"))

    async def _broken_recording(self) -> None:
        await self._delete("noise")
        await self._note("add what is no sound", **self._add("noise", recording=b"no sound at all" * 100))
        await self._note("speak with it", **_speech(reference_id="noise"))
        await self._delete("noise")
        await self._note("health at last", "GET", "/v1/health")

    async def _delete(self, name: str) -> None:
        async with self._request(**_forget(name)):
            pass

    def _add(self, name: str, *, text: str = "Yes.", recording: bytes | None = b"") -> dict[str, Any]:
        form = aiohttp.FormData({"id": name, "text": text})
        if recording is not None:
            file = io.BytesIO(recording or self._recording)
            form.add_field("audio", file, filename="sample.wav", content_type="audio/wav")
        return {"method": "POST", "path": "/v1/references/add", "data": form}

    async def _note(self, what: str, method: str, path: str, **content: Any) -> None:
        try:
            async with self._request(method, path, **content) as response:
                self.seen[what] = f"{response.status} {response.content_type}: {_described(await response.read())}"
        except aiohttp.ClientError as error:
            self.seen[what] = f"broken off: {type(error).__name__}"

    @asynccontextmanager
    async def _request(self, method: str, path: str, **content: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = content.pop("headers", None)
        if headers is None or "Accept" in headers:
            headers = {**self._key, **(headers or {})}
        if content.pop("packed", False):
            headers = {"Content-Type": _MSGPACK, **headers}
        async with self._session.request(
            method, self._url + path, headers=headers, timeout=_PATIENCE, **content
        ) as response:
            yield response


async def conduct(url: str, key: str, recording: bytes) -> dict[str, str]:
    """What the server answers, by what was asked."""
    async with aiohttp.ClientSession() as session:
        asked = Conduct(session, url, key, recording)
        await asked.ask()
    return asked.seen


def _speech(**changed: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/v1/tts", "data": ormsgpack.packb({**SPOKEN, **changed}), "packed": True}


def _forget(name: str) -> dict[str, Any]:
    data = ormsgpack.packb({"reference_id": name})
    return {"method": "DELETE", "path": "/v1/references/delete", "data": data, "packed": True}


def _described(body: bytes) -> str:
    """What a body is, without what may differ from time to time."""
    if body[:4] == b"RIFF":
        rate_hz = int.from_bytes(body[24:28], "little")
        return f"a WAV file at {rate_hz} Hz"
    if not body:
        return "nothing"
    if body[:1] == b"[":
        return "a list"
    try:
        reply = json.loads(body) if body[:1] == b"{" else ormsgpack.unpackb(body)
    except ormsgpack.MsgpackDecodeError:
        reply = None
    if isinstance(reply, dict):
        known = [str(reply[name]) for name in ("success", "reference_ids") if name in reply]
        return " ".join([",".join(sorted(reply)), *known])
    return "sound" if len(body) % 2 == 0 and len(body) > _FEW_BYTES else f"{len(body)} bytes"
