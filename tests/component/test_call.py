"""What the laptop tells the performer, and when its sound falls silent and is heard again."""

from collections.abc import Callable

import pytest

from models.hearing.listener import SpeechConfirmed, SpeechStarted, Utterance
from peer_local.call import Call
from peer_local.playback.reception import Reception
from peer_local.settings import LocalSettings, PlayoutSettings
from signaling import protocol

MEDIA_ZERO_S = 1_000.0
"""The performer's time at 0 of the test's clock."""


class FakeReception(Reception):
    """What is heard at a moment was sent at the same moment."""

    def __init__(self) -> None:
        super().__init__(PlayoutSettings())
        self.gate: list[str | float] = []

    def media_s(self, at_s: float) -> float:
        return MEDIA_ZERO_S + at_s

    def hush(self) -> None:
        self.gate.append("hushed")

    def reopen(self, media_s: float) -> bool:
        self.gate.append(media_s)
        return True


class Scene:
    """A call on a clock of its own, connected."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.sent: list[protocol.ToPerformer] = []
        self.reachable = True
        self.call = Call(LocalSettings(), owner_speaks=False, send=self._send, now=lambda: self.now_s)
        self.reception = FakeReception()
        self.call.connect(self.reception)
        self.take(protocol.Hello(name="Alex", state="listening", turns=0))

    def _send(self, message: protocol.ToPerformer) -> bool:
        self.sent.append(message)
        return self.reachable

    def take(self, *messages: protocol.FromPerformer) -> None:
        for message in messages:
            self.call.take(message)

    def answers(self, turn_id: int, asked: str, text: str) -> None:
        """The performer answers in one clause of two seconds, from now on."""
        self.take(
            protocol.UserText(text=asked, final=True, source="typed"),
            protocol.State(state="thinking", turn_id=turn_id),
            protocol.State(state="speaking", turn_id=turn_id),
            protocol.Caption(
                turn_id=turn_id,
                index=0,
                text=text,
                duration_ms=2_000,
                start_samples=0,
                at_s=MEDIA_ZERO_S + self.now_s,
            ),
        )

    def ends(self, turn_id: int, text: str) -> None:
        self.take(
            protocol.TurnEnded(turn_id=turn_id, reason="finished", text=text, moments_ms={}),
            protocol.State(state="listening", turn_id=turn_id),
        )

    def is_interrupted(self) -> None:
        self.call.hear(SpeechStarted())
        self.call.hear(SpeechConfirmed())


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_speech_holds_the_double_and_tells_what_was_heard(scene: Scene) -> None:
    scene.call.typed("How are you?")
    scene.answers(1, "How are you?", "Very well, thank you.")
    scene.now_s += 0.5
    scene.is_interrupted()
    assert scene.sent[-2:] == [protocol.Hold(), protocol.Heard(turn_id=1, samples=24_000)]
    assert scene.reception.gate == ["hushed"]


def test_a_typed_line_over_an_answer_tells_what_was_heard_before_it_is_answered(scene: Scene) -> None:
    scene.answers(1, "How are you?", "Very well, thank you.")
    scene.now_s += 0.5
    scene.call.typed("Where do you live?")
    assert scene.sent[-3:] == [
        protocol.Interrupt(),
        protocol.Heard(turn_id=1, samples=24_000),
        protocol.Say(text="Where do you live?"),
    ]


@pytest.mark.parametrize(
    "say",
    [
        lambda at_s: protocol.Silence(at_s=at_s),
        lambda at_s: protocol.Caption(turn_id=2, index=0, text="Oh,", duration_ms=300, start_samples=0, at_s=at_s),
    ],
    ids=["silence", "the next caption"],
)
def test_sound_is_heard_again_from_where_the_performer_says(
    scene: Scene, say: Callable[[float], protocol.FromPerformer]
) -> None:
    scene.answers(1, "Hello", "Hello, hello.")
    scene.now_s += 0.5
    scene.is_interrupted()
    scene.take(say(1_010.8))
    assert scene.reception.gate == ["hushed", 1_010.8]


def test_a_clause_of_the_interrupted_answer_that_was_on_its_way_does_not_end_the_silence(scene: Scene) -> None:
    scene.answers(1, "Hello", "Hello, hello.")
    scene.now_s += 0.5
    scene.is_interrupted()
    scene.take(
        protocol.Caption(turn_id=1, index=1, text="old", duration_ms=300, start_samples=96_000, at_s=1_010.6),
        protocol.Silence(at_s=1_010.7),
    )
    assert scene.reception.gate == ["hushed", 1_010.7]


def test_a_performer_that_says_nothing_is_heard_again_after_a_while(scene: Scene) -> None:
    scene.answers(1, "Hello", "Hello, hello.")
    scene.is_interrupted()
    for _ in range(60):
        scene.now_s += 0.05
        scene.call.tick()
    assert scene.reception.gate[0] == "hushed"
    assert len(scene.reception.gate) == 2


def test_a_performer_that_began_anew_is_told_the_conversation(scene: Scene) -> None:
    scene.answers(1, "What is your name?", "I am Alex.")
    scene.ends(1, "I am Alex.")
    scene.call.lost()
    scene.call.connect(FakeReception())
    scene.take(protocol.Hello(name="Alex", state="listening", turns=3))
    assert not any(isinstance(message, protocol.Restore) for message in scene.sent)
    scene.take(protocol.Hello(name="Alex", state="listening", turns=0))
    exchange = protocol.Exchange(asked="What is your name?", answered="I am Alex.")
    assert scene.sent[-1] == protocol.Restore(exchanges=(exchange,))


def test_a_performer_that_began_anew_is_told_what_the_last_one_had_condensed(scene: Scene) -> None:
    scene.take(protocol.Remembered(summary="They met on Monday."))
    scene.call.lost()
    scene.call.connect(FakeReception())
    scene.take(protocol.Hello(name="Alex", state="listening", turns=0))
    assert scene.sent[-1] == protocol.Restore(exchanges=(), summary="They met on Monday.")


def test_what_is_said_while_nobody_is_there_is_reported(scene: Scene) -> None:
    scene.reachable = False
    scene.call.hear(Utterance("Can you hear us?", scene.now_s, scene.now_s))
    assert scene.call.problem is not None and "not connected" in scene.call.problem
    scene.reachable = True
    scene.answers(1, "Hello", "Hello.")
    assert scene.call.problem is None


def draft_scene() -> Scene:
    scene = Scene()
    scene.call.switch("approve")
    scene.call.typed("What does it cost?")
    assert scene.sent == [protocol.Draft(text="What does it cost?")]
    return scene


def test_an_unfinished_draft_is_asked_for_again_when_the_performer_is_back_or_has_answered_somebody() -> None:
    scene = draft_scene()
    scene.call.lost()
    scene.take(protocol.Hello(name="Alex", state="listening", turns=0))
    assert scene.sent[1:] == [protocol.Draft(text="What does it cost?")]
    scene.answers(1, "Hello", "Hello.")
    scene.ends(1, "Hello.")
    assert scene.sent[2:] == [protocol.Draft(text="What does it cost?")]


def test_a_draft_that_could_not_be_made_does_not_wait_for_ever() -> None:
    scene = draft_scene()
    assert scene.call.draft is not None
    scene.take(protocol.Error(code="engine_failed", message="The draft broke off; please ask for it again."))
    assert scene.call.draft is None
    assert scene.call.turn_taking.state == "listening"
    assert scene.call.problem is not None


def test_what_the_ears_hear_never_breaks_the_call(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(message: protocol.ToPerformer) -> bool:
        raise RuntimeError

    monkeypatch.setattr(scene.call, "_send", fail)
    scene.call.hear(Utterance("Hello", scene.now_s, scene.now_s))


def test_how_well_the_performers_engines_are_is_known_while_it_is_there(scene: Scene) -> None:
    engine = protocol.EngineState(kind="tts", engine="kokoro", state="fallback", reason="too_slow")
    scene.take(protocol.Services(engines=(engine,)))
    assert scene.call.engines == (engine,)
    scene.call.lost()
    assert scene.call.engines == ()


def test_what_was_said_instead_of_an_answer_is_not_handed_to_the_next_performer(scene: Scene) -> None:
    scene.answers(1, "Where are you?", "In Kyiv.")
    scene.ends(1, "In Kyiv.")
    scene.take(
        protocol.UserText(text="And when?", final=True, source="typed"),
        protocol.TurnEnded(turn_id=2, reason="failed", text="Sorry, I lost my thread.", moments_ms={}),
        protocol.Hello(name="Alex", state="listening", turns=0),
    )
    (restore,) = [message for message in scene.sent if isinstance(message, protocol.Restore)]
    assert [exchange.answered for exchange in restore.exchanges] == ["In Kyiv."]


def test_a_warning_of_the_machine_outlasts_an_answer_until_it_is_taken_back(scene: Scene) -> None:
    scene.take(protocol.Notice(text="The machine of the double goes off in 5 minutes."))
    scene.answers(1, "Hello", "Hello.")
    scene.ends(1, "Hello.")
    assert scene.call.notice == "The machine of the double goes off in 5 minutes."
    scene.take(protocol.Notice(text=""))
    assert scene.call.notice is None
