"""Real Chromium is in a call with the double: it takes the virtual microphone, hears the double, and is heard by it."""

import io
import re
import shutil
import sys
import wave
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import jiwer
import pytest
import soxr

from deploy.system import BROWSERS
from models import registry
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from models.settings import EngineSettings
from peer_local.devices.pulse import CABLE_SOURCE_TITLE
from tests.bench.product import ROOM, running
from tests.bench.voices import utterances
from tests.browser.operator_program import OperatorProgram, operator_program
from tests.browser.participant import AUDIBLE, BLOCK_S, SILENT, Participant, participant
from tests.browser.test_page import FAKES
from tests.sound_server import SoundServer, available, sound_server

FOUND = [path for path in map(shutil.which, BROWSERS) if path is not None]
BROWSER = next((path for path in FOUND if not path.startswith("/snap/")), "")
"""A snap has its own /tmp, where the sound server's socket is not."""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        sys.platform != "linux" or not available(), reason="needs Linux with PulseAudio, its tools and PortAudio"
    ),
    pytest.mark.skipif(not BROWSER, reason="needs Chromium or Chrome"),
]

ON_ITS_WAY_S = 0.5
"""What was said before a command is through the sound server and the browser after so long, on a busy machine, too."""
REAL_VOICE = {**FAKES, "UNDERSTUDY_TTS__ENGINE": "kokoro"}
LINE = "We could meet on Thursday afternoon, because the whole team will be in the office then."
QUESTION = "Could you tell me something about yourself?"
MOST_WORDS_WRONG = 0.2


@dataclass(frozen=True, slots=True)
class Meeting:
    """A call: the double's operator, and somebody else who listens to the virtual microphone already."""

    operator: OperatorProgram
    other: Participant


@pytest.fixture
def server() -> Iterator[SoundServer]:
    with sound_server() as running_server:
        yield running_server


@asynccontextmanager
async def meeting(server: SoundServer, engines: Mapping[str, str], *flags: str) -> AsyncIterator[Meeting]:
    # Its cache directory is an empty one, but the weights are in the user's.
    sound = {name: value for name, value in server.environment.items() if name != "XDG_CACHE_HOME"}
    async with running(engines) as product:
        settings = {
            "UNDERSTUDY_LOCAL__SIGNALING_URL": product.url.replace("http", "ws", 1) + "/ws",
            "UNDERSTUDY_LOCAL__ROOM": ROOM,
            "UNDERSTUDY_LOCAL__TOKEN": product.token("operator"),
            "UNDERSTUDY_LOCAL__MODE": "repeat",
            "UNDERSTUDY_CAMERA__KIND": "none",
        }
        async with (
            operator_program(*flags, environment={**sound, **settings}) as operator,
            participant(BROWSER, server.environment) as other,
        ):
            microphones = await other.microphones()
            assert CABLE_SOURCE_TITLE in microphones, "the browser does not offer the virtual microphone"
            assert await other.listen(microphones[CABLE_SOURCE_TITLE]) == CABLE_SOURCE_TITLE
            yield Meeting(operator, other)


async def test_another_participant_hears_what_the_double_says_and_nothing_after_the_kill_switch(
    server: SoundServer,
) -> None:
    async with meeting(server, FAKES, "--ears.source", "none") as call:
        assert max(await call.other.levels(0, 1)) < SILENT, "there is sound although nobody speaks"

        begun = await call.other.now()
        await call.operator.command("say", "One two three four five.")
        first = await call.other.until_audible(begun)
        last = await call.other.until_silent(first, 1)
        assert 0.6 < (last - first) * BLOCK_S < 2, "five tones last one second"

        begun = await call.other.now()
        await call.operator.command("say", "Word " * 60 + "end.")
        await call.other.until_audible(begun)
        assert max(await call.other.levels(await call.other.now(), 0.5)) > AUDIBLE, "it stops by itself"
        await call.operator.command("kill")
        silent = await call.other.now() + round(ON_ITS_WAY_S / BLOCK_S)
        assert max(await call.other.levels(silent, 1.5)) < SILENT, "it is heard after the kill switch"
        assert (await call.operator.command("status"))["on_air"] == "nobody"

        await call.operator.command("takeover", "double")
        begun = await call.other.now()
        await call.operator.command("say", "Here I am again.")
        await call.other.until_audible(begun)


@pytest.mark.weights
async def test_another_participant_understands_the_double_and_is_answered(server: SoundServer) -> None:
    (question,) = await utterances((QUESTION,), ("bf_emma",))
    async with meeting(server, REAL_VOICE, "--ears.source", "call") as call:
        begun = await call.other.now()
        await call.operator.command("say", LINE)
        first = await call.other.until_audible(begun)
        await call.operator.until("answer")
        await call.other.until_silent(first, 1)
        understood = await transcript(await call.other.sound(begun))
        assert jiwer.wer(words(LINE), words(understood)) <= MOST_WORDS_WRONG, understood

        await call.operator.command("mode", "converse")
        begun = await call.other.now()
        await call.other.say(wav(question))
        await call.operator.until("call")
        (heard,) = call.operator.said("call")
        assert jiwer.wer(words(QUESTION), words(heard)) <= MOST_WORDS_WRONG, heard
        await call.other.until_audible(begun)


async def transcript(samples: Samples) -> str:
    """What Whisper understands."""
    recognizer = registry.create("asr", EngineSettings())
    try:
        heard = await recognizer.transcribe(soxr.resample(samples, SPEECH_RATE_HZ, HEARING_RATE_HZ), language="en")
    finally:
        await recognizer.aclose()
    return heard.text


def words(text: str) -> str:
    """Without case and punctuation."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def wav(samples: Samples) -> bytes:
    """A sound file of samples at SPEECH_RATE_HZ."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SPEECH_RATE_HZ)
        writer.writeframes((samples * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes())
    return file.getvalue()
