"""Sound of a device's thread to hearing events on the event loop, and the double's own voice on the way."""

import asyncio
import threading

import numpy as np
import pytest
import soxr

from models import registry
from models.hearing.listener import (
    HearingEvent,
    Listener,
    SpeechConfirmed,
    Utterance,
)
from models.interfaces import HEARING_RATE_HZ, SPEECH_RATE_HZ, Samples
from models.settings import EngineSettings, TtsSettings
from models.turn.always import AlwaysDone
from peer_local.listening.ears import OPERATOR_RULES, Ears
from peer_local.listening.echo import EchoCanceller

BLOCK_S = 0.01
INPUT_LATENCY_S = 0.03
OUTPUT_LATENCY_S = 0.04


class Recorder:
    """Stands where the listener stands."""

    def __init__(self) -> None:
        self.fed: list[tuple[Samples, float]] = []
        self.drops = 0

    def feed(self, samples: Samples, until_s: float | None = None) -> None:
        assert until_s is not None
        self.fed.append((samples, until_s))

    def drop(self) -> None:
        self.drops += 1

    @property
    def sound(self) -> Samples:
        return np.concatenate([samples for samples, _ in self.fed] or [np.zeros(0, np.float32)])


def ears_for(recorder: Recorder, rate_hz: int = SPEECH_RATE_HZ, canceller: EchoCanceller | None = None) -> Ears:
    return Ears(recorder, rate_hz=rate_hz, canceller=canceller)  # type: ignore[arg-type]


def push(ears: Ears, sound: Samples, rate_hz: int, from_s: float = 0.0) -> None:
    """On a thread of its own, as devices do."""

    def run() -> None:
        count = round(rate_hz * BLOCK_S)
        for start in range(0, len(sound), count):
            ears.push(sound[start : start + count], from_s + start / rate_hz)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
async def test_sound_of_any_rate_arrives_with_its_own_time(rate_hz: int) -> None:
    recorder = Recorder()
    ears = ears_for(recorder, rate_hz)
    time_s = np.arange(rate_hz) / rate_hz
    push(ears, (0.1 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32), rate_hz, from_s=50.0)
    await asyncio.sleep(0)
    sound, (_, until_s) = recorder.sound, recorder.fed[-1]
    assert 50.96 < until_s <= 51.0
    assert until_s == pytest.approx(50 + len(sound) / HEARING_RATE_HZ, abs=0.002)
    heard_s = np.arange(len(sound)) / HEARING_RATE_HZ
    assert np.allclose(sound[2_000:-500], 0.1 * np.sin(2 * np.pi * 440 * heard_s)[2_000:-500], atol=0.005)
    assert -27 < ears.level.rms_dbfs < -21


async def test_an_event_loop_that_is_busy_loses_the_oldest_sound_and_counts_it() -> None:
    recorder = Recorder()
    ears = ears_for(recorder, HEARING_RATE_HZ)
    push(ears, np.ones(5 * HEARING_RATE_HZ, np.float32), HEARING_RATE_HZ)
    await asyncio.sleep(0)
    assert len(recorder.sound) == 2 * HEARING_RATE_HZ
    assert recorder.fed[-1][1] == pytest.approx(5.0)
    assert ears.dropped == 300


async def test_closed_ears_hear_nothing_and_forget_what_was_being_said() -> None:
    recorder = Recorder()
    ears = ears_for(recorder, HEARING_RATE_HZ)
    second = np.ones(HEARING_RATE_HZ, np.float32)
    ears.mute()
    assert recorder.drops == 1
    push(ears, second, HEARING_RATE_HZ)
    await asyncio.sleep(0)
    push(ears, second, HEARING_RATE_HZ, from_s=1.0)
    ears.unmute()  # what was recorded before is not heard later
    assert not recorder.fed
    push(ears, second, HEARING_RATE_HZ, from_s=2.0)
    await asyncio.sleep(0)
    assert len(recorder.sound) == HEARING_RATE_HZ
    ears.close()
    push(ears, second, HEARING_RATE_HZ, from_s=3.0)
    await asyncio.sleep(0)
    assert len(recorder.sound) == HEARING_RATE_HZ


def test_a_device_that_outlives_the_event_loop_does_no_harm() -> None:
    async def make() -> Ears:
        return ears_for(Recorder(), HEARING_RATE_HZ)

    ears = asyncio.run(make())
    push(ears, np.ones(1_600, np.float32), HEARING_RATE_HZ)


# -- with the real detectors -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voices() -> dict[str, Samples]:
    """What the double says, and what somebody else says over it; at 48 kHz."""

    async def speak(voice: str, line: str) -> Samples:
        tts = registry.create("tts", EngineSettings(tts=TtsSettings(voice=voice)))
        try:
            return np.concatenate([speech.samples async for speech in tts.stream(line)])
        finally:
            await tts.aclose()

    async def both() -> dict[str, Samples]:
        answer = (
            "Well, I think that we could meet on Thursday afternoon, because the whole team will be in the office, "
            "and we can talk about the budget."
        )
        return {
            "double": await speak("af_heart", answer),
            "talker": await speak("am_michael", "No, wait, I am in Kyiv on Thursday."),
        }

    return asyncio.run(both())


class Scene:
    """A call on two simulated devices: the double speaks, its sound comes back, and somebody may speak over it."""

    def __init__(self, *, canceller: EchoCanceller | None, input_rate_hz: int = 44_100) -> None:
        self.canceller = canceller
        self.rate_hz = input_rate_hz
        self.events: list[tuple[float, HearingEvent]] = []
        self.now_s = 0.0

    async def play(self, double: Samples, talker: Samples, *, gain: float, delay_s: float, whisper: bool) -> None:
        """Everything as fast as it goes; events are noted with the time at which the device would have given them."""
        echo = np.concatenate((np.zeros(round(delay_s * SPEECH_RATE_HZ), np.float32), gain * double))
        mixed = np.zeros(max(len(echo), len(talker)) + SPEECH_RATE_HZ, np.float32)
        mixed[: len(echo)] += echo
        mixed[: len(talker)] += talker
        mixed += np.random.default_rng(1).normal(0, 0.0003, len(mixed)).astype(np.float32)
        recorded = soxr.resample(mixed, SPEECH_RATE_HZ, self.rate_hz).astype(np.float32)
        double = np.concatenate((double, np.zeros(2 * SPEECH_RATE_HZ, np.float32)))
        out_count, in_count = round(BLOCK_S * SPEECH_RATE_HZ), round(BLOCK_S * self.rate_hz)
        settings = EngineSettings()
        asr = registry.create("asr", settings) if whisper else None
        async with asyncio.TaskGroup() as tasks:
            listener = Listener(
                registry.create("vad", settings),
                AlwaysDone(),
                asr or registry.create("asr", EngineSettings.model_validate({"asr": {"engine": "scripted"}})),
                language="en",
                tasks=tasks,
                emit=lambda event: self.events.append((self.now_s, event)),
                rules=OPERATOR_RULES,
                now=lambda: self.now_s,
            )
            ears = Ears(listener, rate_hz=self.rate_hz, canceller=self.canceller)
            for step in range(len(recorded) // in_count):
                recorded_s = step * BLOCK_S
                self.now_s = recorded_s + BLOCK_S + INPUT_LATENCY_S
                while self.played_s < self.now_s + OUTPUT_LATENCY_S:
                    start = round(self.played_s * SPEECH_RATE_HZ)
                    block = double[start : start + out_count]
                    ears.played(np.pad(block, (0, out_count - len(block))), self.played_s)
                    self.played_s += BLOCK_S
                ears.push(recorded[step * in_count : (step + 1) * in_count], recorded_s)
                await asyncio.sleep(0)
        if asr is not None:
            await asr.aclose()

    played_s = 0.0

    def of(self, kind: type[HearingEvent]) -> list[tuple[float, HearingEvent]]:
        return [(at_s, event) for at_s, event in self.events if isinstance(event, kind)]


@pytest.mark.weights
@pytest.mark.parametrize(("gain", "delay_s"), [(0.6, 0.08), (1.0, 0.0), (0.05, 0.25)])
async def test_the_double_never_takes_its_own_voice_for_somebody_s(
    voices: dict[str, Samples], gain: float, delay_s: float
) -> None:
    scene = Scene(canceller=EchoCanceller())
    await scene.play(voices["double"], np.zeros(0, np.float32), gain=gain, delay_s=delay_s, whisper=False)
    assert not scene.of(Utterance)
    assert not scene.of(SpeechConfirmed)


@pytest.mark.weights
async def test_without_the_canceller_it_would(voices: dict[str, Samples]) -> None:
    scene = Scene(canceller=None)
    await scene.play(voices["double"], np.zeros(0, np.float32), gain=0.6, delay_s=0.08, whisper=False)
    assert scene.of(SpeechConfirmed)


@pytest.mark.weights
@pytest.mark.parametrize(("gain", "most_s"), [(0.0, 0.27), (0.3, 0.35)])
@pytest.mark.parametrize("starts_s", [2.0, 2.7, 3.3, 4.1])
async def test_who_speaks_over_the_double_is_noticed_at_once(
    voices: dict[str, Samples], starts_s: float, gain: float, most_s: float
) -> None:
    talker = np.concatenate((np.zeros(round(starts_s * SPEECH_RATE_HZ), np.float32), voices["talker"]))
    onset_s = float(np.flatnonzero(np.abs(talker) > 0.02)[0]) / SPEECH_RATE_HZ
    scene = Scene(canceller=EchoCanceller(), input_rate_hz=SPEECH_RATE_HZ)
    await scene.play(voices["double"], talker, gain=gain, delay_s=0.08, whisper=False)
    confirmed_s = scene.of(SpeechConfirmed)[0][0]
    assert confirmed_s - onset_s < most_s


@pytest.mark.weights
async def test_who_speaks_over_the_double_is_understood(voices: dict[str, Samples]) -> None:
    starts_s = 2.5
    talker = np.concatenate((np.zeros(round(starts_s * SPEECH_RATE_HZ), np.float32), voices["talker"]))
    hushed = voices["double"][: round((starts_s + 0.45) * SPEECH_RATE_HZ)]  # it falls silent when it is interrupted
    scene = Scene(canceller=EchoCanceller())
    await scene.play(hushed, talker, gain=0.3, delay_s=0.08, whisper=True)
    text = " ".join(event.text for _, event in scene.of(Utterance) if isinstance(event, Utterance)).lower()
    assert "thursday" in text
    assert "wait" in text
