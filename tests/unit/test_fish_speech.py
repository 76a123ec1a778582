"""The client of the cloned voice against a stand-in for its server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
import soxr

from models.errors import EngineFailed, EngineUnavailable
from models.interfaces import SPEECH_RATE_HZ, Samples, Speech
from models.registry import create
from models.settings import EngineSettings, FishSpeechSettings
from models.tts.clause import pause_samples
from models.tts.edges import RELEASE_SAMPLES
from models.tts.fish_api import FishSpeechApi
from models.tts.fish_speech import FishSpeechSynthesizer
from peer_remote.flow import prefetch
from peer_remote.turn import SPEECH_AHEAD
from tests.fish_server import RATE_HZ, WORD_SAMPLES, Fault, FishServer, tones, wav

KEY = "a-key-that-nobody-may-see"
LINE = "one two three four five six seven eight."


@pytest.fixture
def server() -> Iterator[FishServer]:
    with FishServer(key=KEY, references={"me": (b"RIFF", "words")}) as server:
        yield server


def options(server: FishServer, **more: Any) -> FishSpeechSettings:
    return FishSpeechSettings.model_validate({"url": server.url, "key": KEY, "reference": "me", **more})


@pytest.fixture
async def voice(server: FishServer) -> AsyncIterator[FishSpeechSynthesizer]:
    voice = FishSpeechSynthesizer(options(server))
    yield voice
    await voice.aclose()


async def said(voice: FishSpeechSynthesizer, text: str) -> Samples:
    async with aclosing(voice.stream(text)) as pieces:
        return np.concatenate([np.zeros(0, np.float32), *[piece.samples async for piece in pieces]])


def lasting(words: int) -> Any:
    """What so many words last at 48 kHz: the silence after the last one becomes the pause of its full stop."""
    sounding = (4 * words - 1) * WORD_SAMPLES / 4 * SPEECH_RATE_HZ / RATE_HZ
    return pytest.approx(sounding + RELEASE_SAMPLES + pause_samples("."), abs=SPEECH_RATE_HZ / 100)


def at_48_khz(sound: bytes) -> Samples:
    samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32_768
    return np.asarray(soxr.resample(samples, RATE_HZ, SPEECH_RATE_HZ, quality="HQ"), np.float32)


async def test_a_clause_is_one_request_in_the_chosen_voice(server: FishServer, voice: FishSpeechSynthesizer) -> None:
    sound = await said(voice, LINE)
    assert len(sound) == lasting(8)
    (request,) = server.requests
    assert (request.text, request.reference_id, request.streaming) == (LINE, "me", True)
    assert request.use_memory_cache == "on"


async def test_what_is_sent_without_a_header_is_heard_to_its_end(
    server: FishServer, voice: FishSpeechSynthesizer
) -> None:
    sound, expected = await said(voice, LINE), at_48_khz(tones(LINE))
    length = len(expected) - WORD_SAMPLES // 5
    assert np.abs(sound[:length] - expected[:length]).max() < 0.05
    assert np.abs(sound[-WORD_SAMPLES // 5 :]).max() < 0.01


@pytest.mark.parametrize("part_bytes", [1, 7, 1_000_000])
async def test_a_header_is_no_sound_however_it_is_cut(
    server: FishServer, voice: FishSpeechSynthesizer, part_bytes: int
) -> None:
    server.header, server.part_bytes = wav(b""), part_bytes
    text = "one." if part_bytes == 1 else LINE
    assert len(await said(voice, text)) == lasting(1 if part_bytes == 1 else 8)


async def test_sound_is_handed_on_before_the_clause_is_whole(server: FishServer, voice: FishSpeechSynthesizer) -> None:
    server.faults.append(Fault(hold_at=WORD_SAMPLES * 4 + 1))
    async with aclosing(voice.stream(LINE)) as pieces:
        first = await anext(pieces)
        assert 0 < len(first.samples) < 2 * WORD_SAMPLES * 480 / 441
        server.release()
        rest = [piece.samples async for piece in pieces]
    assert len(first.samples) + sum(map(len, rest)) == lasting(8)


async def test_a_clause_nobody_wants_runs_out_in_the_background(
    server: FishServer, voice: FishSpeechSynthesizer
) -> None:
    server.faults.append(Fault(hold_at=WORD_SAMPLES))
    async with aclosing(voice.stream(LINE)) as pieces:
        await anext(pieces)
    assert server.finished == 0
    following = asyncio.create_task(said(voice, "One."))
    await asyncio.sleep(0)
    assert len(server.requests) == 1
    server.release()
    assert len(await following) == lasting(1)
    assert server.finished == 2


async def test_clauses_cut_off_before_their_turn_never_reach_the_server(
    server: FishServer, voice: FishSpeechSynthesizer
) -> None:
    server.faults.append(Fault(hold_at=0))
    speaking = asyncio.create_task(said(voice, "One."))
    await server.until_held()
    waiting = [asyncio.create_task(said(voice, "Two.")) for _ in range(3)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    server.release()
    await speaking
    assert len(await said(voice, "Three."))
    assert [request.text for request in server.requests] == ["One.", "Three."]


async def test_the_rest_of_an_abandoned_clause_is_given_up_in_the_end(server: FishServer) -> None:
    voice = FishSpeechSynthesizer(options(server, drain_timeout_s=0.05))
    server.faults.append(Fault(hold_at=WORD_SAMPLES))
    async with aclosing(voice.stream(LINE)) as pieces:
        await anext(pieces)
    following = asyncio.create_task(said(voice, "One."))
    while len(server.requests) < 2 and not following.done():
        await asyncio.to_thread(lambda: None)
        server.release()
    assert len(await following)
    await voice.aclose()


async def test_the_voice_can_be_closed_amid_a_clause_and_while_one_runs_out(server: FishServer) -> None:
    voice = FishSpeechSynthesizer(options(server))
    server.faults.append(Fault(hold_at=WORD_SAMPLES))
    stream = voice.stream(LINE)
    await anext(stream)
    await voice.aclose()
    with pytest.raises(EngineFailed):
        await anext(stream)
    with pytest.raises(EngineFailed):
        await said(voice, LINE)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(status=500), "failed"),
        (Fault(status=503), "failed"),
        (Fault(status=429), "too much to do"),
        (Fault(status=400), "did not accept"),
        (Fault(status=404), "no such interface"),
        (Fault(status=401), "refuses the key"),
        (Fault(reset_at=-1), "broke off"),
        (Fault(reset_at=0), "broke off"),
        (Fault(reset_at=WORD_SAMPLES + 1), "broke off"),
        (Fault(reset_at=8 * WORD_SAMPLES * 2), "broke off"),
        (Fault(body=b""), "no sound"),
        (Fault(body=b"\1"), "no sound"),
        (Fault(body=b"<html>", content_type="text/html"), "no Fish Speech"),
        (Fault(body=b"{}", content_type="application/json"), "no Fish Speech"),
        (Fault(body=b"RIFF"), "no sound"),
        (Fault(body=wav(b"\1" * 400, channels=2)), "mono"),
        (Fault(body=b"RIFF\0\0\0\0WAVE" + b"junk\x0a\0\0\0" + b"\0" * 9_000), "without sound"),
        (Fault(body=b"\1\1" * RATE_HZ * 61), "on and on"),
    ],
)
async def test_a_failed_clause_is_one_sentence_and_the_next_one_is_heard(
    server: FishServer, voice: FishSpeechSynthesizer, fault: Fault, sentence: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(EngineFailed, match=sentence) as caught:
        await said(voice, LINE)
    message = str(caught.value)
    assert message.endswith(".")
    assert KEY not in message and "seven" not in message
    assert len(await said(voice, "One.")) == lasting(1)


@pytest.mark.parametrize("hold_at", [0, WORD_SAMPLES])
async def test_a_server_that_hangs_is_given_up(server: FishServer, hold_at: int) -> None:
    voice = FishSpeechSynthesizer(options(server, first_sound_timeout_s=0.1, stall_timeout_s=0.1))
    server.faults.append(Fault(hold_at=hold_at))
    with pytest.raises(EngineFailed, match="too long"):
        await said(voice, LINE)
    server.release()
    await voice.aclose()


@pytest.mark.parametrize("hold_at", [0, WORD_SAMPLES])
async def test_a_server_that_dies_amid_a_clause_is_named_and_its_successor_is_used(
    server: FishServer, voice: FishSpeechSynthesizer, hold_at: int
) -> None:
    server.faults.append(Fault(hold_at=hold_at))
    speaking = asyncio.create_task(said(voice, LINE))
    await server.until_held()
    await asyncio.to_thread(server.kill)
    with pytest.raises(EngineFailed, match="broke off"):
        await speaking
    with pytest.raises(EngineFailed, match="No voice server answers"):
        await said(voice, LINE)
    with FishServer(key=KEY) as successor:
        assert successor.port != server.port
        other = FishSpeechSynthesizer(options(successor))
        assert len(await said(other, "One."))
        await other.aclose()


async def test_a_slow_server_is_heard_to_the_end(server: FishServer, voice: FishSpeechSynthesizer) -> None:
    server.part_bytes = 999
    assert len(await said(voice, LINE)) == lasting(8)


async def test_a_quiet_voice_is_raised_and_a_loud_one_lowered_to_the_level_of_speech(server: FishServer) -> None:
    for gain in (0.06, 0.35):
        server.gain = gain
        voice = FishSpeechSynthesizer(options(server))
        for _ in range(3):
            sound = await said(voice, LINE)
        assert np.abs(sound).max() == pytest.approx(0.1 * np.sqrt(2), rel=0.2)
        await voice.aclose()


async def test_health_waits_for_a_busy_server_and_sees_a_dead_one(server: FishServer) -> None:
    voice, api = FishSpeechSynthesizer(options(server)), FishSpeechApi(options(server))
    server.faults.append(Fault(hold_at=0))
    speaking = asyncio.create_task(said(voice, "One."))
    await server.until_held()
    assert not await api.healthy(timeout_s=0.05)
    asking = asyncio.create_task(api.healthy())
    server.release()
    assert await asking
    await speaking
    await asyncio.to_thread(server.kill)
    assert not await api.healthy()
    await voice.aclose()
    await api.aclose()


def engine(**fish_speech: Any) -> EngineSettings:
    return EngineSettings.model_validate({"tts": {"engine": "fish_speech", "fish_speech": fish_speech}})


def test_a_start_without_server_key_or_voice_says_what_to_do(server: FishServer) -> None:
    here: dict[str, Any] = {"url": server.url, "key": KEY, "reference": "me", "start_wait_s": 0}
    assert create("tts", engine(**here))
    for change, sentence in (
        ({"reference": None}, "references add"),
        ({"reference": "nobody"}, "knows no voice named nobody"),
        ({"key": "wrong"}, "refuses the key"),
        ({"url": "http://127.0.0.1:1"}, "models.tts serve"),
    ):
        with pytest.raises(EngineUnavailable, match=sentence) as caught:
            create("tts", engine(**{**here, **change}))
        assert KEY not in str(caught.value)


async def test_the_next_clause_is_asked_for_while_the_first_one_plays(
    server: FishServer, voice: FishSpeechSynthesizer
) -> None:
    async def answer() -> AsyncGenerator[Speech, None]:
        for text in ("One two three four five six seven eight nine ten.", "Eleven."):
            async with aclosing(voice.stream(text)) as pieces:
                async for piece in pieces:
                    yield piece

    async with aclosing(prefetch(answer(), ahead=SPEECH_AHEAD)) as speech, asyncio.timeout(10):
        played_samples = 0
        while played_samples < SPEECH_RATE_HZ // 2:
            played_samples += len((await anext(speech)).samples)
        await asyncio.to_thread(server.until_asked, 2)
