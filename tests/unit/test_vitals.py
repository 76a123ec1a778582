"""What everybody is told of the engines, and what the metrics count."""

from typing import Any

import pytest

from models.errors import EngineFailed
from models.tts.tone import ToneSynthesizer
from peer_remote.metrics import Metrics
from peer_remote.trace import Trace
from peer_remote.turn import Breakage, Cast, Part, Turn
from peer_remote.vitals import RECOVERY_S, Vitals
from signaling import protocol
from tests.broken_engines import Broken, chain_of
from tests.virtual_time import run

NAMES: dict[Part, str] = {"llm": "openai", "tts": "fish_speech", "face": "host"}


class Ward:
    """Vitals on a clock of their own."""

    def __init__(self, tts: Any = None) -> None:
        self.now_s = 0.0
        self.metrics = Metrics()
        self.told: list[protocol.Services] = []
        cast = Cast(object(), tts or object(), object())  # type: ignore[arg-type]
        self.vitals = Vitals(cast, NAMES, metrics=self.metrics, changed=self.told.append, now=lambda: self.now_s)

    def performs(self, *moments: str, broken: Part | None = None) -> None:
        turn = Turn(1, Trace(now=lambda: 0.0))
        turn.trace.moments_ms = dict.fromkeys(moments, 1.0)
        turn.broken = None if broken is None else Breakage(broken, EngineFailed("broke"))
        self.vitals.performed(turn)

    def states(self) -> dict[str, tuple[str, str, str | None]]:
        return {one.kind: (one.engine, one.state, one.reason) for one in self.vitals.report().engines}

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"understudy_engine_{name}", labels)


def test_at_first_every_engine_is_taken_to_be_well() -> None:
    ward = Ward()
    assert ward.states()["tts"] == ("fish_speech", "ok", None)
    assert ward.metric("state", kind="tts", engine="fish_speech") == 2
    assert ward.told == []


@pytest.mark.parametrize(
    ("moments", "broken", "reason"),
    [
        ((), "llm", "failed"),
        (("first_token",), "llm", "broke_off"),
        (("first_token",), "tts", "failed"),
        (("first_token", "first_sample"), "tts", "broke_off"),
        (("first_token", "first_sample"), "face", "failed"),
    ],
)
def test_an_engine_that_broke_an_answer_is_down_until_it_works_again(
    moments: tuple[str, ...], broken: Part, reason: str
) -> None:
    ward = Ward()
    ward.performs(*moments, broken=broken)
    assert ward.states()[broken] == (NAMES[broken], "down", reason)
    assert ward.metric("state", kind=broken, engine=NAMES[broken]) == 0
    assert ward.metric("failures_total", kind=broken, engine=NAMES[broken], reason=reason) == 1
    ward.now_s = RECOVERY_S
    ward.performs("first_token", "first_sample", "first_picture")
    assert ward.states()[broken] == (NAMES[broken], "ok", None)
    assert len(ward.told) == 2


def test_a_face_that_comes_and_goes_with_each_picture_does_not_flood_the_room() -> None:
    ward = Ward()
    for beat in range(100):
        ward.now_s = beat * 0.04
        ward.vitals.failed("face", "failed") if beat % 2 else ward.vitals.worked("face")
    assert len(ward.told) == 1


def test_a_chain_tells_by_itself_who_speaks() -> None:
    async def main() -> None:
        chain = chain_of("tts", Broken(ToneSynthesizer(), "fail"), ToneSynthesizer())
        ward = Ward(chain)
        assert ward.states()["tts"] == ("first", "ok", None)
        async for _ in chain.stream("Hello there."):
            pass
        ward.performs("first_token", broken="tts")
        assert ward.states()["tts"] == ("second", "fallback", "failed")
        assert ward.metric("state", kind="tts", engine="first") == 0
        assert ward.metric("state", kind="tts", engine="second") == 2
        assert ward.metric("failures_total", kind="tts", engine="first", reason="failed") == 1
        assert ward.metric("switches_total", kind="tts", engine="second", reason="failed") == 1
        assert len(ward.told) == 1
        await chain.aclose()

    run(main())
