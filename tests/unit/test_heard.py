"""How much of a turn was heard."""

from peer_local.heard import Heard, HeardMeter
from signaling.protocol import Caption


def caption(turn: int, index: int, start_samples: int, at_s: float, duration_ms: int = 1_000) -> Caption:
    return Caption(
        turn_id=turn, index=index, text="word", duration_ms=duration_ms, start_samples=start_samples, at_s=at_s
    )


def test_nothing_was_heard_before_the_first_caption_is_due() -> None:
    meter = HeardMeter()
    assert meter.heard(100.0) is None
    meter.note(caption(1, 0, 0, at_s=100.0))
    assert meter.heard(99.9) is None


def test_samples_count_within_the_clause_and_stop_at_its_end() -> None:
    meter = HeardMeter()
    meter.note(caption(1, 0, 0, at_s=100.0))
    meter.note(caption(1, 1, 48_000, at_s=101.5))
    assert meter.heard(100.5) == Heard(1, 24_000)
    assert meter.heard(101.4) == Heard(1, 48_000)
    assert meter.heard(102.0) == Heard(1, 72_000)


def test_a_caption_that_comes_again_after_a_resume_has_its_new_place() -> None:
    meter = HeardMeter()
    meter.note(caption(1, 0, 0, at_s=100.0))
    meter.note(caption(1, 1, 48_000, at_s=101.0))
    meter.note(caption(1, 0, 0, at_s=105.0))
    assert meter.heard(105.5) == Heard(1, 24_000)
    assert meter.heard(103.0) is None


def test_the_newest_turn_that_has_begun_counts() -> None:
    meter = HeardMeter()
    meter.note(caption(1, 0, 0, at_s=100.0))
    meter.note(caption(2, 0, 0, at_s=110.0))
    assert meter.heard(105.0) == Heard(1, 48_000)
    assert meter.heard(110.25) == Heard(2, 12_000)
