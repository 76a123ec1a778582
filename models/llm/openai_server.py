"""A language model behind any server that speaks OpenAI's chat completions, over HTTP.

Such are llama-cpp-python's server, llama-server, vLLM, Ollama and hosted services. The server keeps the conversation's
beginning in its cache as long as prompts begin alike; closing the response is what stops it.
"""

import asyncio
import email.utils
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import Message
from models.llm.chat import MESSAGE_OVERHEAD_TOKENS, TOO_LONG, alternating, fit, without_markup
from models.llm.dialect import Dialect, blames_system_role
from models.llm.sampling import DEFAULT_SAMPLING, Sampling
from models.llm.server import Server, has_system_role, served_models
from models.llm.sse import DONE, EventReader, MalformedStream, RefusedInStream, delta
from models.llm.token_count import TokenCounter
from models.settings import EngineSettings, LlmSettings

RETRY_AFTER_S = 0.25
MAX_RETRY_AFTER_S = 3.0
"""The longest wait that a server may ask for; in a call an error is better than a later answer."""
SIDE_TIMEOUT_S = 2.0
"""For counting tokens, for reading why a request was refused, and for the end of a response after its last event."""
MAX_REPLY_BYTES = 1 << 16

_GROWING = Message("user", "…")
"""Stands for what the user has not said yet: its turn's beginning belongs to the cache, and every server wants a last
user turn."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    connect_s: float = 3.0
    first_token_s: float = 15.0
    between_tokens_s: float = 5.0


class _Trouble(EngineFailed):
    """A failure that one more try may mend, after a pause."""

    def __init__(self, sentence: str, retry_after_s: float | None = RETRY_AFTER_S) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class _BrokenOff(_Trouble):
    """The server closed a response before its end."""


class OpenAiServerModel:
    """LanguageModel on a server. A request that fails before the first token is tried once more, no other one."""

    def __init__(
        self,
        server: Server,
        model: str,
        *,
        context_tokens: int,
        reserved_tokens: int = 0,
        sampling: Sampling = DEFAULT_SAMPLING,
        system_role: bool | None = None,
        prefill: bool = True,
        timeouts: Timeouts = Timeouts(),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`model` is the name of the model on the server.

        `reserved_tokens` of the context are kept for the answer, by `prefill` as well, so that both cut a long
        conversation at the same place. Without `system_role` it is found out when the server refuses.
        """
        self._server = server
        self._model = model
        self._context_tokens = context_tokens
        self._reserved_tokens = reserved_tokens
        self._sampling = sampling
        self._dialect = Dialect(system_role)
        self._prefill = prefill
        self._timeouts = timeouts
        self._sleep = sleep
        self._counter = TokenCounter(self._ask, model=model)
        self._turn = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self.received_pieces = 0

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str, None]:
        """Yield the answer as it arrives.

        The oldest exchanges are left out when the context is full. Raises EngineFailed when even the last message does
        not fit, when the server fails or falls silent, and when it gives up the answer for another request.
        """
        self._require_open()
        async with self._turn:
            self._require_open()
            fitted = await self._fitted(messages, max_tokens)
            if fitted is None:
                raise EngineFailed(TOO_LONG.format(tokens=self._context_tokens))
            async with aclosing(self._answer(fitted, max_tokens)) as pieces:
                async for piece in pieces:
                    self.received_pieces += 1
                    yield piece

    async def prefill(self, messages: Sequence[Message]) -> None:
        """Let the server read `messages`, by asking for one token that nobody wants."""
        self._require_open()
        if not self._prefill:
            return
        async with self._turn:
            self._require_open()
            fitted = await self._fitted(messages, 0)
            if fitted is None:
                return
            if not fitted or fitted[-1].role != "user":
                fitted.append(_GROWING)
            async with aclosing(self._answer(fitted, 1)) as pieces:
                async for _ in pieces:
                    pass

    async def aclose(self) -> None:
        """Close the connections; an answer that is under way fails."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _answer(self, messages: list[Message], max_tokens: int) -> AsyncGenerator[str, None]:
        tried = False
        while True:
            began = False
            try:
                async with aclosing(self._attempt(messages, max_tokens)) as pieces:
                    async for piece in pieces:
                        began = True
                        yield piece
                return
            except _Trouble as trouble:
                self._require_open()
                if began or tried or trouble.retry_after_s is None:
                    raise
                tried, pause_s = True, trouble.retry_after_s
                broke_off = isinstance(trouble, _BrokenOff)
            await self._sleep(pause_s)
            if broke_off and self._dialect.system_role is None and messages and messages[0].role == "system":
                # llama-cpp-python's server says nothing but breaks off when a template fails on a streamed request.
                self._dialect = replace(self._dialect, system_role=await self._takes_system_role())

    async def _attempt(self, messages: list[Message], max_tokens: int) -> AsyncGenerator[str, None]:
        """One request. Raises EngineFailed, as _Trouble when the cause may pass."""
        first_token_by_s = _now_s() + self._timeouts.first_token_s
        response = await self._open(messages, max_tokens, first_token_by_s)
        deadline_s: float | None = first_token_by_s
        began = ends = whole = False
        try:
            events = EventReader()
            while not whole:
                if deadline_s is None:
                    deadline_s = _now_s() + self._timeouts.between_tokens_s
                try:
                    chunk = await self._read(response, deadline_s, began=began)
                except _Trouble:
                    if ends:
                        return
                    raise
                if not chunk:
                    break
                for data in events.feed(chunk):
                    if data == DONE:
                        whole = True
                        break
                    piece = delta(data)
                    ends = ends or piece.ends
                    if piece.text:
                        began = True
                        yield piece.text
                        deadline_s = None
            if whole and not ends:
                raise self._failed("gave up the answer for another request; give the double a server of its own.")
            if not ends:
                raise self._broken_off()
            if whole:
                await self._finish(response)
        except MalformedStream as error:
            raise self._failed(f"sent {error} instead of an answer; check UNDERSTUDY_LLM__URL.") from None
        except RefusedInStream:
            raise self._trouble("failed in the middle of the answer; see its log.") from None
        finally:
            response.close()

    async def _open(self, messages: list[Message], max_tokens: int, deadline_s: float) -> aiohttp.ClientResponse:
        """The response that streams the answer. Learns from what the server refuses."""
        dialect = self._dialect
        while True:
            request = dialect.request(self._model, messages, max_tokens=max_tokens, sampling=self._sampling)
            response = await self._post(request, deadline_s)
            if response.status == 200:
                self._dialect = dialect
                return response
            other = dialect.adapted(response.status, await self._reason(response))
            if other is None:
                raise self._refused(response)
            dialect = other

    async def _takes_system_role(self) -> bool | None:
        """Ask for one token, unstreamed, where a refusal has a reason; None when that fails for another one."""
        messages = [Message("system", "."), Message("user", ".")]
        request = self._dialect.request(self._model, messages, max_tokens=1, sampling=self._sampling, stream=False)
        try:
            response = await self._post(request, _now_s() + self._timeouts.first_token_s)
        except _Trouble:
            return None
        if response.status == 200:
            response.close()
            return True
        return False if blames_system_role(await self._reason(response)) else None

    async def _fitted(self, messages: Sequence[Message], max_tokens: int) -> list[Message] | None:
        """What of the conversation the context holds, or None when not even its last message fits."""
        plain = [Message(message.role, without_markup(message.content)) for message in alternating(messages)]
        budget = self._context_tokens - max(max_tokens, self._reserved_tokens) - MESSAGE_OVERHEAD_TOKENS
        if sum(map(self._most_tokens, plain)) > budget:
            for message in plain:
                await self._counter.count(message.content)
        fitted = fit(plain, budget_tokens=budget, count=self._most_tokens)
        needed = sum(map(self._most_tokens, fitted)) + MESSAGE_OVERHEAD_TOKENS
        return fitted if needed + max_tokens <= self._context_tokens else None

    def _most_tokens(self, message: Message) -> int:
        return self._counter.most(message.content) + MESSAGE_OVERHEAD_TOKENS

    async def _post(self, body: dict[str, Any], deadline_s: float) -> aiohttp.ClientResponse:
        """The server's response to `body`, of whatever status, as soon as its headers are here."""
        url = f"{self._server.url}/chat/completions"
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self._connected().post(url, data=_encoded(body), allow_redirects=False)
        except aiohttp.ConnectionTimeoutError:
            raise self._trouble(f"cannot be reached within {self._timeouts.connect_s:g} s.") from None
        except TimeoutError:
            raise self._silent(began=False) from None
        except aiohttp.ClientConnectorError:
            raise self._trouble("cannot be reached; start it.") from None
        except aiohttp.ClientConnectionError:
            raise self._trouble("closed the connection; see its log.") from None
        except aiohttp.ClientError:
            raise self._failed("does not speak HTTP; check UNDERSTUDY_LLM__URL.") from None

    async def _read(self, response: aiohttp.ClientResponse, deadline_s: float, *, began: bool) -> bytes:
        """What has arrived, or nothing at the end."""
        self._require_open()
        try:
            async with asyncio.timeout_at(deadline_s):
                return await response.content.readany()
        except TimeoutError:
            raise self._silent(began=began) from None
        except (aiohttp.ClientError, OSError):
            raise self._broken_off() from None

    async def _finish(self, response: aiohttp.ClientResponse) -> None:
        """Read to the end, so that the next request can use the same connection."""
        try:
            async with asyncio.timeout(SIDE_TIMEOUT_S):
                while await response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            return

    async def _reason(self, response: aiohttp.ClientResponse) -> str:
        """Why the server refused. To decide with, not to be shown: it may repeat the conversation or the key."""
        try:
            async with asyncio.timeout(SIDE_TIMEOUT_S):
                return (await response.content.read(MAX_REPLY_BYTES)).decode(errors="replace")
        except (TimeoutError, aiohttp.ClientError, OSError):
            return ""
        finally:
            response.close()

    async def _ask(self, endpoint: str, question: dict[str, str]) -> dict[str, Any] | None:
        root = self._server.root
        if root is None:
            return None
        try:
            async with (
                asyncio.timeout(SIDE_TIMEOUT_S),
                self._connected().post(
                    f"{root}/{endpoint}", data=_encoded(question), allow_redirects=False
                ) as response,
            ):
                reply = json.loads(await response.read()) if response.status == 200 else None
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None
        return reply if isinstance(reply, dict) else None

    def _connected(self) -> aiohttp.ClientSession:
        """The session, made in the event loop that uses it."""
        self._require_open()
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"Content-Type": "application/json", **self._server.headers()},
                timeout=aiohttp.ClientTimeout(total=None, connect=self._timeouts.connect_s),
            )
        return self._session

    def _require_open(self) -> None:
        if self._closed:
            raise EngineFailed("The language model is closed.")

    def _failed(self, what: str) -> EngineFailed:
        return EngineFailed(f"The language model's server at {self._server.name} {what}")

    def _trouble(self, what: str, retry_after_s: float | None = RETRY_AFTER_S) -> _Trouble:
        return _Trouble(str(self._failed(what)), retry_after_s)

    def _broken_off(self) -> _BrokenOff:
        return _BrokenOff(str(self._failed("broke the answer off; see its log.")))

    def _silent(self, *, began: bool) -> _Trouble:
        limit_s = self._timeouts.between_tokens_s if began else self._timeouts.first_token_s
        return self._trouble(f"has sent nothing for {limit_s:g} s; see its log.")

    def _refused(self, response: aiohttp.ClientResponse) -> EngineFailed:
        status = response.status
        if status in (401, 403):
            return self._failed("refuses the key; set UNDERSTUDY_LLM__KEY to its key.")
        if status == 404:
            return self._failed("knows no such model; check UNDERSTUDY_LLM__SERVED_MODEL and UNDERSTUDY_LLM__URL.")
        if status == 429:
            return self._trouble("is asked too often (429); wait a moment.", _pause_s(response.headers))
        if status >= 500:
            return self._trouble(f"failed ({status}); see its log.", _pause_s(response.headers))
        return self._failed(f"refuses the request ({status}); check UNDERSTUDY_LLM__URL and see its log.")


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _pause_s(headers: Any) -> float | None:
    """What Retry-After asks for (RFC 9110, 10.2.3); None when that is longer than anybody in a call would wait."""
    value = str(headers.get("Retry-After", "")).strip()
    if not value:
        return RETRY_AFTER_S
    try:
        pause_s = (
            float(value) if value.isdigit() else email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        )
    except ValueError:
        return RETRY_AFTER_S
    return max(RETRY_AFTER_S, pause_s) if pause_s <= MAX_RETRY_AFTER_S else None


def create(settings: EngineSettings) -> OpenAiServerModel:
    """The model at `settings.llm.url`. Raises EngineUnavailable when the server cannot be used."""
    llm = settings.llm
    server = Server.at(llm.url, llm.key)
    if server.exposes_key:
        logger.warning("llm_key_unencrypted")
    names = served_models(server, wait_s=llm.start_wait_s, timeout_s=llm.connect_timeout_s)
    name = llm.served_model if llm.served_model != "auto" else next(iter(names), "")
    if not name:
        raise EngineUnavailable(
            f"The server at {server.name} does not tell what it serves; set UNDERSTUDY_LLM__SERVED_MODEL."
        )
    return OpenAiServerModel(
        server,
        name,
        context_tokens=llm.context_tokens,
        reserved_tokens=llm.max_answer_tokens,
        sampling=Sampling.of(llm),
        system_role=_system_role(llm, name),
        prefill=llm.prefill,
        timeouts=Timeouts(llm.connect_timeout_s, llm.first_token_timeout_s, llm.between_tokens_timeout_s),
    )


def _system_role(llm: LlmSettings, name: str) -> bool | None:
    """None when only the server can tell."""
    if llm.system_role != "auto":
        return llm.system_role == "yes"
    return None if has_system_role(name) else False
