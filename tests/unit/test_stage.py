import asyncio

import numpy as np

from models.interfaces import BEAT_SAMPLES, Picture
from peer_remote.stage import FADE_SAMPLES, Beat, Stage

PICTURE = Picture(np.zeros((24, 16), np.uint8))


def beat(turn_id: int, index: int, level: float = 0.5) -> Beat:
    return Beat(turn_id, index, np.full(BEAT_SAMPLES, level, np.float32), PICTURE)


async def test_beats_come_out_in_order_and_then_nothing() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    for index in range(3):
        assert await stage.put(beat(1, index))
    taken = [stage.take() for _ in range(4)]
    assert [b.index for b in taken if b] == [0, 1, 2]
    assert taken[3] is None
    assert stage.position == 4


async def test_a_full_stage_makes_its_producer_wait() -> None:
    stage = Stage(lead_ms=80)
    stage.open(1)
    await stage.put(beat(1, 0))
    await stage.put(beat(1, 1))
    waiting = asyncio.ensure_future(stage.put(beat(1, 2)))
    await asyncio.sleep(0)
    assert not waiting.done()
    stage.take()
    assert await waiting


async def test_an_interruption_leaves_only_a_fade_and_refuses_the_old_turn() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    for index in range(5):
        await stage.put(beat(1, index))
    stage.flush()
    fade = stage.take()
    assert fade is not None and fade.turn_id is None
    assert fade.samples[0] == 0.5
    assert not fade.samples[FADE_SAMPLES:].any()
    assert stage.take() is None
    assert not await stage.put(beat(1, 5))
    assert stage.refused == 1


async def test_a_producer_that_waits_is_sent_away_by_an_interruption() -> None:
    stage = Stage(lead_ms=40)
    stage.open(1)
    await stage.put(beat(1, 0))
    waiting = asyncio.ensure_future(stage.put(beat(1, 1)))
    await asyncio.sleep(0)
    stage.flush()
    assert not await waiting


async def test_a_new_turn_follows_an_interruption_at_once() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    await stage.put(beat(1, 0))
    stage.flush()
    stage.open(2)
    assert not await stage.put(beat(1, 1))
    assert await stage.put(beat(2, 0))
    assert [b.turn_id if b else None for b in (stage.take(), stage.take())] == [None, 2]


async def test_the_next_position_counts_what_is_queued() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    for _ in range(7):
        stage.take()
    await stage.put(beat(1, 0))
    assert stage.next_position() == 8


async def test_drained_waits_for_the_last_beat() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    await stage.put(beat(1, 0))
    waiting = asyncio.ensure_future(stage.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    stage.take()
    await waiting


async def test_a_hold_keeps_the_beats_and_resume_goes_back_to_what_was_not_heard() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    for index in range(8):
        await stage.put(beat(1, index))
    for _ in range(5):
        stage.take()
    assert stage.hold() == 5 * BEAT_SAMPLES + FADE_SAMPLES
    fade = stage.take()
    assert fade is not None and fade.turn_id is None and not fade.samples[FADE_SAMPLES:].any()
    assert [stage.take(), stage.take(), stage.waiting] == [None, None, 0]
    assert stage.resume(3) == 3
    assert stage.next_position() == 8 + 5
    taken = [stage.take() for _ in range(6)]
    assert [b.index if b else None for b in taken] == [3, 4, 5, 6, 7, None]
    assert taken[0] is not None and taken[0].samples[0] == 0 and taken[0].samples[FADE_SAMPLES:].all()
    assert taken[1] is not None and taken[1].samples.all()


async def test_a_hold_without_beats_is_silent_from_now() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    stage.take()
    assert stage.hold() == BEAT_SAMPLES
    await stage.put(beat(1, 0))
    assert stage.take() is None
    assert stage.resume(7) == 0
    following = stage.take()
    assert following is not None and following.index == 0


async def test_a_held_stage_takes_beats_until_it_is_full() -> None:
    stage = Stage(lead_ms=80)
    stage.open(1)
    stage.hold()
    assert await stage.put(beat(1, 0)) and await stage.put(beat(1, 1))
    waiting = asyncio.ensure_future(stage.put(beat(1, 2)))
    draining = asyncio.ensure_future(stage.drained())
    await asyncio.sleep(0)
    assert not waiting.done() and not draining.done()
    stage.flush()
    assert not await waiting
    await draining
    assert stage.take() is None


async def test_a_new_turn_plays_nothing_of_a_held_one() -> None:
    stage = Stage(lead_ms=320)
    stage.open(1)
    await stage.put(beat(1, 0))
    await stage.put(beat(1, 1))
    stage.take()
    stage.hold()
    stage.flush()
    stage.open(2)
    await stage.put(beat(2, 0))
    stage.hold()
    stage.resume(0)
    taken = [stage.take() for _ in range(3)]
    assert [b.turn_id if b else None for b in taken if b is None or b.turn_id] == [2, None]
