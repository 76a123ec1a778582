"""One person's sound to what they said, on virtual time, with engines that take a while."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from models.errors import EngineFailed
from models.hearing.endpoint import EndpointRules
from models.hearing.listener import (
    HearingEvent,
    Listener,
    PartialText,
    SpeechConfirmed,
    SpeechDropped,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    Utterance,
)
from models.interfaces import HEARING_RATE_HZ, VAD_WINDOW_SAMPLES, Samples, Transcript
from tests.virtual_time import run

ASR_S = 0.4
TURN_S = 0.1


class LevelVad:
    """Speech is whatever is not zero."""

    def probability(self, window: Samples) -> float:
        return 1.0 if window.any() else 0.0

    def reset(self) -> None: ...


class SlowRecognizer:
    """Takes ASR_S and says how many tenths of a second it heard, lead-in and pause included."""

    def __init__(self) -> None:
        self.calls = 0
        self.fail = False
        self.takes_s = ASR_S
        self._turn = asyncio.Lock()

    async def transcribe(self, samples: Samples, *, language: str) -> Transcript:
        async with self._turn:
            self.calls += 1
            await asyncio.sleep(self.takes_s)
        if self.fail:
            raise EngineFailed("No.")
        return Transcript(f"{np.count_nonzero(samples) * 10 // HEARING_RATE_HZ} tenths", language)

    async def aclose(self) -> None: ...


class SlowDetector:
    """Takes TURN_S; finished when the last number of `answers` says so."""

    def __init__(self, answers: list[float]) -> None:
        self.answers = answers

    async def probability(self, samples: Samples) -> float:
        await asyncio.sleep(TURN_S)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def aclose(self) -> None: ...


class Room:
    """Sound in real (virtual) time into a listener, and what came out when."""

    def __init__(self, tasks: asyncio.TaskGroup, answers: list[float], rules: EndpointRules | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.events: list[tuple[float, HearingEvent]] = []
        self.asr = SlowRecognizer()
        self.now = loop.time
        self.listener = Listener(
            LevelVad(),
            SlowDetector(answers),
            self.asr,
            language="en",
            tasks=tasks,
            emit=lambda event: self.events.append((loop.time(), event)),
            rules=rules,
            now=loop.time,
        )

    async def hear(self, seconds: float, level: float) -> None:
        for _ in range(round(seconds * HEARING_RATE_HZ / VAD_WINDOW_SAMPLES)):
            self.listener.feed(np.full(VAD_WINDOW_SAMPLES, level, np.float32))
            await asyncio.sleep(VAD_WINDOW_SAMPLES / HEARING_RATE_HZ)

    async def speech(self, seconds: float) -> None:
        await self.hear(seconds, 0.5)

    async def silence(self, seconds: float) -> None:
        await self.hear(seconds, 0.0)

    def of(self, kind: type) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]


def scenario(script: Callable[[Room], Coroutine[Any, Any, None]], answers: list[float]) -> Room:
    async def main() -> Room:
        async with asyncio.TaskGroup() as tasks:
            room = Room(tasks, answers)
            await script(room)
        return room

    return run(main())


def test_a_sentence_is_transcribed_while_the_detector_decides() -> None:
    async def script(room: Room) -> None:
        await room.silence(1)
        await room.speech(2)
        await room.silence(2)

    room = scenario(script, [0.9])
    kinds = [type(event) for _, event in room.events]
    assert kinds == [SpeechStarted, SpeechConfirmed, SpeechPaused, PartialText, Utterance]
    utterance = room.of(Utterance)[0]
    assert utterance.text == "19 tenths"
    assert abs(utterance.speech_ended_s - 3.0) < 0.07
    assert utterance.transcribed_s - utterance.speech_ended_s < 0.16 + ASR_S + 0.07
    assert room.asr.calls == 1


def test_a_pause_for_thought_gives_a_partial_text_and_one_utterance() -> None:
    async def script(room: Room) -> None:
        await room.speech(1)
        await room.silence(0.6)
        await room.speech(1)
        await room.silence(2)

    room = scenario(script, [0.1, 0.9])
    assert [event.text for event in room.of(PartialText)] == ["9 tenths", "19 tenths"]
    assert len(room.of(SpeechPaused)) == 2
    assert len(room.of(SpeechResumed)) == 1
    assert [event.text for event in room.of(Utterance)] == ["19 tenths"]


def test_an_unfinished_sentence_is_taken_when_nothing_more_comes() -> None:
    async def script(room: Room) -> None:
        await room.speech(1)
        await room.silence(3)

    room = scenario(script, [0.1])
    at_s = next(at for at, event in room.events if isinstance(event, Utterance))
    assert 1.45 <= at_s - 1.0 <= 1.6


def test_a_cough_is_no_utterance() -> None:
    async def script(room: Room) -> None:
        await room.speech(0.13)
        await room.silence(2)

    room = scenario(script, [0.9])
    assert [type(event) for _, event in room.events] == [SpeechStarted, SpeechDropped]
    assert room.asr.calls == 0


def test_a_microphone_switched_off_in_mid_sentence_completes_it() -> None:
    async def script(room: Room) -> None:
        await room.speech(1)
        room.listener.finish()
        await asyncio.sleep(1)

    room = scenario(script, [0.1])
    assert [event.text for event in room.of(Utterance)] == ["9 tenths"]


def test_a_recognizer_that_fails_is_an_utterance_without_words() -> None:
    async def script(room: Room) -> None:
        room.asr.fail = True
        await room.speech(1)
        await room.silence(2)
        room.asr.fail = False
        await room.speech(1)
        await room.silence(2)

    room = scenario(script, [0.9])
    assert [event.text for event in room.of(Utterance)] == ["", "9 tenths"]


def test_sound_in_odd_pieces_is_heard_the_same() -> None:
    async def script(room: Room) -> None:
        rest = np.concatenate([np.full(HEARING_RATE_HZ, 0.5, np.float32), np.zeros(2 * HEARING_RATE_HZ, np.float32)])
        while len(rest):
            room.listener.feed(rest[:333])
            rest = rest[333:]
            await asyncio.sleep(333 / HEARING_RATE_HZ)

    room = scenario(script, [0.9])
    assert len(room.of(Utterance)) == 1


def test_somebody_who_goes_on_while_the_first_part_is_transcribed_gets_one_answer_to_both() -> None:
    async def script(room: Room) -> None:
        room.asr.takes_s = 1.5
        await room.speech(1)
        await room.silence(0.4)
        await room.speech(2)
        await room.silence(4)

    room = scenario(script, [0.9])
    assert [event.text for event in room.of(Utterance)] == ["9 tenths 19 tenths"]


def test_a_slow_recognizer_is_not_buried_in_pauses() -> None:
    async def script(room: Room) -> None:
        room.asr.takes_s = 1.0
        for _ in range(15):
            await room.speech(0.4)
            await room.silence(0.3)
        await room.silence(6)

    room = scenario(script, [0.1])
    at_s = next(at for at, event in room.events if isinstance(event, Utterance))
    assert at_s < 15 * 0.7 + 1.5 + 1.5


def test_a_monologue_is_split_at_a_pause_and_answered_as_one_utterance() -> None:
    async def script(room: Room) -> None:
        await room.speech(22)
        await room.silence(0.13)
        await room.speech(4)
        await room.silence(3)

    room = scenario(script, [0.9])
    assert [event.text for event in room.of(Utterance)] == ["220 tenths 40 tenths"]
    assert room.of(PartialText)[-1].text == "220 tenths 40 tenths"


def test_a_monologue_without_a_pause_loses_no_sound() -> None:
    async def script(room: Room) -> None:
        await room.speech(40)
        await room.silence(3)

    room = scenario(script, [0.9])
    (utterance,) = room.of(Utterance)
    tenths = [int(word) for word in utterance.text.split() if word.isdigit()]
    assert len(tenths) == 2
    assert sum(tenths) in (398, 399, 400)


def test_a_pause_for_thought_in_a_monologue_is_where_it_is_split() -> None:
    async def script(room: Room) -> None:
        await room.speech(22)
        await room.silence(1)
        await room.speech(3)
        await room.silence(3)

    room = scenario(script, [0.1, 0.9])
    assert [event.text for event in room.of(Utterance)] == ["220 tenths 30 tenths"]
    assert room.asr.calls == 2


def test_what_is_being_said_can_be_dropped() -> None:
    async def script(room: Room) -> None:
        await room.speech(1)
        room.listener.drop()
        await room.silence(2)
        await room.speech(1)
        await room.silence(2)

    room = scenario(script, [0.9])
    assert len(room.of(SpeechDropped)) == 1
    assert len(room.of(Utterance)) == 1


def test_a_cough_after_a_sentence_does_not_swallow_it() -> None:
    async def main() -> Room:
        async with asyncio.TaskGroup() as tasks:
            room = Room(tasks, [0.9], EndpointRules(confirm_ms=96))
            room.asr.takes_s = 1.5
            await room.speech(1)
            await room.silence(1)
            await room.speech(0.13)
            await room.silence(3)
        return room

    room = run(main())
    assert [event.text for event in room.of(Utterance)] == ["9 tenths"]


def test_the_end_of_speech_is_told_in_the_time_of_the_sound() -> None:
    async def script(room: Room) -> None:
        for count in range(100):
            level = 0.5 if count < 40 else 0.0
            until_s = (count + 1) * VAD_WINDOW_SAMPLES / HEARING_RATE_HZ - 0.25
            room.listener.feed(np.full(VAD_WINDOW_SAMPLES, level, np.float32), until_s)
            await asyncio.sleep(VAD_WINDOW_SAMPLES / HEARING_RATE_HZ)

    (utterance,) = scenario(script, [0.9]).of(Utterance)
    assert abs(utterance.speech_ended_s - (40 * 0.032 - 0.25)) < 0.001
