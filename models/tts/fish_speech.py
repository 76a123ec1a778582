"""The cloned voice: OpenAudio S1-mini behind Fish Speech's server, one request per clause.

The server works through one queue and cannot stop, so a clause is taken in at full speed, whoever listens, and the
next one is asked for while this one plays. A clause that nobody wants any more is left to run out in the background;
what was not yet asked for is never sent.
"""

import asyncio
import http.client
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import numpy as np

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import SPEECH_RATE_HZ, Samples, Speech, SpeechSynthesizer
from models.servers import get
from models.settings import EngineSettings, FishSpeechSettings
from models.tts.any_language import spoken
from models.tts.clause import pause_samples
from models.tts.edges import ClauseEdges
from models.tts.fish_api import FishSpeechApi, authorization, listening, on_loopback
from models.tts.level import Leveller
from models.tts.markers import directed
from models.tts.pcm import PcmReader

logger = logging.getLogger(__name__)

_LONGEST_SAMPLES: Final = 60 * SPEECH_RATE_HZ
"""A clause of 20 words lasts under 10 s; the server itself stops at 48 s."""
_LARGE_SAMPLES: Final = SPEECH_RATE_HZ
_LEAD_S: Final = 0.6
"""Sound that the stage and the face want to have in advance: twice the default lead of the stage."""
_ASK_S: Final = 60.0
_PROBE_S: Final = 0.5


class FishSpeechSynthesizer:
    """Speaks with the voice of one recording. One request at a time; the others wait for their turn."""

    def __init__(self, settings: FishSpeechSettings) -> None:
        self._settings = settings
        self._api = FishSpeechApi(settings)
        self._level = Leveller()
        self._turnstile = asyncio.Lock()
        self._clauses: set[_Clause] = set()
        self._closed = False

    async def stream(self, text: str) -> AsyncGenerator[Speech, None]:
        """Yield the sound of `text` as it comes; all that has come while nobody asked is one piece.

        Raises EngineFailed after the sound that came before; the next request may succeed.
        """
        line = directed(text, spoken, markers=self._settings.emotions)
        self._require_open()
        if not line:
            return
        await self._turnstile.acquire()
        if self._closed:
            self._turnstile.release()
            self._require_open()
        clause = _Clause(self._api, line, self._level)
        self._clauses.add(clause)
        clause.task.add_done_callback(lambda _: self._leave(clause))
        try:
            while len(samples := await clause.next()):
                yield Speech(samples)
        finally:
            clause.abandon(self._settings.drain_timeout_s)

    async def aclose(self) -> None:
        """End every request, also those that run out in the background."""
        self._closed = True
        tasks = [clause.task for clause in self._clauses]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._api.aclose()

    def _leave(self, clause: "_Clause") -> None:
        self._clauses.discard(clause)
        self._turnstile.release()

    def _require_open(self) -> None:
        if self._closed:
            raise EngineFailed("The voice is closed.")


class _Clause:
    """One request: a task takes its sound in, `next` hands it out."""

    def __init__(self, api: FishSpeechApi, line: str, level: Leveller) -> None:
        self._ready: list[Samples] = []
        self._begun_s: float | None = None
        """When the first sound was handed out; it is not played before."""
        self._handed_out_s = 0.0
        self._came = asyncio.Event()
        self._sounded = False
        self._wanted = True
        self._deadline: asyncio.Timeout | None = None
        """Runs while there is a request that can be left to the server."""
        self._error: EngineFailed | None = None
        self.task = asyncio.create_task(self._take_in(api, line, level), name="fish_speech_clause")
        self.task.add_done_callback(self._done)

    async def next(self) -> Samples:
        """All sound that is there and was not handed out; empty at the end. Raises EngineFailed.

        The first comes at once. While what was handed out still lasts, more is waited for: whoever keeps a few pieces
        in advance then keeps the whole rest of a clause, and asks for the next one early.
        """
        now_s = asyncio.get_running_loop().time
        while not self.task.done():
            patience_s = self._patience_s(now_s()) if self._ready else None
            if patience_s is not None and patience_s <= 0:
                break
            self._came.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._came.wait()
            except TimeoutError:
                break
        if self._ready:
            samples: Samples = np.concatenate(self._ready)
            self._ready.clear()
            if self._begun_s is None:
                self._begun_s = now_s()
            self._handed_out_s += len(samples) / SPEECH_RATE_HZ
            return samples
        if self._error is not None:
            raise self._error
        if self.task.cancelled():
            raise EngineFailed("The voice was closed amid a clause.")
        return np.zeros(0, np.float32)

    def _patience_s(self, now_s: float) -> float:
        """How long a larger piece may be waited for."""
        if self._begun_s is None or sum(map(len, self._ready)) >= _LARGE_SAMPLES:
            return 0.0
        return self._begun_s + self._handed_out_s - now_s - _LEAD_S

    def abandon(self, drain_s: float) -> None:
        """Nobody wants the rest: let the server finish it within `drain_s`, then hang up."""
        self._wanted = False
        self._ready.clear()
        if self._deadline is None or drain_s <= 0:
            self.task.cancel()
        else:
            self._deadline.reschedule(asyncio.get_running_loop().time() + drain_s)

    async def _take_in(self, api: FishSpeechApi, line: str, level: Leveller) -> None:
        reader, edges = PcmReader(), ClauseEdges(pause_samples(line))
        came = 0
        try:
            async with asyncio.timeout(None) as self._deadline, aclosing(api.speech(line)) as parts:
                async for data in parts:
                    if not self._wanted:
                        continue
                    sound = level.level(reader.read(data))
                    came += len(sound)
                    self._put(edges.push(sound))
                    if came > _LONGEST_SAMPLES:
                        raise EngineFailed("The voice server went on and on; the clause is given up.")
                    await asyncio.sleep(0)  # parts that came together do not hold up who listens
            if self._wanted:
                self._put(edges.push(level.level(reader.finish())))
                self._put(edges.finish())
            if self._wanted and not self._sounded:
                raise EngineFailed("The voice server sent no sound; its own log says why.")
        except EngineFailed as error:
            self._error = error
        except TimeoutError:
            pass  # only an abandoned clause has a deadline
        finally:
            self._deadline = None

    def _put(self, samples: Samples) -> None:
        if len(samples):
            self._sounded = True
            self._ready.append(samples)
            self._came.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._came.set()


def create(settings: EngineSettings) -> SpeechSynthesizer:
    """Find the server and the voice on it; waits `start_wait_s` for a server that does not listen yet.

    Raises EngineUnavailable with what to do. Blocks: call it from a thread.
    """
    fish = settings.tts.fish_speech
    if fish.reference is None:
        raise EngineUnavailable(
            "The cloned voice needs a recording: run `python -m models.tts references add NAME RECORDING`, "
            "then set UNDERSTUDY_TTS__FISH_SPEECH__REFERENCE to NAME."
        )
    if fish.key is not None and fish.url.startswith("http:") and not on_loopback(fish.url):
        logger.warning("voice_key_unencrypted")
    deadline_s = time.monotonic() + fish.start_wait_s
    while not listening(fish.url, timeout_s=fish.connect_timeout_s):
        if time.monotonic() >= deadline_s:
            raise EngineUnavailable(f"No voice server answers at {fish.url}; start it: `python -m models.tts serve`.")
        time.sleep(_PROBE_S)
    _require_voice(fish, fish.reference)
    return FishSpeechSynthesizer(fish)


def _require_voice(fish: FishSpeechSettings, reference: str) -> None:
    """The server makes up a voice for a name that it does not know, so the name is looked up here."""
    headers = {"Accept": "application/json", **authorization(fish)}
    try:
        status, body = get(f"{fish.url.rstrip('/')}/v1/references/list", headers=headers, timeout_s=_ASK_S)
        if status in (401, 403):
            raise EngineUnavailable(
                f"The voice server at {fish.url} refuses the key in UNDERSTUDY_TTS__FISH_SPEECH__KEY."
            )
        known = json.loads(body)["reference_ids"] if status == 200 else None
    except TimeoutError:
        raise EngineUnavailable(f"The voice server at {fish.url} does not answer; look at its log.") from None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        known = None
    if known is None:
        raise EngineUnavailable(f"What answers at {fish.url} is not Fish Speech's server of the pinned commit.")
    if reference not in known:
        raise EngineUnavailable(
            f"The voice server knows no voice named {reference}: add it by `python -m models.tts references add`."
        )
