"""An answer in the cloned voice whose server fails at each of its stages."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from models.errors import EngineFailed
from models.face.counter import create as counter
from models.interfaces import BEAT_SAMPLES, SPEECH_RATE_HZ
from models.llm.scripted import ScriptedModel
from models.settings import EngineSettings, FaceSettings, FishSpeechSettings
from models.tts.clause import pause_samples
from models.tts.edges import RELEASE_SAMPLES
from models.tts.fish_speech import FishSpeechSynthesizer
from peer_remote.stage import Stage
from peer_remote.trace import Trace
from peer_remote.turn import Cast, Turn
from tests.fish_server import WORD_SAMPLES, Fault, FishServer

LINE = "First we say this. Then we say something else."
FIRST, SECOND = 4, 5
"""Words of its clauses."""
WORD_BEATS = WORD_SAMPLES / 44_100 * SPEECH_RATE_HZ / BEAT_SAMPLES
END_BEATS = (RELEASE_SAMPLES + pause_samples(".")) / BEAT_SAMPLES - WORD_BEATS / 4
"""How much longer than the silence after its last word the pause after a clause is."""
WHOLE_BEATS = (FIRST + SECOND) * WORD_BEATS + 2 * END_BEATS


class Performer:
    """A turn at a time on a stage that holds a whole answer."""

    def __init__(self, server: FishServer) -> None:
        voice = FishSpeechSynthesizer(
            FishSpeechSettings(url=server.url, reference="me", first_sound_timeout_s=0.3, stall_timeout_s=0.3)
        )
        self.voice = voice
        face = counter(EngineSettings(face=FaceSettings(engine="counter", size_px=128)))
        self.cast = Cast(ScriptedModel(["unused"]), voice, face)
        self.stage = Stage(lead_ms=60_000)
        self.turns = 0

    async def perform(self) -> Turn:
        self.turns += 1
        self.stage.flush()
        self.stage.open(self.turns)
        turn = Turn(self.turns, Trace())
        self.turn = turn
        await turn.perform(self.cast, self.stage, LINE, max_tokens=8)
        return turn

    @property
    def beats(self) -> int:
        return self.stage.waiting


@pytest.fixture
async def performer(server: FishServer) -> AsyncIterator[Performer]:
    performer = Performer(server)
    yield performer
    await performer.voice.aclose()
    await performer.cast.face.aclose()


@pytest.fixture
async def server() -> AsyncIterator[FishServer]:
    with FishServer(references={"me": (b"", "")}) as server:
        yield server


async def test_an_answer_is_on_the_stage_as_a_whole(performer: Performer) -> None:
    turn = await performer.perform()
    assert [clause.text for clause in turn.clauses] == ["First we say this.", "Then we say something else."]
    assert performer.beats == pytest.approx(WHOLE_BEATS, abs=1.5)


@pytest.mark.parametrize("clause", [0, 1])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=429),
        Fault(reset_at=-1),
        Fault(reset_at=0),
        Fault(reset_at=WORD_SAMPLES),
        Fault(body=b"<html>", content_type="text/html"),
        Fault(hold_at=0),
        Fault(hold_at=WORD_SAMPLES),
    ],
)
async def test_a_clause_that_fails_ends_the_answer_and_the_next_answer_is_whole(
    server: FishServer, performer: Performer, clause: int, fault: Fault
) -> None:
    server.faults.extend([Fault()] * clause + [fault])
    with pytest.raises(EngineFailed):
        await performer.perform()
    whole_before = FIRST * WORD_BEATS + END_BEATS if clause else 0
    assert whole_before - 1 <= performer.beats <= whole_before + 3 * WORD_BEATS
    server.release()
    await performer.perform()
    assert performer.beats == pytest.approx(WHOLE_BEATS, abs=1.5)


async def test_an_interrupted_answer_sends_no_clause_after_the_one_at_the_server(
    server: FishServer, performer: Performer
) -> None:
    server.faults.append(Fault(hold_at=WORD_SAMPLES))
    speaking = asyncio.create_task(performer.perform())
    await server.until_held()
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    server.release()
    await performer.perform()
    assert [request.text for request in server.requests] == [
        "First we say this.",
        "First we say this.",
        "Then we say something else.",
    ]
