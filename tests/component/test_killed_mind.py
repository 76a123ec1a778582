"""The real server of a language model is killed amid an answer and started again, and the conversation goes on."""

import pytest

from models.llm.openai_server import OpenAiServerModel
from models.llm.sampling import Sampling
from models.llm.scripted import ScriptedModel
from signaling import protocol
from tests.broken_engines import chain_of
from tests.component.fault_world import TROUBLE, answered, until, world_of
from tests.language_server import MODEL, free_port, language_server

pytestmark = pytest.mark.weights

START_S = 30.0


async def test_the_conversation_survives_the_death_of_its_model() -> None:
    port = free_port()
    with language_server(port=port) as server:
        model = OpenAiServerModel(server, MODEL, context_tokens=512, sampling=Sampling(temperature=0))
        llm = chain_of("llm", model, ScriptedModel(["I answer meanwhile."]), patience_s=10.0, first_pause_s=0.05)
        async with world_of(llm=llm) as world:
            world.conversation.say("Tell me a long story about a dog, please.", source="typed")
            await until(lambda: model.received_pieces > 12, START_S)
            server.kill()
            await until(lambda: world.conversation.at_rest)
            ended = world.last(protocol.TurnEnded)
            assert ended.reason == "failed" and ended.text.endswith(TROUBLE)
            assert await answered(world) == ("finished", "I answer meanwhile.")
            with language_server(port=port):
                await until(lambda: llm.health().state == "ok", START_S)
                reason, text = await answered(world, "Are you back?", START_S)
                assert reason == "finished" and text not in ("", "I answer meanwhile.")
