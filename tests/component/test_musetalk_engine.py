"""The engine between sessions and the renderer, on a CPU: what happens to orders when things end or hang."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import EngineFailed
from models.face.musetalk.engine import EngineSession, MuseTalkEngine
from models.face.musetalk.orders import Mouth, Sound
from models.face.musetalk.renderer import Renderer
from models.interfaces import SPEECH_RATE_HZ
from tests.avatars import synthetic_pack
from tests.small_musetalk import loudness_networks, small_engine


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


async def test_what_an_interrupted_session_ordered_is_dropped_and_counted() -> None:
    pack = synthetic_pack()
    engine = small_engine()
    session: EngineSession = engine.open(pack)
    try:
        mouths = [Mouth(0, 1.0, 0, 10)]
        sounds = [Sound(0, np.zeros(SPEECH_RATE_HZ // 3, np.float32), restart=True)]
        tickets = [
            session.order(mouths, sounds, heard_samples=16_000, peak=1.0, deadline_s=float(index)) for index in range(8)
        ]
        session.cancel()
        dropped = [ticket for ticket in tickets if ticket.cancelled()]
        after = session.order(mouths, sounds, heard_samples=16_000, peak=1.0, deadline_s=0.0)
        (picture,) = await asyncio.wrap_future(after)
        assert picture.shape == pack.frames[0].shape
        assert len(dropped) >= 5
        assert engine.counts.dropped_orders >= len(dropped)
        assert engine.counts.pictures <= 1 + len(tickets) - len(dropped)
    finally:
        session.close()
        engine.close()


async def test_a_closed_engine_fails_what_waits_and_what_is_ordered_later() -> None:
    pack = synthetic_pack()
    engine = small_engine()
    session = engine.open(pack)
    engine.close()
    with pytest.raises(EngineFailed):
        session.order([Mouth(0, 1.0, 0, 10)], [], heard_samples=1, peak=1.0, deadline_s=0.0)


async def test_more_avatars_than_sessions_are_refused_in_one_sentence() -> None:
    engine = small_engine()
    session = engine.open(synthetic_pack())
    try:
        with pytest.raises(EngineFailed, match="no session left"):
            engine.open(synthetic_pack())
        session.close()
        engine.open(synthetic_pack()).close()
    finally:
        engine.close()


def test_a_session_closes_at_once_while_the_device_does_not_answer() -> None:
    asked, answers = threading.Event(), threading.Event()

    class Device:
        buckets = (1, 2, 4)

        def draw(self, *_: Any) -> None:
            asked.set()
            answers.wait()
            raise RuntimeError("The device is lost.")

        def _nothing(self, *_: Any) -> None:
            pass

        add = remove = place = encode = _nothing

    engine = MuseTalkEngine(Device)  # type: ignore[arg-type]
    session = engine.open(synthetic_pack())
    ticket = session.order([Mouth(0, 1.0, 0, 10)], [], heard_samples=1, peak=1.0, deadline_s=0.0)
    asked.wait()
    closing = threading.Thread(target=session.close, daemon=True)
    closing.start()
    closing.join(3)
    closed = not closing.is_alive()
    answers.set()
    engine.close()
    assert closed
    assert isinstance(ticket.exception(0), EngineFailed)


async def test_a_session_whose_device_does_not_answer_is_refused_more_orders() -> None:
    stuck, opened = threading.Event(), threading.Event()

    class Stuck(Renderer):
        def place(self, session: int, sounds: Sequence[Sound]) -> None:
            opened.set()
            stuck.wait(60)

    pack = synthetic_pack()
    engine = MuseTalkEngine(lambda: Stuck(loudness_networks(), sessions=1, buckets=(1,)))
    session = engine.open(pack)
    try:
        session.order([Mouth(0, 1.0, 0, 10)], [], heard_samples=1, peak=1.0, deadline_s=0.0)
        assert opened.wait(60)
        with pytest.raises(EngineFailed, match="too slow"):
            for _ in range(50):
                session.order([Mouth(0, 1.0, 0, 10)], [], heard_samples=1, peak=1.0, deadline_s=0.0)
    finally:
        stuck.set()
        session.close()
        engine.close()
