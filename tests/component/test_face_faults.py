"""Every fault of the face: the turn ends, the stage is empty, and the next line is answered."""

import pytest

from models.face.counter import CounterFace
from models.face.remote.face import create
from models.interfaces import Face
from models.settings import EngineSettings
from tests.broken_engines import FAULTS, Broken, Fault, chain_of
from tests.component.conversation_world import StillFace
from tests.component.fault_world import ANSWER, answered, until, world_of
from tests.face_service import RunningService


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_with_a_chain_an_answer_is_whole_whatever_befalls_the_face(fault: Fault, after: int) -> None:
    face = chain_of("face", Broken(StillFace(), fault, after), StillFace(), patience_s=0.05)
    async with world_of(face=face) as world:
        assert await answered(world) == ("finished", ANSWER)
        assert await answered(world) == ("finished", ANSWER)


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("fault", ["fail", "wrong"])
async def test_a_face_that_fails_ends_the_turn(fault: Fault, after: int) -> None:
    face = Broken(StillFace(), None, after)
    async with world_of(face=face) as world:
        await until(lambda: bool(world.played))
        face.fault = fault
        reason, _ = await answered(world)
        assert reason == "failed"
        face.fault = None
        assert await answered(world) == ("finished", ANSWER)


async def test_a_face_whose_process_is_killed_amid_an_answer_is_replaced_and_comes_back() -> None:
    def counter() -> Face:
        return CounterFace(128)

    with RunningService(counter) as service:
        settings = EngineSettings(face=service.settings(picture_timeout_s=0.5))
        face = chain_of("face", create(settings), CounterFace(128), patience_s=1.0, first_pause_s=0.05)
        async with world_of(face=face) as world:
            assert await answered(world) == ("finished", ANSWER)
            world.conversation.say("Hello", source="typed")
            await until(lambda: len(world.beats(2)) > 3)
            service.kill()
            await until(lambda: world.conversation.at_rest)
            assert world.beats(2) == list(range(len(world.beats(1))))
            assert face.health().engine == "second"
            with RunningService(counter, port=service.port):
                await until(lambda: face.health().state == "ok")
                assert await answered(world) == ("finished", ANSWER)
